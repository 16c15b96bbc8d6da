#!/usr/bin/env bash
# Has libFuzzer attack one property, or all in turn (fuzz/README.md): scripts/fuzz.sh [TARGET] [SECONDS_EACH]. What breaks
# one goes to fuzz/artifacts/; what reaches new code, to a corpus outside of the checkout, from which the next run goes on.
# KEEP=1 adds to fuzz/corpus/ those of its inputs that reach code which no committed one does.
#
# Without a sanitizer: the product's own code is safe Rust, and twice as many inputs find more. SANITIZER=address has it for
# the libraries.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

CARGO_FUZZ_VERSION=0.13.2
INPUT_BYTES_MAX=4096 # of the replay too: node/src/fuzzing/corpus.rs
INPUT_SECONDS_MAX=30 # for one input, which takes microseconds, on a machine that does much else

# It builds in a directory of its own: its compiler flags differ from the product's.
export CARGO_TARGET_DIR="${FUZZ_TARGET_DIR:-$CACHE/fuzz-target}"
work="${WORK:-$CACHE/fuzz}"
target="${1:-}" seconds_each="${2:-60}"
cd "$REPO/fuzz"

root="$CACHE/cargo-fuzz-$CARGO_FUZZ_VERSION"
if [ ! -x "$root/bin/cargo-fuzz" ]; then
    say "installing: cargo-fuzz $CARGO_FUZZ_VERSION"
    cargo install cargo-fuzz --locked --quiet --version "$CARGO_FUZZ_VERSION" --root "$root"
fi
sanitizer="${SANITIZER:-none}"
# The toolchain is a stable one, and sanitizers are not.
[ "$sanitizer" = none ] || export RUSTC_BOOTSTRAP=1
cargo_fuzz() { "$root/bin/cargo-fuzz" run --sanitizer "$sanitizer" "$@"; }

names="$(basename -s .rs fuzz_targets/*.rs)"
[ -z "$target" ] || [ -e "fuzz_targets/$target.rs" ] || fail "no target $target; there are: $(echo $names)"
say "building the fuzz targets; the first time takes about ten minutes on two cores"
for name in ${target:-$names}; do
    mkdir -p "$work/$name"
    say "fuzz: $name, $seconds_each s"
    # The first directory takes what is new.
    cargo_fuzz "$name" "$work/$name" "corpus/$name" -- \
        -max_total_time="$seconds_each" -max_len="$INPUT_BYTES_MAX" -timeout="$INPUT_SECONDS_MAX" -print_final_stats=1
    [ -z "${KEEP:-}" ] || cargo_fuzz "$name" "corpus/$name" "$work/$name" -- -merge=1 -max_len="$INPUT_BYTES_MAX"
done
