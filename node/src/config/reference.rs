//! `docs/configuration.md`, made from the table of settings so that it can't lag behind. A test compares the two.

use std::fmt::Write as _;

use super::defaults::{KEYS, Key};
use super::kind::Kind;
use super::show;

const HEAD: &str = "\
<!-- Made from node/src/config/defaults.rs: `UPDATE_DOCS=1 cargo test -p node config`. A test holds the two together. -->
# Configuration of timerd

Settings come in layers, each of which replaces values of those before it, lists whole:

1. the defaults below;
2. TOML files, in the order in which they are named (`timerd serve --config a.toml --config b.toml`);
3. environment variables: `TIMERD_`, the section, two underscores, the key, all in capitals. `TIMERD_HTTP__LISTEN` sets `http.listen`. Lists are separated by commas;
4. flags of the command, where it has one for a setting.

A key that nobody knows is an error, not a comment: the node does not start, and names the file, the line and the key that was probably meant. `timerd config check` prints every fault at once;
`timerd config show` prints the effective settings with where each came from. Times are in milliseconds and sizes in bytes, as the names say.

Examples for each kind of environment are in `config/`. Variables without two underscores that Kubernetes makes for a Service called `timerd` (`TIMERD_SERVICE_HOST`, `TIMERD_PORT`, …) are ignored.
";

/// The documentation of all settings, in Markdown.
pub(super) fn reference() -> String {
    let mut out = String::from(HEAD);
    let mut section = "";
    for key in KEYS {
        let (head, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if head != section {
            let _infallible = writeln!(
                out,
                "\n## [{head}]\n\n| key | default | must be | meaning |\n| --- | --- | --- | --- |"
            );
            section = head;
        }
        let _infallible = writeln!(
            out,
            "| `{name}` | `{}` | {} | {} |",
            show::value(key, &key.default_value()),
            must_be(key),
            key.about
        );
    }
    out.push_str(
        "\n## What must hold between settings\n\n\
         - `raft.election_min_ms` > 2 × `raft.heartbeat_ms`; `raft.election_max_ms` > `raft.election_min_ms`; \
         `raft.probe_ms` ≥ 2 × `raft.election_max_ms`.\n\
         - `http.listen` and `peer.listen` differ. `http.listen` beyond loopback needs `auth.mode = \"none\"` as long as no token is configured.\n\
         - `http.tls_cert_file` and `http.tls_key_file` are both set or neither. `timerd config check` reads them, and `delivery.ca_files`, \
         too: the key belongs to the certificate, which has not expired. Less than 14 days to its end, or another host than that of `http.advertise_url`, is a warning.\n\
         - With `cluster.peers`: `node.name` is among them with the address of `peer.advertise`, no name or address twice, and `http.advertise_url` is set if `http.listen` is unspecified. An even number of members is a warning.\n\
         - `delivery.concurrency_per_destination_max` ≤ `delivery.concurrency_max`.\n",
    );
    out
}

/// The kind for a table cell, with sizes that a reader can take in.
fn must_be(key: &Key) -> String {
    match key.kind {
        Kind::Number { min, max } if key.path.contains("_bytes") => format!("{} to {}", size(min), size(max)),
        Kind::Number { min, max } => format!("{min} to {max}"),
        Kind::HostPort | Kind::Url | Kind::File => format!("{}, or empty", key.kind.expected()),
        Kind::Text
        | Kind::Name
        | Kind::Address
        | Kind::Choice(_)
        | Kind::Addresses
        | Kind::Files
        | Kind::Peers
        | Kind::Filter => key.kind.expected(),
    }
}

fn size(bytes: u64) -> String {
    match (bytes % (1 << 30), bytes % (1 << 20)) {
        (0, _) => format!("{} GiB", bytes >> 30),
        (_, 0) => format!("{} MiB", bytes >> 20),
        _ => format!("{bytes} B"),
    }
}
