#!/usr/bin/env bash
# The shortest way to a running node: in memory, without RocksDB and its C++ compiler.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

# Made to be there soon, not to be fast: less optimised, and so in a directory of its own.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=0
export CARGO_TARGET_DIR="$CARGO_TARGET_DIR/try"
BIN="$CARGO_TARGET_DIR/release"

LISTEN="${LISTEN:-127.0.0.1:8080}"
"$REPO/scripts/build.sh" build -p node -p cli --no-default-features
say "a receiver for its callbacks, in another terminal:  $BIN/timerctl listen --port 9000"
exec "$BIN/timerd" dev --listen "$LISTEN" "$@"
