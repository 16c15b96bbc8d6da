#!/usr/bin/env bash
# Runs one cargo build and shows that it is alive: RocksDB alone takes minutes, and cargo says nothing
# meanwhile. Arguments go to cargo; without any, the three binaries are built.
#
# Always the whole workspace: a build of one package can choose other features for shared dependencies
# and compile them a second time.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

[ $# -gt 0 ] || set -- build --workspace --bins

# Cargo knows a source by its place in the workspace and its time, so what another checkout has built in this
# target directory would pass for ours where our file is the older one.
mkdir -p "$CARGO_TARGET_DIR"
if [ "$(cat "$CARGO_TARGET_DIR/built-from" 2>/dev/null)" != "$REPO" ]; then
    # Not with git: a checkout can be an unpacked archive on a machine that has none.
    find . -name target -prune -o \( -name '*.rs' -o -name '*.proto' \) -exec touch -c {} +
    echo "$REPO" >"$CARGO_TARGET_DIR/built-from"
fi

started=$SECONDS
work="$(mktemp -d)"
cargo_pid=""
stop() {
    [ -z "$cargo_pid" ] || kill "$cargo_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

crates_total() {
    local edges=normal,build
    case "$1" in test | clippy) edges=normal,build,dev ;; esac
    cargo tree --locked --workspace -e "$edges" --prefix none --no-dedupe --format '{p}' 2>/dev/null |
        sort -u | wc -l
}
crates_done() { grep -o '"package_id":"[^"]*"' "$work/artifacts" 2>/dev/null | sort -u | wc -l; }

# The archive is one object a source file; the list of sources comes with the crate.
objects_total() {
    local list
    list="$(compgen -G "${CARGO_HOME:-$HOME/.cargo}/registry/src/*/librocksdb-sys-*/rocksdb_lib_sources.txt" | tail -n1)" || true
    if [ -n "$list" ]; then grep -c . "$list"; else echo '?'; fi
}
# Only a build that is under way counts: its directory is newer than the start of this script.
objects_done() {
    find "$CARGO_TARGET_DIR/release/build" -path '*/librocksdb-sys-*/out/*' -name '*.o' -newer "$work/start" 2>/dev/null | wc -l
}

progress() {
    local line objects
    line="  building: $(crates_done) of about $total crates"
    objects="$(objects_done)"
    [ "$objects" = 0 ] || line="$line, RocksDB $objects of $(objects_total) objects"
    printf '%s, %s' "$line" "$(minutes $((SECONDS - started)))"
}

# What cargo wrote, less its status lines: the compilers' warnings and errors.
messages() { grep -vE '^ +[A-Z][a-z]+ ' "$work/log" >&2 || true; }

touch "$work/start"
# Without it cargo says what is wrong, which is worth more than a number.
total="$(crates_total "$1" || true)"
cargo "$1" --release --locked --message-format json-render-diagnostics "${@:2}" >"$work/artifacts" 2>"$work/log" &
cargo_pid=$!

# On a terminal one line that is rewritten each second; elsewhere one line a minute.
if [ -t 2 ]; then every=1 head='\r\033[K' tail=''; else every=60 head='' tail='\n'; fi
shown=$SECONDS
while kill -0 "$cargo_pid" 2>/dev/null; do
    if [ $((SECONDS - shown)) -ge "$every" ]; then
        # shellcheck disable=SC2059 # head and tail hold escapes
        printf "$head%s$tail" "$(progress)" >&2
        shown=$SECONDS
    fi
    sleep 0.5
done
[ ! -t 2 ] || printf '\r\033[K' >&2

status=0
wait "$cargo_pid" || status=$?
cargo_pid=""
if [ "$status" != 0 ]; then
    messages
    fail "cargo $1 failed after $(minutes $((SECONDS - started)))"
fi
messages
say "  built: $(crates_done) crates in $(minutes $((SECONDS - started))), in $BIN"
