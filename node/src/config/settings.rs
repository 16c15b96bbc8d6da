//! The settings as the rest of the node reads them: typed, complete and checked. What each means, its default
//! and its bounds stand in the table of [`defaults`](super::defaults), not here again.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::fault::ConfigFault;
use super::layers::{Override, Values};
use crate::tls::CertificateFiles;

/// All settings of a node, by section. Times are in milliseconds and sizes in bytes, as the names say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[node]`
    pub node: NodeSettings,
    /// `[http]`
    pub http: HttpSettings,
    /// `[peer]`
    pub peer: PeerSettings,
    /// `[cluster]`
    pub cluster: ClusterSettings,
    /// `[raft]`
    pub raft: RaftSettings,
    /// `[delivery]`
    pub delivery: DeliverySettings,
    /// `[clock]`
    pub clock: ClockSettings,
    /// `[auth]`
    pub auth: AuthSettings,
    /// `[storage]`
    pub storage: StorageSettings,
    /// `[log]`
    pub log: LogSettings,
}

/// `[node]`: this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// Its name in `cluster.peers`.
    pub name: String,
    /// Where it keeps everything.
    pub data_dir: PathBuf,
}

/// `[http]`: the REST API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where clients reach it: a URL without a trailing slash, never empty.
    pub advertise_url: String,
    /// The certificate that is shown; with it the API is served over TLS only.
    pub tls_cert_file: Option<PathBuf>,
    /// The certificate's key; there is one if there is a certificate.
    pub tls_key_file: Option<PathBuf>,
    /// The longest that a request waits for its answer.
    pub request_timeout_ms: u64,
    /// The largest body that is read.
    pub body_bytes_max: u64,
    /// Connections that are open at once.
    pub connections_max: u64,
}

impl HttpSettings {
    /// Where the certificate and its key are, if the API is served over TLS.
    #[must_use]
    pub fn certificate_files(&self) -> Option<CertificateFiles> {
        let (certificate, key) = (self.tls_cert_file.clone()?, self.tls_key_file.clone()?);
        Some(CertificateFiles { certificate, key })
    }
}

/// `[peer]`: the connections between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where peers reach it: `host:port`, never empty.
    pub advertise: String,
}

/// `[cluster]`: whom the node belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The cluster's name.
    pub name: String,
    /// All founding members, this node among them; never empty: a node alone is its own only peer.
    pub peers: Vec<Peer>,
    /// Shards, fixed when the cluster forms.
    pub shards: u16,
}

/// A founding member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Its `node.name`.
    pub name: String,
    /// Where peers reach it: `host:port`.
    pub address: String,
}

/// `[raft]`: replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftSettings {
    /// Between two heartbeats of a leader.
    pub heartbeat_ms: u64,
    /// The shortest election time-out.
    pub election_min_ms: u64,
    /// The longest election time-out; also the leader's lease.
    pub election_max_ms: u64,
    /// How long a leader without a quorum waits before it probes for one.
    pub probe_ms: u64,
    /// Log entries that are kept behind a snapshot.
    pub log_keep_entries: u64,
    /// How long a lone command waits for others to share its entry.
    pub linger_ms: u64,
    /// Commands that wait in one shard's proposal queue.
    pub queue_commands_max: u64,
    /// Bytes of commands that wait in one shard's proposal queue.
    pub queue_bytes_max: u64,
}

/// `[delivery]`: callbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Addresses that callbacks may go to although they are blocked by default.
    pub allow: Vec<String>,
    /// Authorities that are trusted beside those of the operating system.
    pub ca_files: Vec<PathBuf>,
    /// Attempts that are on their way at once.
    pub concurrency_max: u64,
    /// Attempts that are on their way at once to one destination.
    pub concurrency_per_destination_max: u64,
    /// How far ahead a leader keeps timers in memory.
    pub look_ahead_ms: u64,
    /// Timers that one shard's leader keeps in memory.
    pub look_ahead_timers_max: u64,
    /// Bytes of timers that one shard's leader keeps in memory.
    pub look_ahead_bytes_max: u64,
}

/// `[clock]`: the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockSettings {
    /// How far this node's clock may be ahead of the quorum's median before it gives up leadership.
    pub offset_max_ms: u64,
}

/// `[auth]`: who may use the REST API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSettings {
    /// How callers show who they are.
    pub mode: AuthMode,
}

/// How callers of the REST API show who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// By bearer tokens. Without any token configured the API may only listen on loopback.
    Tokens,
    /// Not at all: whoever reaches the port may do everything.
    None,
}

/// `[storage]`: the databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageSettings {
    /// The block cache of the state database, shared by all shards.
    pub state_cache_bytes: u64,
    /// One memtable of the state database.
    pub memtable_bytes: u64,
    /// The oldest that unflushed state grows.
    pub flush_interval_ms: u64,
    /// Log that is not purged yet, of all shards together, before the state is flushed.
    pub flush_log_bytes: u64,
    /// Free bytes below which creates are refused.
    pub disk_reserve_bytes: u64,
    /// How long a log sync may take before the node gives up its leaderships.
    pub sync_stall_ms: u64,
}

