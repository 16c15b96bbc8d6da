#!/usr/bin/env bash
# Deterministic simulation (sim/README.md). SEED=n runs one seed and keeps its trace and history; otherwise SEEDS=n
# seeds from FROM=m on, JOBS at a time, each in a process of its own; MINUTES=n ends it early. RESULTS=1 appends the sums to
# sim/results.jsonl. TESTS=1 runs the simulation's own tests before: that a seed is the same byte for byte when it runs
# twice, and the pinned seeds.
#
# It builds in a directory of its own: its compiler flags differ from the product's.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

export CARGO_TARGET_DIR="${SIM_TARGET_DIR:-$CACHE/sim-target}"
work="${WORK:-$CACHE/sim}"
# Flags in this variable would replace those of sim/.cargo/config.toml.
unset RUSTFLAGS
say "building the simulation; the first time takes about five minutes on two cores"
(cd "$REPO/sim" && cargo build --release --locked --quiet)
sim="$CARGO_TARGET_DIR/release/sim"
if [ -n "${TESTS:-}" ]; then
    say "testing the simulation itself"
    (cd "$REPO/sim" && cargo test --release --locked --quiet) >&2
fi

if [ -n "${SEED:-}" ]; then
    dir="$work/seed-$SEED"
    say "history.jsonl and trace.log go to $dir"
    exec "$sim" one --seed "$SEED" --trace --work "$dir"
fi
set -- many --from "${FROM:-1}" --seeds "${SEEDS:-100}" --jobs "${JOBS:-$(nproc)}" --work "$work"
[ -z "${MINUTES:-}" ] || set -- "$@" --minutes "$MINUTES"
if [ -n "${RESULTS:-}" ]; then
    set -- "$@" --results "$REPO/sim/results.jsonl"
    set -- "$@" --commit "$(git -C "$REPO" describe --always --dirty 2>/dev/null || echo unknown)"
fi
exec "$sim" "$@"
