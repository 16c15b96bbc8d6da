#!/usr/bin/env bash
# Builds and runs every test with cargo's own runner, which every machine with Rust has and which runs the
# examples in the documentation too; nextest would be a second way with other rules for isolation.
#
# The last line sums up all test binaries: "N passed, N failed, N skipped".
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

TESTS_SECONDS_MAX=2400 # a test that hangs ends the run instead of CI

"$REPO/scripts/build.sh" test --workspace --no-run

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
status=0
timeout --kill-after=10 "$TESTS_SECONDS_MAX" \
    cargo test --release --locked --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?

sum() { sed -n "s/^test result: .* \([0-9]*\) $1;.*/\1/p" "$log" | awk '{ n += $1 } END { print n + 0 }'; }
passed="$(sum passed)" failed="$(sum failed)" skipped="$(sum ignored)"
if [ "$status" = 124 ]; then say "stopped: the tests took longer than $(minutes $TESTS_SECONDS_MAX)"; fi
# A binary that crashes prints no result of its own.
if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
if [ "$passed" = 0 ] && [ "$status" = 0 ]; then
    say "no test ran"
    status=1
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
exit "$status"
