//! A cluster of `timerd serve` processes.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::client::{Answer, Client, eventually};

/// How long a node may take to end.
pub const END_MAX: Duration = Duration::from_secs(60);

const START: Duration = Duration::from_secs(30);

/// One node.
pub struct Process {
    pub name: String,
    pub url: String,
    pub data: PathBuf,
    config: PathBuf,
    log: PathBuf,
    /// Settings that replace those of the file.
    env: Vec<(String, String)>,
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

/// An address that nobody listens on, given once. Not one that the kernel picks: it could give the same again,
/// or to an outgoing connection, before the node listens. Those come from 32768 on.
fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
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
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Sets a setting for its next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
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

    /// SIGTERM, and waits for its end, which must come within `wait`; gives the exit code.
    pub async fn terminate_within(&mut self, wait: Duration) -> Option<i32> {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.ends_within(wait).await
    }

    /// Waits for its end, which must come within `wait`; gives the exit code.
    pub async fn ends_within(&mut self, wait: Duration) -> Option<i32> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(code) = self.has_ended() {
                return code;
            }
            assert!(Instant::now() < deadline, "{} still runs after {wait:?}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Whether it has ended by itself; gives the exit code.
    pub fn has_ended(&mut self) -> Option<Option<i32>> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        Some(status.code())
    }

    /// What it said last before it ended.
    pub fn last_words(&self) -> String {
        self.log().lines().rfind(|line| line.starts_with("timerd:")).unwrap_or_default().to_owned()
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

    /// The same as [`Cluster::start`], with settings as environment variables of every node.
    pub async fn start_tuned(number: usize, shards: u16, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Self::start_set(dir.path(), number, shards, "", env).await;
        cluster._dir = Some(dir);
        cluster
    }

    /// The same, in a directory that the caller made and removes: `n1`, `n2`... are the nodes' data.
    pub async fn start_in(root: &Path, number: usize, shards: u16, more: &str) -> Self {
        Self::start_set(root, number, shards, more, &[]).await
    }

    async fn start_set(root: &Path, number: usize, shards: u16, more: &str, env: &[(&str, &str)]) -> Self {
        let mut cluster = Self::prepare(root, number, shards, more, env).await;
        cluster.nodes.iter_mut().for_each(Process::start);
        cluster.wait_ready().await;
        cluster
    }

    /// Nodes that know each other and of which none runs yet.
    pub async fn prepared(number: usize, shards: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Self::prepare(dir.path(), number, shards, "", &[]).await;
        cluster._dir = Some(dir);
        cluster
    }

    async fn prepare(root: &Path, number: usize, shards: u16, more: &str, env: &[(&str, &str)]) -> Self {
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
            let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            nodes.push(Process { name: name.clone(), url, data, config, log, env, child: None });
        }
        Self { nodes, client: Client::new(), _dir: None, _turn: turn }
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

    /// PUT of a timer through a node, which must be taken; gives the timer.
    pub async fn put_ok(&self, node: usize, id: &str, body: &Value) -> Value {
        let answer = self.put(node, id, body).await.unwrap();
        assert!(answer.status == 200 || answer.status == 201, "{id}: {} {}", answer.status, answer.text);
        answer.json
    }

    /// PUT of many timers through the running nodes in turn, several at once; each must be taken.
    pub async fn put_all(&self, timers: &[(String, Value)]) {
        let running: Vec<usize> = (0..self.nodes.len()).filter(|n| self.nodes[*n].runs()).collect();
        for some in timers.chunks(64) {
            let puts = some.iter().enumerate().map(|(n, (id, body))| {
                let node = running[n % running.len()];
                self.put_ok(node, id, body)
            });
            futures_util::future::join_all(puts).await;
        }
    }

    /// PUT of a timer through a node, again and again until it is taken.
    pub async fn put_until_taken(&self, node: usize, id: &str, body: &Value) -> Value {
        eventually("a write is taken", START, || async {
            let answer = self.put(node, id, body).await.ok()?;
            (answer.status < 300).then_some(answer.json)
        })
        .await
    }

    /// Waits until a timer, asked for through a node, is in `state`; gives the timer.
    pub async fn wait_for_state(&self, node: usize, id: &str, state: &str, wait: Duration) -> Value {
        eventually(&format!("{id} is {state}"), wait, || async {
            let answer = self.get(node, id).await.ok()?;
            (answer.json["state"] == state).then_some(answer.json)
        })
        .await
    }

    /// Another request for a timer through a node: `fire`, `redrive`.
    pub async fn post(&self, node: usize, id: &str, what: &str) -> Answer {
        let url = format!("{}/{what}", self.timer(node, id));
        self.client.send("POST", &url, &[], None).await.unwrap()
    }

    /// The sum of a node's metrics whose lines begin so; 0 if there are none.
    pub async fn metric(&self, node: usize, begin: &str) -> f64 {
        self.metric_if_up(node, begin).await.unwrap()
    }

    /// The same of a node that may not listen yet.
    pub async fn metric_if_up(&self, node: usize, begin: &str) -> Option<f64> {
        let url = format!("{}/metrics", self.nodes[node].url);
        let text = self.client.send("GET", &url, &[], None).await.ok()?.text;
        let lines = text.lines().filter(|line| line.starts_with(begin));
        Some(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
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
