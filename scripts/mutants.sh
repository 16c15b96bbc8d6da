#!/usr/bin/env bash
# Puts known bugs back, one by one (timer-core/src/mutant.rs), and runs seeds of the simulation until one shows the bug,
# for at most ten minutes each. ONLY="name ..." for some of them; FROM=n for the first seed. Each line: the mutant,
# whether it was caught, by which seed, how many seeds and seconds that took, and what was broken.
#
# The one that is RocksDB's (default-wal-mode) can't show in a simulated store: jepsen/ has it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SECONDS_EACH=600
export CARGO_TARGET_DIR="${SIM_TARGET_DIR:-$CACHE/sim-mutants-target}"
work="${WORK:-$CACHE/sim-mutants}"
unset RUSTFLAGS
say "building the simulation with mutants; the first time takes about five minutes on two cores"
(cd "$REPO/sim" && cargo build --release --locked --quiet --features mutants)
sim="$CARGO_TARGET_DIR/release/sim"
jobs="${JOBS:-$(nproc)}"
all="$(sed -n 's/.*Self::[A-Za-z]* => "\(.*\)",$/\1/p' "$REPO/timer-core/src/mutant.rs" | grep -v '^default-wal-mode$')"
mkdir -p "$work"

# Tries the seeds from $2 on, $jobs at a time; prints the seed that caught it and what it said.
hunt() {
    local mutant="$1" seed="$2" began="$SECONDS" n status
    while [ $((SECONDS - began)) -lt "$SECONDS_EACH" ]; do
        local pids=() seeds=()
        for n in $(seq 1 "$jobs"); do
            timeout 300 "$sim" one --seed "$seed" --mutant "$mutant" --work "$work/$mutant-$seed" \
                >"$work/$mutant-$seed.out" 2>&1 &
            pids+=("$!") seeds+=("$seed")
            seed=$((seed + 1))
        done
        for n in "${!pids[@]}"; do
            status=0
            wait "${pids[$n]}" || status=$?
            # 0: passed, 2: unknown. Everything else, a panic too, is a catch.
            if [ "$status" != 0 ] && [ "$status" != 2 ]; then
                echo "${seeds[$n]} $((seeds[n] - $2 + 1)) $((SECONDS - began)) $(said "$work/$mutant-${seeds[$n]}.out")"
                wait
                return 0
            fi
            rm -rf "$work/$mutant-${seeds[$n]}" "$work/$mutant-${seeds[$n]}.out"
        done
    done
    return 1
}

said() { grep -m1 -E '^(FAILURE|VIOLATION|I[0-9]+)|panicked' "$1" | cut -c1-120 || true; }

caught=0 missed=0
for mutant in ${ONLY:-$all}; do
    if found="$(hunt "$mutant" "${FROM:-1}")"; then
        caught=$((caught + 1))
        read -r seed seeds seconds what <<<"$found"
        printf '%-28s caught by seed %s (%s seeds, %s s): %s\n' "$mutant" "$seed" "$seeds" "$seconds" "$what"
    else
        missed=$((missed + 1))
        printf '%-28s NOT CAUGHT in %s s\n' "$mutant" "$SECONDS_EACH"
    fi
done
echo "$caught caught, $missed not caught"
[ "$missed" = 0 ]
