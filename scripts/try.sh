#!/usr/bin/env bash
# The shortest way to a running node: in memory, without RocksDB and its C++ compiler.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

LISTEN="${LISTEN:-127.0.0.1:8080}"
"$REPO/scripts/build.sh" build -p node --no-default-features
. "$REPO/scripts/first-timer.sh"
first_timer "$LISTEN"
exec "$BIN/timerd" dev --listen "$LISTEN" "$@"
