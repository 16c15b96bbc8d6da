# What the scripts share: where the build goes, how they speak, and how long something took.
# Sourced, never run. Needs bash; uses nothing that Debian's base system lacks.
# shellcheck shell=bash disable=SC2034

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/durable-timer"

# Outside the checkout, so that a fresh clone finds RocksDB compiled. Nothing relies on its being there.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}"
BIN="$CARGO_TARGET_DIR/release"

say() { printf '%s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# `minutes SECONDS` prints 9m05s.
minutes() { printf '%dm%02ds' $(($1 / 60)) $(($1 % 60)); }

# `free_port` prints a loopback TCP port that nothing listens on. Another process can take it before it
# is used; the caller then fails loudly with "address in use".
free_port() {
    local port tries
    for tries in $(seq 1 200); do
        port=$((20000 + (RANDOM * 32768 + RANDOM + tries) % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    fail "no free port between 20000 and 32000 in 200 tries"
}
