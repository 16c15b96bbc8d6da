//! A cluster of `timerd serve` processes.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::client::{Answer, Client, eventually};

const START: Duration = Duration::from_secs(30);

/// One node.
pub struct Process {
    pub name: String,
    pub url: String,
    pub data: PathBuf,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

/// Nodes, and a client for them.
pub struct Cluster {
    pub nodes: Vec<Process>,
    pub client: Client,
    _dir: Option<TempDir>,
    _turn: OwnedMutexGuard<()>,
}

/// One cluster at a time: several on two cores would measure each other.
static TURN: LazyLock<Arc<Mutex<()>>> = LazyLock::new(Arc::default);

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Process {
    /// Starts the process.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_timerd"));
        // The tests' own variables look like settings, which a node refuses if it does not know them.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"TIMERD_"))
        {
            command.env_remove(name);
        }
        let child = command
            .args(["serve", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.as_ref().unwrap().id()).unwrap()).unwrap()
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) {
        kill_process(self.pid(), Signal::KILL).unwrap();
        self.child.take().unwrap().wait().unwrap();
    }

    /// SIGTERM, and waits for its end; gives the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.child.take().unwrap().wait().unwrap().code()
    }

    pub fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Waits for the process to end by itself; gives the exit code.
    pub async fn wait_for_end(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        tokio::task::spawn_blocking(move || child.wait().unwrap().code()).await.unwrap()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.len().saturating_sub(60);
            eprintln!("--- the end of {}'s log\n{}", self.name, lines[tail..].join("\n"));
        }
    }
}

impl Cluster {
    /// A cluster of `number` nodes with `shards` shards, ready.
    pub async fn start(number: usize, shards: u16) -> Self {
        Self::start_with(number, shards, "").await
    }

    /// The same, with lines of configuration for every node.
    pub async fn start_with(number: usize, shards: u16, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Self::start_in(dir.path(), number, shards, more).await;
        cluster._dir = Some(dir);
        cluster
    }

    /// The same, in a directory that the caller made and removes: `n1`, `n2`... are the nodes' data.
    pub async fn start_in(root: &Path, number: usize, shards: u16, more: &str) -> Self {
        let turn = TURN.clone().lock_owned().await;
        let names: Vec<String> = (1..=number).map(|n| format!("n{n}")).collect();
        let peers: Vec<String> = names.iter().map(|name| format!("{name}={}", free_address())).collect();
        let mut nodes = Vec::new();
        for (name, peer) in names.iter().zip(&peers) {
            let http = free_address();
            let (_, peer_address) = peer.split_once('=').unwrap();
            let data = root.join(name);
            let config = root.join(format!("{name}.toml"));
            let listed = serde_json::to_string(&peers).unwrap();
            let text = format!(
                "{more}\n[node]\nname = \"{name}\"\ndata_dir = {:?}\n[http]\nlisten = \"{http}\"\n[peer]\nlisten = \
                 \"{peer_address}\"\n[cluster]\nname = \"test\"\nshards = {shards}\npeers = {listed}\n[delivery]\n\
                 allow = [\"loopback\"]\n",
                data.to_str().unwrap()
            );
            fs::write(&config, text).unwrap();
            let log = root.join(format!("{name}.log"));
            let url = format!("http://{http}");
            nodes.push(Process { name: name.clone(), url, data, config, log, child: None });
        }
        let mut cluster = Self { nodes, client: Client::new(), _dir: None, _turn: turn };
        cluster.nodes.iter_mut().for_each(Process::start);
        cluster.wait_ready().await;
        cluster
    }

    /// Waits until every shard has a leader that every running node agrees on.
    pub async fn wait_ready(&self) {
        eventually("every shard has a leader in office", START, || async {
            let running = self.nodes.iter().filter(|node| node.runs());
            let mut seen = Vec::new();
            for node in running {
                let view =
                    self.client.send("GET", &format!("{}/api/v1/cluster", node.url), &[], None).await.ok()?;
                let leaders: Vec<Option<u64>> =
                    view.json["shards"].as_array()?.iter().map(|shard| shard["leader"].as_u64()).collect();
                let alive: Vec<u64> = view.json["nodes"]
                    .as_array()?
                    .iter()
                    .filter(|n| n["reachable"].as_bool() == Some(true))
                    .filter_map(|n| n["id"].as_u64())
                    .collect();
                let settled = !leaders.is_empty()
                    && leaders.iter().all(|leader| leader.is_some_and(|leader| alive.contains(&leader)));
                settled.then_some(())?;
                seen.push(leaders);
            }
            seen.windows(2).all(|pair| pair[0] == pair[1]).then_some(())
        })
        .await;
        self.wait_writable().await;
    }

    /// Waits until a timer of every shard can be written.
    async fn wait_writable(&self) {
        let node = self.nodes.iter().find(|node| node.runs()).unwrap();
        for n in 0..40 {
            let url = format!("{}/api/v1/groups/default/timers/probe-{n}", node.url);
            let body = json!({"delay": "3000d", "callbackUrl": "http://127.0.0.1:1/"});
            eventually("a write is taken", START, || async {
                let answer = self.client.send("PUT", &url, &[], Some(&body)).await.ok()?;
                (answer.status < 300).then_some(())
            })
            .await;
        }
    }

    /// The node that leads `shard`, by its place in `nodes`, as the first running node sees it.
    pub async fn leader_of(&self, shard: usize) -> usize {
        eventually("a leader is known", START, || async {
            let node = self.nodes.iter().find(|node| node.runs())?;
            let url = format!("{}/api/v1/cluster", node.url);
            let view = self.client.send("GET", &url, &[], None).await.ok()?.json;
            let leader = view["shards"][shard]["leader"].as_u64()?;
            let member = view["nodes"].as_array()?.iter().find(|n| n["id"].as_u64() == Some(leader))?;
            let name = member["name"].as_str()?;
            let place = self.nodes.iter().position(|node| node.name == name)?;
            self.nodes[place].runs().then_some(place)
        })
        .await
    }

    /// The URL of a timer at a node.
    pub fn timer(&self, node: usize, id: &str) -> String {
        let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
        format!("{}/api/v1/groups/default/timers/{id}", self.nodes[node].url)
    }

    /// PUT of a timer through a node.
    pub async fn put(&self, node: usize, id: &str, body: &Value) -> Result<Answer, String> {
        self.client.send("PUT", &self.timer(node, id), &[], Some(body)).await
    }

    /// GET of a timer through a node.
    pub async fn get(&self, node: usize, id: &str) -> Result<Answer, String> {
        self.client.send("GET", &self.timer(node, id), &[], None).await
    }

    /// DELETE of a timer through a node.
    pub async fn delete(&self, node: usize, id: &str) -> Result<Answer, String> {
        self.client.send("DELETE", &self.timer(node, id), &[], None).await
    }

    /// A running node other than `not`.
    pub fn other_than(&self, not: usize) -> usize {
        (0..self.nodes.len()).find(|n| *n != not && self.nodes[*n].runs()).unwrap()
    }
}

/// Whether a directory has a file of this ending.
pub fn files_with_ending(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == ending)).collect();
    found.sort();
    found
}
