#!/usr/bin/env bash
# Measures everything on this machine: one node, then three. The data goes beside the build, on the disk
# whose speed matters, and is removed; one line a measurement stays in benchmark/results.jsonl.
# `make bench ARGS=--quick` shows in a minute that it works.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

"$REPO/scripts/build.sh"
commit="$(git -C "$REPO" describe --always --dirty 2>/dev/null || echo unknown)"
exec "$BIN/timer-bench" run --timerd "$BIN/timerd" --work-dir "$CACHE/bench" \
    --out "$REPO/benchmark/results.jsonl" --commit "$commit" "$@"