/// `[log]`: what the process prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Its form.
    pub format: LogFormat,
    /// Which events, in the syntax of tracing's `EnvFilter`.
    pub filter: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Settings {
    /// Loads the settings; [`load`](super::load) also tells where each came from, and the warnings.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn load(
        files: &[PathBuf],
        environment: &[(String, String)],
        overrides: &[Override],
    ) -> Result<Self, Vec<ConfigFault>> {
        super::load(files, environment, overrides).map(|loaded| loaded.settings)
    }

    /// The settings of `timerd dev`: one node at `listen`, without authentication, whose callbacks may go to
    /// loopback and private addresses.
    #[must_use]
    pub fn dev(listen: SocketAddr, data_dir: PathBuf) -> Self {
        let mut settings = Self::from_values(&Values::defaults());
        settings.node.name = "dev".into();
        settings.node.data_dir = data_dir;
        settings.http.listen = listen;
        settings.http.advertise_url = advertised_url("", listen, false);
        settings.cluster.name = "dev".into();
        settings.cluster.peers = vec![Peer { name: "dev".into(), address: settings.peer.advertise.clone() }];
        settings.delivery.allow = vec!["loopback".into(), "private".into()];
        settings.auth.mode = AuthMode::None;
        settings.log.format = LogFormat::Text;
        settings
    }

    /// The typed form of `values`, in which every key of the table has a value of its kind.
    pub(super) fn from_values(values: &Values) -> Self {
        let name = values.text("node.name");
        let peer_listen = values.address("peer.listen");
        let listed: Vec<Peer> = values.list("cluster.peers").iter().filter_map(|p| Peer::parse(p)).collect();
        let advertise = advertised_peer(values.text("peer.advertise"), name, &listed, peer_listen);
        let alone = || vec![Peer { name: name.into(), address: advertise.clone() }];
        let peers = if listed.is_empty() { alone() } else { listed };
        Self {
            node: NodeSettings { name: name.into(), data_dir: values.text("node.data_dir").into() },
            http: http(values),
            peer: PeerSettings { listen: peer_listen, advertise },
            cluster: ClusterSettings {
                name: values.text("cluster.name").into(),
                peers,
                shards: u16::try_from(values.number("cluster.shards")).unwrap_or(u16::MAX),
            },
            raft: raft(values),
            delivery: delivery(values),
            clock: ClockSettings { offset_max_ms: values.number("clock.offset_max_ms") },
            auth: AuthSettings {
                mode: if values.text("auth.mode") == "none" { AuthMode::None } else { AuthMode::Tokens },
            },
            storage: StorageSettings {
                state_cache_bytes: values.number("storage.state_cache_bytes"),
                memtable_bytes: values.number("storage.memtable_bytes"),
                flush_interval_ms: values.number("storage.flush_interval_ms"),
                flush_log_bytes: values.number("storage.flush_log_bytes"),
                disk_reserve_bytes: values.number("storage.disk_reserve_bytes"),
                sync_stall_ms: values.number("storage.sync_stall_ms"),
            },
            log: LogSettings {
                format: if values.text("log.format") == "text" { LogFormat::Text } else { LogFormat::Json },
                filter: values.text("log.filter").into(),
            },
        }
    }
}

fn http(values: &Values) -> HttpSettings {
    let file = |path| Some(values.text(path)).filter(|text| !text.is_empty()).map(PathBuf::from);
    let (listen, tls_cert_file) = (values.address("http.listen"), file("http.tls_cert_file"));
    HttpSettings {
        listen,
        advertise_url: advertised_url(values.text("http.advertise_url"), listen, tls_cert_file.is_some()),
        tls_cert_file,
        tls_key_file: file("http.tls_key_file"),
        request_timeout_ms: values.number("http.request_timeout_ms"),
        body_bytes_max: values.number("http.body_bytes_max"),
        connections_max: values.number("http.connections_max"),
    }
}

fn delivery(values: &Values) -> DeliverySettings {
    DeliverySettings {
        allow: values.list("delivery.allow").to_vec(),
        ca_files: values.list("delivery.ca_files").iter().map(PathBuf::from).collect(),
        concurrency_max: values.number("delivery.concurrency_max"),
        concurrency_per_destination_max: values.number("delivery.concurrency_per_destination_max"),
        look_ahead_ms: values.number("delivery.look_ahead_ms"),
        look_ahead_timers_max: values.number("delivery.look_ahead_timers_max"),
        look_ahead_bytes_max: values.number("delivery.look_ahead_bytes_max"),
    }
}

fn raft(values: &Values) -> RaftSettings {
    RaftSettings {
        heartbeat_ms: values.number("raft.heartbeat_ms"),
        election_min_ms: values.number("raft.election_min_ms"),
        election_max_ms: values.number("raft.election_max_ms"),
        probe_ms: values.number("raft.probe_ms"),
        log_keep_entries: values.number("raft.log_keep_entries"),
        linger_ms: values.number("raft.linger_ms"),
        queue_commands_max: values.number("raft.queue_commands_max"),
        queue_bytes_max: values.number("raft.queue_bytes_max"),
    }
}

impl Peer {
    /// Reads `name=host:port`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, address) = text.split_once('=')?;
        let (name, address) = (name.trim(), address.trim());
        (super::kind::node_name_fits(name) && super::kind::host_port_fits(address))
            .then(|| Self { name: name.into(), address: address.into() })
    }
}

fn advertised_url(configured: &str, listen: SocketAddr, secure: bool) -> String {
    match configured.trim_end_matches('/') {
        "" if secure => format!("https://{listen}"),
        "" => format!("http://{listen}"),
        url => url.into(),
    }
}

/// What is written out, else this node's entry in the list of peers, else where it listens.
fn advertised_peer(configured: &str, name: &str, peers: &[Peer], listen: SocketAddr) -> String {
    if !configured.is_empty() {
        return configured.into();
    }
    peers.iter().find(|p| p.name == name).map_or_else(|| listen.to_string(), |p| p.address.clone())
}
