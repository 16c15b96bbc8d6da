#!/usr/bin/env bash
# Checks what the build needs before it starts, and installs what is missing where it may, because a
# build that fails in minute eight for want of libclang costs more than this second does.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

MEMORY_MIB_MIN=2500 # one C++ compiler of RocksDB's larger files peaks below 1 GiB; linking needs more
DISK_MIB_MIN=6000   # the target directory of a full build with tests

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null && return 0
    ldconfig -p 2>/dev/null | grep -q 'libclang'
}

missing_packages() {
    command -v c++ >/dev/null && command -v cc >/dev/null && command -v make >/dev/null || echo build-essential
    command -v clang >/dev/null || echo clang
    has_libclang || echo libclang-dev
    command -v curl >/dev/null || echo curl
    [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] || echo ca-certificates
}

install_missing() {
    local packages log
    packages="$(missing_packages | sort -u | tr '\n' ' ')"
    [ -n "$packages" ] || return 0
    if ! can_install; then
        say "missing: $packages"
        say "run this, then try again:  sudo apt-get update && sudo apt-get install -y $packages"
        say "(not Debian or Ubuntu? a C++20 compiler, clang with libclang, make and curl are what is needed)"
        exit 1
    fi
    log="$(mktemp)"
    say "installing: $packages"
    # shellcheck disable=SC2086 # a list of words
    if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $packages; } >"$log" 2>&1; then
        cat "$log" >&2
        fail "apt-get could not install: $packages"
    fi
    rm -f "$log"
    packages="$(missing_packages | sort -u | tr '\n' ' ')"
    [ -z "$packages" ] || fail "still missing after the installation: $packages"
}

check_rust() {
    local want have
    want="$(sed -n 's/^channel = "\(.*\)"/\1/p' "$REPO/rust-toolchain.toml")"
    command -v cargo >/dev/null || fail "cargo is missing: install Rust $want (https://rustup.rs)"
    # With rustup this also fetches the toolchain that rust-toolchain.toml names.
    have="$(cd "$REPO" && rustc --version | cut -d' ' -f2)" || fail "rustc does not run: install Rust $want"
    if [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n1)" != "$want" ]; then
        fail "Rust $want or newer is needed, this is $have: run 'rustup toolchain install $want'"
    fi
}

check_room() {
    local memory disk
    memory="$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo 2>/dev/null || echo "")"
    if [ -n "$memory" ] && [ "$memory" -lt "$MEMORY_MIB_MIN" ]; then
        say "warning: $memory MiB of memory available, $MEMORY_MIB_MIN wanted: set CARGO_BUILD_JOBS=1 if the build is killed"
    fi
    mkdir -p "$CARGO_TARGET_DIR" || fail "cannot write to $CARGO_TARGET_DIR: set CARGO_TARGET_DIR"
    disk=$(($(df -Pk "$CARGO_TARGET_DIR" | awk 'NR == 2 { print $4 }') / 1024))
    # A cache that is there already has most of what it needs.
    if [ ! -e "$BIN/timerd" ] && [ "$disk" -lt "$DISK_MIB_MIN" ]; then
        fail "$disk MiB free in $CARGO_TARGET_DIR, $DISK_MIB_MIN needed: free some, or set CARGO_TARGET_DIR"
    fi
}

install_missing
check_rust
check_room
