//! The cluster on its stage: network, disks, processes, and the book of what is broken. Faults act on it; a
//! supervisor starts again what ended by itself, as an init system would, and remembers that it did.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::book::Book;
use crate::detour::Detour;
use crate::disk::{Disk, DiskRoom};
use crate::http::Http;
use crate::kind::Kind;
use crate::lies::{self, Lies};
use crate::logs::Logs;
use crate::network::{Network, node_address};
use crate::node::Node;
use crate::process::{Launch, Spawner};
use crate::receiver::Receivers;
use crate::recorder::Recorder;

/// How often nodes flush their state at least: often, so that it is tested.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(5);
/// The product keeps so much of a disk free for what must go on.
pub const DISK_RESERVE_BYTES: u64 = 64 << 20;
/// A node answers this long after its start, or it is not counted as back.
const START_TIME_MAX: Duration = Duration::from_secs(30);
const CLUSTER_START_TIME_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// What an init system waits before it starts a service again.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
const CGROUPS: &str = "/sys/fs/cgroup/cpu";

/// What a run's stage is made of.
#[derive(Clone, Debug)]
pub struct Scene {
    pub pid: u32,
    pub nodes: u32,
    pub shards: u16,
    pub timerd: PathBuf,
    /// The same, built with failpoints, if there is such a build.
    pub failpoints: Option<PathBuf>,
    /// Where logs and configurations go.
    pub out: PathBuf,
    pub kinds: Vec<Kind>,
    pub disabled: BTreeSet<Kind>,
}

/// All of it. The order of the fields is the order of the end: processes, then disks, then what they stood on.
#[derive(Debug)]
pub struct Stage {
    pub nodes: Vec<Arc<Node>>,
    pub spawner: Spawner,
    pub book: Book,
    pub recorder: Recorder,
    pub receivers: Arc<Receivers>,
    pub logs: Arc<Logs>,
    pub http: Http,
    pub scene: Scene,
    /// Cancelled when faults are to end at once.
    pub stop: CancellationToken,
    surprises: Mutex<Vec<String>>,
    _cgroups: Cgroups,
    _room: DiskRoom,
    /// The long way between nodes, if a kind needs it.
    detour: Option<Detour>,
    pub network: Arc<Network>,
}

/// The control groups of a run. Dropping it removes them.
#[derive(Debug)]
struct Cgroups(Vec<PathBuf>);

impl Drop for Cgroups {
    fn drop(&mut self) {
        for path in &self.0 {
            // Its processes have ended, which the kernel may see a moment later.
            for _ in 0..50 {
                if std::fs::remove_dir(path).is_ok() {
                    break;
                }
                crate::clock::wait_blocking(POLL);
            }
        }
    }
}

/// The control group of a node.
fn cgroup(pid: u32, node: u32) -> PathBuf {
    Path::new(CGROUPS).join(format!("dtj{pid}-n{node}"))
}

