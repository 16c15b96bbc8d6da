#!/usr/bin/env bash
# Installs what the fault tests need, builds the harness and the server, and runs one test. Whatever this machine can't
# do is said in one line, and nothing is run then. Arguments go to `jepsen`:
#   jepsen/run.sh run --profile power --seed 7 --time 120
#   jepsen/run.sh check ~/.cache/durable-timer/jepsen/power-7-4711
#   jepsen/run.sh            the profile `smoke`
# JEPSEN_TIMERD=/path/to/timerd tests that server and builds none; JEPSEN_FAILPOINTS is the same built with
# `--features failpoints`, for the kinds crashInside and crashInSnapshot.
set -euo pipefail
. "$(dirname "$0")/../scripts/lib.sh"
cd "$REPO"

packages() {
    command -v ip >/dev/null || echo iproute2
    command -v nft >/dev/null || echo nftables
    command -v mkfs.ext4 >/dev/null || echo e2fsprogs
    command -v mount >/dev/null || echo mount
    command -v nsenter >/dev/null && command -v setpriv >/dev/null && command -v fsfreeze >/dev/null || echo util-linux
    command -v cc >/dev/null || echo gcc libc6-dev
}

[ $# -gt 0 ] || set -- run
# Judging, planning and adding up need nothing of the machine.
if [ "$1" = run ] || [ "$1" = probe ]; then
    [ "$(id -u)" = 0 ] || fail "the fault tests need root, for network namespaces and loop devices: sudo jepsen/run.sh"
    export PATH="$PATH:/usr/sbin:/sbin"
    missing="$(packages | tr '\n' ' ')"
    if [ -n "$missing" ]; then
        command -v apt-get >/dev/null || fail "missing, and there is no apt-get to install it: $missing"
        say "installing: $missing"
        # shellcheck disable=SC2086 # a list of words
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
            >/dev/null 2>&1 || fail "apt-get could not install: $missing"
        missing="$(packages | tr '\n' ' ')"
        [ -z "$missing" ] || fail "still missing after the installation: $missing"
    fi
fi

if [ -n "${JEPSEN_BIN:-}" ]; then
    jepsen="$JEPSEN_BIN"
elif [ -n "${JEPSEN_TIMERD:-}" ]; then
    cargo build --release --locked -p jepsen >&2
    jepsen="$BIN/jepsen"
else
    # Two kinds of fault end nodes inside themselves, which takes a build of its own. It lies beside the others under
    # another name, and the build that is tested comes last.
    "$REPO/scripts/build.sh" build --workspace --bins --features node/failpoints
    mkdir -p "$CACHE/jepsen"
    cp "$BIN/timerd" "$CACHE/jepsen/timerd-failpoints"
    export JEPSEN_FAILPOINTS="$CACHE/jepsen/timerd-failpoints"
    "$REPO/scripts/build.sh" build --workspace --bins
    jepsen="$BIN/jepsen"
fi
export JEPSEN_TIMERD="${JEPSEN_TIMERD:-$BIN/timerd}"

if [ "$1" = run ]; then
    "$jepsen" probe >&2 || fail "this machine can't run the fault tests, see the line above"
    shift
    commit="$(git -C "$REPO" describe --always --dirty 2>/dev/null || echo unknown)"
    set -- run --commit "$commit" "$@"
fi
exec "$jepsen" "$@"
