#!/usr/bin/env bash
# The fault tests of CI: smoke, power cuts, and a mix that rotates with the day, in at most 15 minutes together. A machine
# without root, namespaces or loop devices skips them, says so in one line, and passes nothing by that.
#
# JEPSEN_SEED=n chooses the seed (default: days since 1970). The last line sums up: "N passed, N failed, N skipped".
set -euo pipefail
. "$(dirname "$0")/../scripts/lib.sh"
cd "$REPO"

SECONDS_MAX=900 # all three together, building left aside
seed="${JEPSEN_SEED:-$(($(date +%s) / 86400))}"

skip() {
    say "fault tests skipped: $*"
    echo "0 passed, 0 failed, 3 skipped"
    exit 0
}
[ "$(id -u)" = 0 ] || skip "not root"
unshare --net true 2>/dev/null || skip "network namespaces are not to be had here"
[ -e /dev/loop-control ] || skip "there are no loop devices here"
# What can't be built is no reason to skip.
jepsen/run.sh kinds >/dev/null
# Every other facility is tried by the harness itself.
probed="$(jepsen/run.sh probe 2>&1)" || skip "$(tail -n 1 <<<"$probed")"

SECONDS=0
passed=0 failed=0
one() {
    local left=$((SECONDS_MAX - SECONDS)) status=0
    say "fault tests: $*"
    timeout --signal=INT --kill-after=60 "$left" jepsen/run.sh run --seed "$seed" "$@" || status=$?
    if [ "$status" = 2 ] && [ -z "${again:-}" ]; then
        # Some fault had no effect. That happens, and says nothing; twice in a row the harness is at fault.
        say "fault tests: unknown, so once more with the next seed"
        local again=1 seed=$((seed + 1))
        one "$@"
    elif [ "$status" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}
one --profile smoke --time 60
one --profile power --time 100
one --profile mix --time 180
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
