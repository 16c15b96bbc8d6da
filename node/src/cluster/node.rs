//! The composition root: what a node is made of and how its parts hang together. How it starts is in `start`, how it
//! ends in `lifetime`.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use raft_store::Stores;
use raft_store::engine::memory::MemoryDisk;
use timer_core::command::Envelope;
use timer_core::time::Span;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::groups::KnownGroups;
use super::housekeeping;
use crate::config::settings::Settings;
use crate::delivery::Sender;
use crate::disk_room::DiskRoom;
use crate::environment::{Clock, Entropy, ManualClock};
use crate::identity::{ClusterIdentity, IdentityFile};
use crate::observability::metrics::Metrics;
use crate::peer::clocks::Clocks;
use crate::peer::frame::{Body, Lane, LogEnd, OutcomesRequest, frame};
use crate::peer::lanes::Lanes;
use crate::peer::network::Acknowledged;
use crate::peer::server::PeerService;
use crate::shard::destinations::Destinations;
use crate::shard::dispatcher::{DispatchContext, ForwardOutcome, LookAhead};
use crate::shard::host::ShardHost;
use crate::sockets::{TcpListener, peers_from};

/// How long one try to bring an outcome to a later leader may take.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(2);

/// What a node is made of.
pub struct NodeParts {
    /// Checked settings.
    pub settings: Settings,
    /// Opened and locked.
    pub identity: IdentityFile,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The same clock, if it is the manual one.
    pub manual_clock: Option<ManualClock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Makes callbacks.
    pub sender: Sender,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Keep everything on this disk in memory, and nothing but the identity in the data directory.
    pub memory: Option<MemoryDisk>,
}

/// A node. It can be asked from the moment it is made; what it can't do yet it says.
pub struct Node {
    /// Settings.
    pub settings: Settings,
    /// This node.
    pub node_id: u64,
    /// Where clients reach this node.
    pub http_url: String,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The same clock, if it is the manual one.
    pub manual_clock: Option<ManualClock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Ends the node's loops.
    pub stop: CancellationToken,
    /// Says why the process must end, if it must.
    pub fatal: tokio::sync::watch::Sender<Option<String>>,
    /// Set while the node shuts down in order.
    pub draining: tokio::sync::watch::Sender<bool>,
    /// The room on this node's disk.
    pub disk: Arc<DiskRoom>,
    /// For readiness.
    pub last_leader: super::view::LastLeader,
    pub(super) identity: Mutex<IdentityFile>,
    sender: Arc<Sender>,
    /// Everything is kept there: no disk is watched.
    pub memory: Option<MemoryDisk>,
    running: OnceLock<Arc<Running>>,
    /// What runs until the node stops.
    pub(super) tasks: TaskTracker,
    attempts: TaskTracker,
}

/// What there is once the cluster is known.
pub struct Running {
    /// This node.
    pub node_id: u64,
    /// Its name.
    pub node_name: String,
    /// Where clients reach it.
    pub http_url: String,
    /// The cluster.
    pub cluster: ClusterIdentity,
    /// The stores of all shards.
    pub stores: Arc<Stores>,
    /// To the peers.
    pub lanes: Arc<Lanes>,
    /// What followers acknowledged.
    pub acknowledged: Arc<Acknowledged>,
    /// Another number for each start of the process.
    pub boot: u64,
    /// Where the logs ended at the start.
    pub log_ends: Vec<LogEnd>,
    /// The comparison of clocks.
    pub clocks: Clocks,
    /// What is known of groups.
    pub groups: KnownGroups,
    /// The shards, by number; the last is the meta shard.
    pub hosts: Vec<Arc<ShardHost>>,
    /// What all dispatchers share.
    pub context: DispatchContext,
    /// Attempts at the same time, at most.
    pub room_max: usize,
    /// The places for tests of callbacks.
    pub callback_tests: Semaphore,
}

impl Node {
    /// A node that has yet to [`Node::run`].
    #[must_use]
    pub fn new(parts: NodeParts) -> Arc<Self> {
        let disk = Arc::new(DiskRoom::new(parts.settings.storage.disk_reserve_bytes));
        let node_id = parts.identity.identity().node_id.0;
        Arc::new(Self {
            node_id,
            http_url: parts.settings.http.advertise_url.clone(),
            settings: parts.settings,
            clock: parts.clock,
            manual_clock: parts.manual_clock,
            entropy: parts.entropy,
            metrics: parts.metrics,
            stop: CancellationToken::new(),
            fatal: tokio::sync::watch::Sender::new(None),
            draining: tokio::sync::watch::Sender::new(false),
            disk,
            last_leader: super::view::LastLeader::default(),
            identity: Mutex::new(parts.identity),
            sender: Arc::new(parts.sender),
            memory: parts.memory,
            running: OnceLock::new(),
            tasks: TaskTracker::new(),
            attempts: TaskTracker::new(),
        })
    }

    /// What there is once the cluster is known.
    #[must_use]
    pub fn running(&self) -> Option<&Arc<Running>> {
        self.running.get()
    }

