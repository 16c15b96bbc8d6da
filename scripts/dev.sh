#!/usr/bin/env bash
# One durable node for development. Its data outlives the checkout and the next `make clean`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

LISTEN="${LISTEN:-127.0.0.1:8080}"
DATA_DIR="${DATA_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/durable-timer/dev}"
"$REPO/scripts/preflight.sh"
"$REPO/scripts/build.sh"
mkdir -p "$DATA_DIR"
say "a receiver for its callbacks, in another terminal:  $BIN/timerctl listen --port 9000"
exec "$BIN/timerd" dev --listen "$LISTEN" --data-dir "$DATA_DIR" "$@"
