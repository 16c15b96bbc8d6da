//! The one table of all settings: key, kind with bounds, default, and what it is for. `docs/configuration.md`
//! is made from it, unknown keys are found by it, and every value comes from it unless a layer says otherwise.

use timer_core::limits::CLOCK_OFFSET_MAX;

use super::kind::{Kind, Value};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`, with the unit last.
    pub path: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is when nobody says.
    pub default: Default,
    /// Why one would set it: sentences for the documentation.
    pub about: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
}

/// A default that a `const` table can hold.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// A text, or the text of an address.
    Text(&'static str),
    /// A whole number.
    Number(u64),
    /// A list.
    List(&'static [&'static str]),
}

impl Key {
    /// The default as a value. A test proves that every default fits its kind.
    #[must_use]
    pub fn default_value(&self) -> Value {
        match (self.kind, self.default) {
            (Kind::Address, Default::Text(text)) => text
                .parse()
                .map_or_else(|_| unreachable!("the default of {} is an address", self.path), Value::Address),
            (_, Default::Text(text)) => Value::Text(text.into()),
            (_, Default::Number(n)) => Value::Number(n),
            (_, Default::List(items)) => Value::List(items.iter().map(|&item| item.into()).collect()),
        }
    }

    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.path.replace('.', "__").to_ascii_uppercase())
    }
}

/// What every environment variable of a setting begins with.
pub const VARIABLE_PREFIX: &str = "TIMERD_";

/// Finds a setting.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

const fn number(path: &'static str, min: u64, max: u64, default: u64, about: &'static str) -> Key {
    Key { path, kind: Kind::Number { min, max }, default: Default::Number(default), about, secret: false }
}

const fn text(path: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { path, kind, default: Default::Text(default), about, secret: false }
}

const fn list(path: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { path, kind, default: Default::List(&[]), about, secret: false }
}

/// Less of what openraft says about a peer that is away: ten lines a second for each shard, where "peer lane is down" has
/// said it once. What it says of snapshots and of its own log stays.
const LOG_FILTER: &str = "info,openraft=warn,openraft::core::heartbeat=error,openraft::replication=error,\
    openraft::replication::snapshot_transmitter=warn,openraft::replication::stream_state=warn,\
    openraft::engine::handler::replication_handler=error";

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND_MS: u64 = 1000;
const HOUR_MS: u64 = 3600 * SECOND_MS;

/// Every setting, by section.
pub const KEYS: &[Key] = &[
    text(
        "node.name",
        Kind::Name,
        "n1",
        "The name of this node, as `cluster.peers` lists it. It is written \
        into the data directory, which then serves no other node.",
    ),
    text(
        "node.data_dir",
        Kind::Text,
        "/var/lib/timerd",
        "Where the node keeps its identity, its log and its \
        state. It must be a local disk that honours fsync, and belongs to one process.",
    ),
    text(
        "http.listen",
        Kind::Address,
        "127.0.0.1:8080",
        "Where the REST API listens. Beyond loopback it \
        needs tokens, or `auth.mode = \"none\"` written out.",
    ),
    text(
        "http.advertise_url",
        Kind::Url,
        "",
        "Where clients reach this node's REST API, as `/cluster/routing` \
        tells them. Empty: made from `http.listen`, which then must not be `0.0.0.0` or `[::]` in a cluster; \
        https with `http.tls_cert_file`.",
    ),
    text(
        "http.tls_cert_file",
        Kind::File,
        "",
        "The certificate of the REST API in PEM, followed by those of its \
        authorities but the root. With it the API is served over TLS only (1.2 and 1.3). It is read again when the \
        file changes, and at SIGHUP; one that can't be used leaves the one before in place.",
    ),
    text(
        "http.tls_key_file",
        Kind::File,
        "",
        "The private key of `http.tls_cert_file` in PEM, not encrypted.",
    ),
    number(
        "http.request_timeout_ms",
        100,
        300 * SECOND_MS,
        10 * SECOND_MS,
        "The longest that a request waits \
        for an answer before it gets a 504. It should outlast a fail-over.",
    ),
    number(
        "http.body_bytes_max",
        MIB,
        256 * MIB,
        24 * MIB,
        "The largest body of a batch; more is a 413. \
        16 MiB of payloads take 22 MiB in base64. Any other request takes at most 1 MiB.",
    ),
    number(
        "http.connections_max",
        1,
        1_000_000,
        10_000,
        "Open connections of clients; more wait to be \
        accepted.",
    ),
    text(
        "peer.listen",
        Kind::Address,
        "127.0.0.1:7080",
        "Where the node listens for its peers. Whoever \
        reaches this port is trusted: keep it on a private network.",
    ),
    text(
        "peer.advertise",
        Kind::HostPort,
        "",
        "Where peers reach this node. Empty: this node's entry in \
        `cluster.peers`, or `peer.listen` when it is alone.",
    ),
    text(
        "cluster.name",
        Kind::Name,
        "timers",
        "The name of the cluster. Nodes of another name are refused, so \
        that a wrong address can't mix two clusters.",
    ),
    list(
        "cluster.peers",
        Kind::Peers,
        "The founding members, this node among them, as \"name=host:port\" or \
        as tables of `name` and `address`. Empty: the node is a cluster of its own. Read only until the \
        cluster has formed.",
    ),
    number(
        "cluster.shards",
        1,
        256,
        4,
        "Shards of the cluster: Raft groups that lead and fire independently. \
        Fixed when the cluster forms. One takes more than ten thousand creates a second; on few cores fewer are faster, \
        since each has entries, syncs and heartbeats of its own. 4 do for most, 8 to 16 for machines with many cores.",
    ),
    number(
        "raft.heartbeat_ms",
        10,
        10 * SECOND_MS,
        200,
        "Between two heartbeats of a leader. Shorter finds a \
        dead leader sooner and costs more when idle.",
    ),
    number(
        "raft.election_min_ms",
        30,
        60 * SECOND_MS,
        600,
        "The shortest time without a heartbeat after which \
        a follower stands for election: more than two heartbeats.",
    ),
    number(
        "raft.election_max_ms",
        40,
        120 * SECOND_MS,
        1000,
        "The longest such time. Also the leader's \
        lease, so a fail-over takes at most twice this, plus a round of votes.",
    ),
    number(
        "raft.probe_ms",
        80,
        600 * SECOND_MS,
        2000,
        "How long a leader that lost its quorum is silent \
        before it probes for one: at least twice `raft.election_max_ms`, else a half-open network could \
        block elections for ever.",
    ),
    number(
        "raft.log_keep_entries",
        100,
        10_000_000,
        20_000,
        "Log entries of a shard that are kept behind its \
        state, so that a follower that was away catches up without a snapshot.",
    ),
    number(
        "raft.linger_ms",
        0,
        100,
        1,
        "How long a log entry at most waits for as many commands as the one before it \
        had. More throughput, later answers; a lone client never waits.",
    ),
    number(
        "raft.queue_commands_max",
        100,
        1_000_000,
        16_384,
        "Commands that wait in one shard's proposal \
        queue; more are answered 503 with `Retry-After`.",
    ),
    number(
        "raft.queue_bytes_max",
        MIB,
        4 * GIB,
        64 * MIB,
        "Bytes of commands that wait in one shard's \
        proposal queue; more are answered 503 with `Retry-After`.",
    ),
    list(
        "delivery.allow",
        Kind::Addresses,
        "Addresses that callbacks may go to although loopback, private, \
        link-local, CGNAT, multicast and metadata addresses are blocked: \"loopback\", \"private\", IP \
        addresses, CIDR blocks, host names. A metadata service in a block needs an entry of its own.",
    ),
    list(
        "delivery.ca_files",
        Kind::Files,
        "Certificate authorities in PEM that receivers' certificates may come from, \
        beside those of the operating system. Read at the start.",
    ),
    number(
        "delivery.concurrency_max",
        1,
        100_000,
        1024,
        "Callbacks on their way at once, over all shards that \
        this node leads.",
    ),
    number(
        "delivery.concurrency_per_destination_max",
        1,
        100_000,
        128,
        "Callbacks on their way at once to one \
        destination, so that one that hangs can't take all of `delivery.concurrency_max`.",
    ),
    number(
        "delivery.look_ahead_ms",
        SECOND_MS,
        HOUR_MS,
        60 * SECOND_MS,
        "How far ahead a leader keeps timers \
        in memory.",
    ),
    number(
        "delivery.look_ahead_timers_max",
        1000,
        10_000_000,
        100_000,
        "Timers that a leader keeps in memory \
        for one shard. When more are near, the look-ahead gets shorter, not the list.",
    ),
    number(
        "delivery.look_ahead_bytes_max",
        MIB,
        64 * GIB,
        64 * MIB,
        "Bytes of timers that a leader keeps in \
        memory for one shard.",
    ),
    number(
        "clock.offset_max_ms",
        1,
        CLOCK_OFFSET_MAX.0,
        CLOCK_OFFSET_MAX.0,
        "How far this node's clock may be ahead of the \
        quorum's median. Beyond it the node leads no shard: a timer is never early by more than this. It can be \
         less than the default, not more: the replicated rules count on that.",
    ),
    text(
        "auth.mode",
        Kind::Choice(&["tokens", "none"]),
        "tokens",
        "How callers of the REST API show who they \
        are. `tokens`: without a token configured the API listens on loopback only. `none`: whoever reaches \
        the port may do everything.",
    ),
    number(
        "storage.state_cache_bytes",
        MIB,
        1024 * GIB,
        64 * MIB,
        "The block cache of the state database, \
        for all shards together.",
    ),
    number(
        "storage.memtable_bytes",
        MIB,
        4 * GIB,
        32 * MIB,
        "One memtable of the state database; up to three \
        exist at once.",
    ),
    number(
        "storage.flush_interval_ms",
        SECOND_MS,
        HOUR_MS,
        60 * SECOND_MS,
        "The oldest that unflushed state \
        grows, so that an idle shard does not pin the log.",
    ),
    number(
        "storage.flush_log_bytes",
        MIB,
        1024 * GIB,
        512 * MIB,
        "Bytes of log, of all shards together, after \
        which the state is flushed so that the log can be purged.",
    ),
    number(
        "storage.disk_reserve_bytes",
        0,
        1024 * GIB,
        256 * MIB,
        "Creates and updates are answered 507 while the disk \
        of the data directory has less room than this, so that timers still fire and can be deleted. 0: never.",
    ),
    number(
        "storage.sync_stall_ms",
        100,
        60 * SECOND_MS,
        2000,
        "How long a sync of the log may take before the \
        node gives up its leaderships: a disk that hangs must not hold a shard.",
    ),
    text(
        "log.format",
        Kind::Choice(&["json", "text"]),
        "json",
        "The form of log lines: one JSON object a \
        line, or text for people.",
    ),
    text(
        "log.filter",
        Kind::Filter,
        LOG_FILTER,
        "Which events are logged, in the syntax of tracing's EnvFilter.",
    ),
];