    /// The cluster, once this node is a member and has said so to its disk.
    #[must_use]
    pub fn cluster_identity(&self) -> Option<ClusterIdentity> {
        self.identity.lock().identity().cluster.clone()
    }

    /// Serves peers on `listener` until the node stops.
    pub fn serve_peers(self: &Arc<Self>, listener: TcpListener) {
        let service = crate::peer::frame::peer_server::PeerServer::new(PeerService::new(self.clone()))
            .max_decoding_message_size(crate::peer::link::FRAME_BYTES_MAX)
            .max_encoding_message_size(crate::peer::link::FRAME_BYTES_MAX);
        let incoming = peers_from(listener);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let server = tonic::transport::Server::builder()
                .initial_stream_window_size(8 << 20)
                .initial_connection_window_size(16 << 20)
                .add_service(service);
            // Lanes never end by themselves: they are dropped rather than drained.
            tokio::select! {
                served = server.serve_with_incoming(incoming) => if let Err(e) = served {
                    tracing::error!(error = %e, "the peer server ended");
                },
                () = stop.cancelled() => {}
            }
        });
    }

    /// Becomes a member and starts the shards.
    ///
    /// # Errors
    /// One line for the operator; the node is of no use then.
    pub async fn run(self: &Arc<Self>) -> Result<(), String> {
        let Some(cluster) = self.become_member().await? else { return Ok(()) };
        let stores = self.open_stores(&cluster).await?;
        let running = self.start_shards(cluster, stores).await?;
        let _ = self.running.set(running.clone());
        self.initialize_shards(&running).await?;
        self.tasks.spawn(housekeeping::run(self.clone(), running));
        Ok(())
    }

    pub(super) fn greetings(
        self: &Arc<Self>,
    ) -> (crate::peer::link::MakeHello, crate::peer::link::CheckHello) {
        let (mine, theirs) = (Arc::downgrade(self), Arc::downgrade(self));
        let hello: crate::peer::link::MakeHello = Arc::new(move |lane| {
            let node = mine.upgrade();
            node.as_ref().and_then(|node| node.running()).map(|running| running.hello(lane))
        });
        let check: crate::peer::link::CheckHello = Arc::new(move |hello| {
            let node = theirs.upgrade().ok_or("the node is stopping")?;
            let running = node.running().ok_or("the node is starting")?;
            running.check_hello(hello)?;
            running.lost_log(hello).map_or(Ok(()), Err)
        });
        (hello, check)
    }

    pub(super) fn dispatch_context(&self, cluster_id: &str) -> DispatchContext {
        let delivery = &self.settings.delivery;
        DispatchContext {
            sender: self.sender.clone(),
            clock: self.clock.clone(),
            room: Arc::new(Semaphore::new(size(delivery.concurrency_max))),
            destinations: Arc::new(Destinations::new(size(delivery.concurrency_per_destination_max))),
            cluster_id: Arc::from(cluster_id),
            metrics: self.metrics.clone(),
            attempts: self.attempts.clone(),
            look_ahead: LookAhead {
                span: Span(delivery.look_ahead_ms),
                timers_max: size(delivery.look_ahead_timers_max),
                bytes_max: size(delivery.look_ahead_bytes_max),
            },
        }
    }

    /// Brings outcomes to whoever leads `shard` now.
    pub(super) fn forward_outcome(self: &Arc<Self>, shard: u16) -> ForwardOutcome {
        let node = Arc::downgrade(self);
        Arc::new(move |envelope: Envelope| {
            let node = node.upgrade();
            Box::pin(async move {
                let Some(running) = node.as_ref().and_then(|node| node.running()) else { return false };
                running.bring_outcome(shard, envelope).await
            })
        })
    }
}

impl Running {
    async fn bring_outcome(&self, shard: u16, envelope: Envelope) -> bool {
        let Some(host) = self.hosts.get(usize::from(shard)) else { return false };
        if host.office().is_some() {
            return host.submit_own(envelope).await.is_ok();
        }
        let Some(link) = host.leader().and_then(|leader| self.lanes.lane(leader.node_id, Lane::Request))
        else {
            return false;
        };
        let entry =
            timer_core::command::Entry { proposed_at: timer_core::time::Millis(0), commands: vec![envelope] };
        let request = OutcomesRequest { entry: proto::entry::encode(&entry) };
        let answer = link.call(frame(shard, Body::Outcomes(request)), FORWARD_TIMEOUT).await;
        matches!(answer, Ok(Body::OutcomesReply(reply)) if reply.accepted)
    }
}

/// A setting as a size; no semaphore takes more.
pub(super) fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

/// Binds a listener, with an error that says what to do.
///
/// # Errors
/// One line that names the setting.
pub async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|e| {
        let reason = if e.kind() == std::io::ErrorKind::AddrInUse {
            "another process listens there; stop it or choose another port".to_owned()
        } else if e.kind() == std::io::ErrorKind::PermissionDenied {
            "not permitted; ports below 1024 need privileges".to_owned()
        } else {
            e.to_string()
        };
        format!("{setting} = {address}: {reason}")
    })
}
