//! Starts the nodes that are measured, each a process of its own on loopback with a fresh data directory, and
//! ends them: only these, and all of them.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::request::get;

/// How long nodes have to form a cluster.
const READY_MAX: Duration = Duration::from_secs(60);
/// Between two looks at whether they have.
const READY_POLL: Duration = Duration::from_millis(100);
/// How long a node has to end when it is asked to.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Bytes of a node's log that an error shows.
const LOG_TAIL_BYTES: usize = 2000;

/// Running nodes. Dropping them kills them.
#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    name: String,
    http: SocketAddr,
    child: Child,
    log: PathBuf,
}

/// Why there are no nodes to measure.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or a socket failed.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// A node ended by itself.
    #[error("{name} ended: {log}")]
    Ended {
        /// Which.
        name: String,
        /// The end of its log.
        log: String,
    },
    /// The nodes run and do not become ready.
    #[error("{name} is not ready after {} s: {log}", READY_MAX.as_secs())]
    NotReady {
        /// The first that is not.
        name: String,
        /// The end of its log.
        log: String,
    },
}

fn io(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> StartError {
    let what = what.to_string();
    move |source| StartError::Io { what, source }
}

impl Nodes {
    /// Starts `count` nodes of `timerd` with `shards` shards and data below `dir`, and waits until all are
    /// ready.
    ///
    /// # Errors
    /// When one does not start or they do not form a cluster in time. Those that were started are ended.
    pub async fn start(timerd: &Path, count: usize, shards: u16, dir: &Path) -> Result<Self, StartError> {
        let names: Vec<String> = (1..=count).map(|n| format!("n{n}")).collect();
        let addresses = free_addresses(2 * count).map_err(io("no free port"))?;
        let (https, peers) = addresses.split_at(count);
        let listed: Vec<String> =
            names.iter().zip(peers).map(|(name, peer)| format!("{name}={peer}")).collect();

        let mut nodes = Self { nodes: Vec::with_capacity(count) };
        for (name, (&http, &peer)) in names.iter().zip(https.iter().zip(peers)) {
            let home = dir.join(name);
            fs::create_dir_all(&home).map_err(io(home.display()))?;
            let config = home.join("timerd.toml");
            let text = settings(name, &home.join("data"), http, peer, &listed, shards);
            fs::write(&config, text).map_err(io(config.display()))?;
            nodes.nodes.push(Node::spawn(timerd, name, http, &config, home.join("log"))?);
        }
        nodes.wait_until_ready().await?;
        Ok(nodes)
    }

    /// Where their REST APIs listen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.http).collect()
    }

    /// Their process ids, for CPU time.
    pub fn process_ids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(|node| node.child.id()).collect()
    }

    /// Asks all to end and waits for it; kills those that do not within 20 s.
    pub async fn stop(mut self) {
        join_all(self.nodes.iter_mut().map(Node::stop)).await;
    }

    async fn wait_until_ready(&mut self) -> Result<(), StartError> {
        let started = Instant::now();
        for node in &mut self.nodes {
            while !node.is_ready().await {
                if !matches!(node.child.try_wait(), Ok(None)) {
                    return Err(StartError::Ended { name: node.name.clone(), log: node.log_tail() });
                }
                if started.elapsed() > READY_MAX {
                    return Err(StartError::NotReady { name: node.name.clone(), log: node.log_tail() });
                }
                tokio::time::sleep(READY_POLL).await;
            }
        }
        Ok(())
    }
}

impl Node {
    fn spawn(
        timerd: &Path,
        name: &str,
        http: SocketAddr,
        config: &Path,
        log: PathBuf,
    ) -> Result<Self, StartError> {
        let out = File::create(&log).map_err(io(log.display()))?;
        let err = out.try_clone().map_err(io(log.display()))?;
        let child = Command::new(timerd)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn()
            .map_err(io(timerd.display()))?;
        Ok(Self { name: name.to_owned(), http, child, log })
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.http).await else { return false };
        matches!(connection.send(&get(self.http, "/readyz")).await, Ok(200))
    }

    async fn stop(&mut self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
            && tokio::time::timeout(STOP_MAX, self.child.wait()).await.is_ok()
        {
            return;
        }
        eprintln!("{} did not end by itself", self.name);
        // Fails only when it has ended meanwhile.
        let _ = self.child.kill().await;
    }

    fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let tail = &text[text.len().saturating_sub(LOG_TAIL_BYTES)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }
}

/// Loopback addresses with ports that were free a moment ago, all different.
fn free_addresses(count: usize) -> std::io::Result<Vec<SocketAddr>> {
    let held = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    held.iter().map(TcpListener::local_addr).collect()
}

/// A node's settings: the defaults but for addresses, and callbacks to loopback.
fn settings(
    name: &str,
    data_dir: &Path,
    http: SocketAddr,
    peer: SocketAddr,
    peers: &[String],
    shards: u16,
) -> String {
    format!(
        "[node]\nname = {name:?}\ndata_dir = {data_dir:?}\n[http]\nlisten = \"{http}\"\n\
         [peer]\nlisten = \"{peer}\"\n[cluster]\nname = \"bench\"\npeers = {peers:?}\nshards = {shards}\n\
         [delivery]\nallow = [\"loopback\"]\n[log]\nformat = \"text\"\nfilter = \"warn\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_an_error_with_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let error = Nodes::start(Path::new("ls"), 1, 8, dir.path()).await.unwrap_err();
        let StartError::Ended { name, log } = error else { panic!("{error}") };
        assert_eq!(name, "n1");
        assert!(log.contains("--config"), "{log}");
    }

    #[test]
    fn addresses_differ() {
        let mut addresses = free_addresses(6).unwrap();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 6);
    }
}
