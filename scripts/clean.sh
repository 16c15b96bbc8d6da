#!/usr/bin/env bash
# Removes what the workspace compiled and keeps its dependencies, because RocksDB takes minutes to come back.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

cargo clean --release --workspace
say "kept: the dependencies in $CARGO_TARGET_DIR; remove that directory to be rid of them too"
