//! A node as a turmoil host: the product's own code from its sockets to its stores, on a disk in memory that
//! outlives it. Deliberately absent: when it is killed and started again ([`crate::nemesis`]).

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use node::cluster::node::{Node, NodeParts, bind};
use node::config::Settings;
use node::delivery::{AddressPolicy, Resolve, Sender, SenderSettings};
use node::identity::IdentityFile;
use node::observability::metrics::Metrics;
use parking_lot::Mutex;
use raft_store::engine::memory::{MemoryDisk, SyncTime};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;

use crate::clock::{SeededEntropy, SimClock};

/// What of a node outlives its process.
pub struct Machine {
    /// 1 and up: its place among the nodes, and in the history.
    pub number: u32,
    /// Its host's name.
    pub name: String,
    /// Its settings.
    pub settings: Settings,
    /// Its log and state.
    pub disk: MemoryDisk,
    /// What a fault adds to every sync of the disk, in milliseconds.
    pub sync_more_ms: Arc<AtomicU64>,
    /// Its wall clock.
    pub clock: SimClock,
    /// What its entropy comes from, and how often it was started.
    pub seed: u64,
    process: RefCell<Process>,
}

#[derive(Default)]
struct Process {
    starts: u64,
    node: Option<Arc<Node>>,
    /// Whether it was asked to stop: perhaps before it has begun.
    stop: watch::Sender<bool>,
    ended: Option<Result<(), String>>,
}

impl Machine {
    /// A machine that was never switched on.
    #[must_use]
    pub fn new(number: u32, settings: Settings, sync_max: Duration, seed: u64) -> Rc<Self> {
        let name = settings.node.name.clone();
        let sync_more_ms = Arc::new(AtomicU64::new(0));
        let disk = MemoryDisk::new(true).with_sync_time(sync_time(sync_max, sync_more_ms.clone(), seed));
        let (clock, process) = (SimClock::default(), RefCell::default());
        Rc::new(Self { number, name, settings, disk, sync_more_ms, clock, seed, process })
    }

    /// The node, while its process lives.
    #[must_use]
    pub fn node(&self) -> Option<Arc<Node>> {
        self.process.borrow().node.clone()
    }

    /// How the process ended by itself, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Result<(), String>> {
        self.process.borrow().ended.clone()
    }

    /// Asks the process to stop in order.
    pub fn ask_to_stop(&self) {
        self.process.borrow().stop.send_replace(true);
    }

    /// The process is gone: lets go of what it held.
    pub fn forget_process(&self) {
        let starts = self.process.borrow().starts;
        let old = self.process.replace(Process { starts, ..Process::default() });
        drop(old);
    }

    /// The host's software: runs until the host is crashed.
    pub async fn software(self: Rc<Self>) -> turmoil::Result {
        let (start, asked) = {
            let mut process = self.process.borrow_mut();
            process.starts += 1;
            (process.starts, process.stop.subscribe())
        };
        let ended = self.run(start, asked).await;
        if let Err(reason) = &ended {
            tracing::warn!(target: "sim", node = self.name, reason, "the process ended");
        }
        self.process.borrow_mut().ended = Some(ended);
        // Whoever ends a process closes its sockets: the driver does that by crashing the host.
        std::future::pending().await
    }

    /// What `timerd serve` does between its start and a signal.
    async fn run(&self, start: u64, mut asked: watch::Receiver<bool>) -> Result<(), String> {
        let settings = self.settings.clone();
        let entropy = Arc::new(SeededEntropy::new(self.seed.wrapping_mul(31).wrapping_add(start)));
        let (name, cluster) = (&settings.node.name, &settings.cluster.name);
        let identity = IdentityFile::open_or_create(&settings.node.data_dir, name, cluster, &*entropy)
            .map_err(|e| e.to_string())?;
        let clock = Arc::new(self.clock.clone());
        let policy = AddressPolicy::from_settings(&settings.delivery.allow).map_err(|e| e.to_string())?;
        let sending = SenderSettings {
            resolver: Arc::new(SimResolver),
            roots: Some(rustls::RootCertStore::empty()),
            ..SenderSettings::default()
        };
        let sender = Sender::new(policy.clone(), clock.clone(), sending).map_err(|e| e.to_string())?;
        let http_listener = bind("http.listen", settings.http.listen).await?;
        let peer_listener = bind("peer.listen", settings.peer.listen).await?;
        let node = Node::new(NodeParts {
            settings,
            identity,
            clock,
            manual_clock: None,
            entropy,
            sender,
            metrics: Arc::new(Metrics::new()),
            memory: Some(self.disk.clone()),
        });
        self.process.borrow_mut().node = Some(node.clone());
        node.serve_peers(peer_listener);
        node.live(policy, http_listener, None, async move {
            let _ = asked.wait_for(|asked| *asked).await;
        })
        .await
    }
}

/// Up to `longest`, and what a fault adds.
fn sync_time(longest: Duration, more_ms: Arc<AtomicU64>, seed: u64) -> SyncTime {
    let rng = Mutex::new(SmallRng::seed_from_u64(seed ^ 0x5d15c));
    SyncTime(Arc::new(move || {
        let usual = longest.mul_f64(rng.lock().random_range(0.05..1.0));
        usual + Duration::from_millis(more_ms.load(Ordering::Relaxed))
    }))
}

/// Names of turmoil's hosts, written as `name.sim`.
#[derive(Debug)]
struct SimResolver;

impl Resolve for SimResolver {
    fn resolve(&self, host: &str) -> BoxFuture<'static, std::io::Result<Vec<std::net::IpAddr>>> {
        let address = turmoil::lookup(host);
        futures_util::future::ready(Ok(vec![address])).boxed()
    }
}

/// Where a node keeps its identity: the one thing that lies on the real disk.
#[must_use]
pub fn data_dir(work: &std::path::Path, name: &str) -> PathBuf {
    work.join(name)
}