/// Removes the control groups of runs whose process is gone.
pub fn sweep_cgroups() {
    let entries = std::fs::read_dir(CGROUPS).into_iter().flatten().flatten();
    for entry in entries {
        let owner = crate::network::owner(&entry.file_name().to_string_lossy());
        if owner.is_some_and(|pid| !crate::network::is_alive(pid)) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

impl Stage {
    /// Everything but running processes.
    pub fn set(
        scene: Scene,
        network: Arc<Network>,
        recorder: Recorder,
        receivers: Arc<Receivers>,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let has = |wanted: fn(Kind) -> bool| scene.kinds.iter().any(|kind| wanted(*kind));
        let clocks = has(Kind::is_of_clocks);
        let logs = Arc::new(Logs::new(recorder.clone(), !clocks));
        let room = DiskRoom::make(scene.pid)?;
        let library = has(Kind::is_of_lies).then(|| lies::compile(&scene.out)).transpose()?;
        let mut cgroups = Cgroups(Vec::new());
        let mut nodes = Vec::new();
        for number in 1..=scene.nodes {
            let disk = Disk::make(room.path(), &format!("n{number}"), None)?;
            let config = scene.out.join(format!("n{number}.toml"));
            std::fs::write(&config, configuration(&scene, number, &disk.path().join("data")))?;
            let page = scene.out.join(format!("n{number}.lies"));
            let lies = library.clone().map(|library| Lies::make(library, page)).transpose()?;
            let cgroup = has(|kind| kind == Kind::CpuStarve).then(|| cgroup(scene.pid, number));
            if let Some(path) = &cgroup {
                std::fs::create_dir(path).with_context(|| format!("can't make {}", path.display()))?;
                cgroups.0.push(path.clone());
            }
            let launch = Launch {
                timerd: scene.timerd.clone(),
                namespace: network.node_path(number),
                hosts: network.hosts().to_owned(),
                config,
                log: scene.out.join(format!("n{number}.log")),
                cgroup: cgroup.map(|path| path.join("cgroup.procs")),
                lies,
                failpoint: None,
            };
            nodes.push(Arc::new(Node::new(number, launch, disk, logs.clone())));
        }
        let detour = has(Kind::is_of_detours)
            .then(|| Detour::start(network.detour_devices()?, u64::from(scene.pid)))
            .transpose()?;
        let book = Book::new(recorder.clone(), scene.nodes, scene.shards);
        Ok(Self {
            nodes,
            spawner: Spawner::start()?,
            book,
            recorder,
            receivers,
            logs,
            http: Http::new(),
            scene,
            stop,
            surprises: Mutex::default(),
            _cgroups: cgroups,
            _room: room,
            detour,
            network,
        })
    }

    /// The long way between nodes.
    pub fn detour(&self) -> anyhow::Result<&Detour> {
        self.detour.as_ref().context("there is no long way: this run has no kind that needs it")
    }

    /// Node `number`, from 1.
    pub fn node(&self, number: u32) -> anyhow::Result<Arc<Node>> {
        let place = (number as usize).checked_sub(1).context("nodes count from 1")?;
        self.nodes.get(place).cloned().with_context(|| format!("there is no node {number}"))
    }

    /// Starts all nodes and waits until every shard has a leader.
    pub async fn start(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            node.start(&self.spawner)?;
        }
        let deadline = Instant::now() + CLUSTER_START_TIME_MAX;
        while !self.has_leaders().await {
            anyhow::ensure!(Instant::now() < deadline, "the cluster did not form; {}", self.last_words());
            anyhow::ensure!(!self.stop.is_cancelled(), "stopped");
            if let Some((node, how)) =
                self.nodes.iter().find_map(|node| Some((node.number, node.surprise()?)))
            {
                anyhow::bail!("n{node} ended while the cluster formed: {how}; {}", self.last_words());
            }
            tokio::time::sleep(POLL).await;
        }
        self.book.begin();
        Ok(())
    }

    async fn has_leaders(&self) -> bool {
        for node in &self.nodes {
            let url = format!("{}/api/v1/cluster", node.url());
            let Some(view) = self.http.get(&url, Duration::from_secs(1)).await else { return false };
            let shards = view["shards"].as_array().map_or(&[][..], Vec::as_slice);
            let led = shards.iter().filter(|shard| shard["leader"].is_u64()).count();
            if led != usize::from(self.scene.shards) {
                return false;
            }
        }
        true
    }

    fn last_words(&self) -> String {
        self.nodes.iter().fold(String::new(), |mut words, node| {
            let _ = write!(words, "n{} said last: {} ", node.number, self.logs.last(node.number));
            words
        })
    }

    /// Waits for `ms`, or until everything is to end.
    pub async fn hold(&self, ms: u64) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
        }
    }

    /// Waits until a node answers; starts it again if it ends by itself. For a fault that has taken the node.
    pub async fn wait_back(&self, node: &Node) -> bool {
        let deadline = Instant::now() + START_TIME_MAX;
        while Instant::now() < deadline && !self.stop.is_cancelled() {
            if self.http.get(&format!("{}/readyz", node.url()), Duration::from_secs(1)).await.is_some() {
                return true;
            }
            if let Some(how) = node.end() {
                if node.finds_damage(format!("{how}: {}", self.logs.last(node.number))) {
                    self.book.down(node.number);
                    return false;
                }
                self.surprise(node.number, &how);
                tokio::time::sleep(RESTART_PAUSE).await;
                if let Err(e) = node.start(&self.spawner) {
                    self.surprise(node.number, &format!("it can't be started: {e:#}"));
                }
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// Something ended that nobody had asked to.
    pub fn surprise(&self, node: u32, how: &str) {
        let at_s = self.recorder.now_ns() / 1_000_000_000;
        let line = format!("at {at_s} s n{node}: {how}; it said last: {}", self.logs.last(node));
        println!("SURPRISE {line}");
        self.surprises.lock().push(line);
    }

    /// All that ended so.
    pub fn surprises(&self) -> Vec<String> {
        self.surprises.lock().clone()
    }

    /// Starts again what ends by itself, until `end`.
    pub async fn supervise(self: Arc<Self>, end: CancellationToken) {
        while !end.is_cancelled() {
            for node in &self.nodes {
                if let Some(how) = node.surprise() {
                    self.book.down(node.number);
                    if node.finds_damage(format!("{how}: {}", self.logs.last(node.number))) {
                        continue;
                    }
                    self.surprise(node.number, &how);
                    tokio::time::sleep(RESTART_PAUSE).await;
                    if let Err(e) = node.start(&self.spawner) {
                        self.surprise(node.number, &format!("it can't be started: {e:#}"));
                    }
                    self.book.up(node.number);
                }
            }
            tokio::select! {
                () = end.cancelled() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }
}

/// Small disks, a short log and frequent flushes, so that snapshots, purges and flushes happen within minutes.
fn configuration(scene: &Scene, number: u32, data: &Path) -> String {
    let peers: Vec<String> =
        (1..=scene.nodes).map(|n| format!("\"n{n}={}:7080\"", node_address(n))).collect();
    let address = node_address(number);
    format!(
        "[node]\nname = \"n{number}\"\ndata_dir = {:?}\n\
         [http]\nlisten = \"{address}:8080\"\nrequest_timeout_ms = 4000\n\
         [auth]\nmode = \"none\"\n\
         [peer]\nlisten = \"{address}:7080\"\n\
         [cluster]\nname = \"jepsen\"\nshards = {}\npeers = [{}]\n\
         [raft]\nlog_keep_entries = 100\n\
         [delivery]\nallow = [\"private\"]\n\
         [storage]\ndisk_reserve_bytes = {DISK_RESERVE_BYTES}\nflush_interval_ms = {}\n",
        data.to_string_lossy(),
        scene.shards,
        peers.join(", "),
        FLUSH_INTERVAL.as_millis(),
    )
}
