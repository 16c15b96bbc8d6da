//! A node as the harness sees it: its machine (namespace, disk, clock), its process, and whether that is meant to
//! run. Whoever takes a node down says so first, so that an end that nobody asked for is known as such.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;

use crate::disk::Disk;
use crate::lies::Lies;
use crate::logs::Logs;
use crate::network::node_address;
use crate::process::{Launch, Process, Spawner, describe};
use crate::shell::run;

/// A node.
#[derive(Debug)]
pub struct Node {
    pub number: u32,
    launch: Launch,
    logs: Arc<Logs>,
    state: Mutex<State>,
    // After the process, which has files open in it.
    pub disk: Disk,
}

#[derive(Debug, Default)]
struct State {
    process: Option<Process>,
    /// A fault has it: its end is no surprise, and its start is not the supervisor's business.
    taken: bool,
    /// Its files may be damaged.
    suspect: bool,
    /// Its files were damaged and it has said so: it stays away.
    damaged: Option<String>,
}

impl Node {
    pub fn new(number: u32, launch: Launch, disk: Disk, logs: Arc<Logs>) -> Self {
        Self { number, launch, logs, state: Mutex::default(), disk }
    }

    /// `http://address:port` of its API.
    pub fn url(&self) -> String {
        url(self.number)
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.disk.path().join("data")
    }

    /// Keeps a copy of its data, for [`Node::restore_copy`]. It must not run.
    pub fn keep_copy(&self) -> anyhow::Result<()> {
        let (data, copy) = (self.data(), self.copy());
        if copy.exists() {
            std::fs::remove_dir_all(&copy)?;
        }
        run(&["cp", "-a", &data.to_string_lossy(), &copy.to_string_lossy()])?;
        Ok(())
    }

    /// Its data is as it was when the copy was made. It must not run, nor have acknowledged anything since.
    pub fn restore_copy(&self) -> anyhow::Result<()> {
        let (data, copy) = (self.data(), self.copy());
        std::fs::remove_dir_all(&data)?;
        run(&["cp", "-a", &copy.to_string_lossy(), &data.to_string_lossy()])?;
        run(&["sync", "-f", &data.to_string_lossy()])?;
        Ok(())
    }

    /// Where the copy is: not on its disk, which may be small.
    fn copy(&self) -> PathBuf {
        self.disk.path().with_extension("copy")
    }

    /// What it is told that is not so.
    pub fn lies(&self) -> anyhow::Result<&Lies> {
        self.launch.lies.as_ref().context("the node can't be lied to: this run has no kind that needs it")
    }

    /// Its control group's directory.
    pub fn cgroup(&self) -> Option<PathBuf> {
        self.launch.cgroup.as_ref().and_then(|procs| procs.parent()).map(PathBuf::from)
    }

    /// Starts its process.
    pub fn start(&self, spawner: &Spawner) -> anyhow::Result<()> {
        self.launch(spawner, &self.launch)
    }

    /// Starts the build of it that has failpoints, to end by itself where `order` says.
    pub fn start_to_end(&self, spawner: &Spawner, timerd: PathBuf, order: String) -> anyhow::Result<()> {
        self.launch(spawner, &Launch { failpoint: Some((timerd, order)), ..self.launch.clone() })
    }

    fn launch(&self, spawner: &Spawner, launch: &Launch) -> anyhow::Result<()> {
        let (logs, number) = (self.logs.clone(), self.number);
        let sink = Arc::new(move |line: &str| logs.line(number, line));
        let mut state = self.state.lock();
        anyhow::ensure!(state.process.is_none(), "node {} runs already", self.number);
        state.process = Some(launch.start(spawner, sink)?);
        Ok(())
    }

    /// A fault takes it; `false` if another has it, or if it is damaged or not running.
    pub fn take(&self) -> bool {
        let mut state = self.state.lock();
        let free = !state.taken
            && state.damaged.is_none()
            && state.process.as_mut().is_some_and(|process| process.ended().is_none());
        state.taken |= free;
        free
    }

    /// The fault lets go of it.
    pub fn release(&self) {
        self.state.lock().taken = false;
    }

    /// A bit of its files was flipped and it started all the same: it may find that later.
    pub fn suspect(&self) {
        self.state.lock().suspect = true;
    }

    /// Whether its files may be damaged.
    pub fn is_suspect(&self) -> bool {
        let state = self.state.lock();
        state.suspect || state.damaged.is_some()
    }

    /// Its process has ended; whether that is the damage that was done to its files, in which case it stays down.
    pub fn finds_damage(&self, said: String) -> bool {
        let mut state = self.state.lock();
        if state.suspect {
            state.damaged = Some(said);
        }
        state.suspect
    }

    /// Why it stays down, if it does.
    pub fn damage(&self) -> Option<String> {
        self.state.lock().damaged.clone()
    }

    pub fn pid(&self) -> Option<u32> {
        self.state.lock().process.as_ref().map(Process::pid)
    }

    /// How it ended, if its process is gone though nobody took it.
    pub fn surprise(&self) -> Option<String> {
        let mut state = self.state.lock();
        if state.taken || state.damaged.is_some() {
            return None;
        }
        let status = state.process.as_mut()?.ended()?;
        state.process = None;
        Some(describe(status))
    }

    /// How it ended, if it has, for the fault that has taken it.
    pub fn end(&self) -> Option<String> {
        let mut state = self.state.lock();
        let status = state.process.as_mut()?.ended()?;
        state.process = None;
        Some(describe(status))
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&self) -> anyhow::Result<()> {
        let process = self.state.lock().process.take();
        process.map_or(Ok(()), Process::kill)
    }

    /// SIGTERM, and waits for its end; the exit code, or `None` if it had to be killed.
    pub fn terminate(&self, wait: Duration) -> anyhow::Result<Option<i32>> {
        let process = self.state.lock().process.take().context("it does not run")?;
        process.terminate(wait)
    }

    /// SIGSTOP, and waits until it is stopped.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.state.lock().process.as_ref().context("it does not run")?.stop()
    }

    pub fn is_stopped(&self) -> bool {
        self.state.lock().process.as_ref().is_some_and(Process::is_stopped)
    }

    /// SIGCONT.
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.state.lock().process.as_ref().context("it does not run")?.go_on()
    }
}

/// `http://address:port` of a node's API.
pub fn url(number: u32) -> String {
    format!("http://{}:8080", node_address(number))
}
