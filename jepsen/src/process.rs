//! One `timerd serve` in its namespace: started, signalled, waited for, its log kept and read as it comes. Only
//! processes that were started here are ever signalled, by their pid while they are our children.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock::wait_blocking;
use crate::lies::Lies;

const POLL: Duration = Duration::from_millis(2);
/// Followed by a file and a command: runs the command with the file in place of `/etc/hosts`. What is mounted or unmounted
/// elsewhere is seen in there too: disks come and go.
pub const WITH_HOSTS: [&str; 8] = [
    "unshare",
    "--mount",
    "--propagation",
    "slave",
    "sh",
    "-c",
    r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#,
    "sh",
];
/// A process without signal handlers for SIGSTOP stops at once, but for what the kernel does for it.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);

/// How to start a node.
#[derive(Clone, Debug)]
pub struct Launch {
    pub timerd: PathBuf,
    /// The path of its network namespace.
    pub namespace: String,
    /// What it has as `/etc/hosts`.
    pub hosts: PathBuf,
    pub config: PathBuf,
    pub log: PathBuf,
    /// The `cgroup.procs` that it is put into, if its CPU is to be taken away.
    pub cgroup: Option<PathBuf>,
    /// What it is told that is not so, if it is to be.
    pub lies: Option<Lies>,
    /// The same server, built so that it can end inside itself, and where it is to.
    pub failpoint: Option<(PathBuf, String)>,
}

/// What the lines of a log are given to, from a thread of its own.
pub type LineSink = Arc<dyn Fn(&str) + Send + Sync>;

/// Starts processes from one thread that lives as long as they may. The kernel is told to kill them when that
/// thread ends, so that even a harness that was killed leaves none behind.
#[derive(Debug)]
pub struct Spawner {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

struct Order {
    command: Command,
    reply: mpsc::Sender<std::io::Result<Child>>,
}

/// A process that runs, or has ended and was not waited for.
#[derive(Debug)]
pub struct Process {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Spawner {
    pub fn start() -> anyhow::Result<Self> {
        let (orders, taken) = mpsc::channel::<Order>();
        let work = move || {
            for mut order in taken {
                let _ = order.reply.send(order.command.spawn());
            }
        };
        let thread = std::thread::Builder::new().name("spawner".into()).spawn(work)?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    fn spawn(&self, command: Command) -> anyhow::Result<Child> {
        let (reply, replied) = mpsc::channel();
        let orders = self.orders.as_ref().context("the spawner has ended")?;
        orders.send(Order { command, reply }).context("the spawner has ended")?;
        Ok(replied.recv().context("the spawner has ended")??)
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Launch {
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace));
        command.args(WITH_HOSTS).arg(&self.hosts);
        command.args(["setpriv", "--pdeathsig", "KILL", "env"]);
        if let Some(lies) = &self.lies {
            command.arg(format!("LD_PRELOAD={}", lies.library.display()));
            command.arg(format!("JEPSEN_LIES={}", lies.page.display()));
        }
        // The harness's own variables look like settings, which a node refuses if it does not know them.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"TIMERD_"))
        {
            command.env_remove(name);
        }
        let timerd = match &self.failpoint {
            Some((timerd, order)) => {
                command.arg(format!("DURABLE_TIMER_FAILPOINT={order}"));
                timerd
            }
            None => &self.timerd,
        };
        command.arg(timerd).args(["serve", "--config"]).arg(&self.config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Starts it; its log lines go to its file and to `sink`.
    pub fn start(&self, spawner: &Spawner, sink: LineSink) -> anyhow::Result<Process> {
        let mut child = spawner.spawn(self.command()).context("can't start a node")?;
        if let Some(cgroup) = &self.cgroup {
            std::fs::write(cgroup, child.id().to_string())
                .with_context(|| format!("can't write {}", cgroup.display()))?;
        }
        let said = child.stderr.take().context("the node has no stderr")?;
        let log = self.log.clone();
        let read = move || {
            if let Err(e) = keep(BufReader::new(said), &log, &*sink) {
                eprintln!("the log {} is not whole: {e}", log.display());
            }
        };
        let reader = std::thread::Builder::new().name("log".into()).spawn(read)?;
        Ok(Process { child, reader: Some(reader) })
    }
}

fn keep(said: impl std::io::BufRead, log: &Path, sink: &dyn Fn(&str)) -> std::io::Result<()> {
    let mut file = File::options().create(true).append(true).open(log)?;
    for line in said.split(b'\n') {
        let line = line?;
        file.write_all(&line)?;
        file.write_all(b"\n")?;
        sink(&String::from_utf8_lossy(&line));
    }
    Ok(())
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let raw = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(raw).context("not a pid")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL, and waits for its end. A process in the middle of a frozen disk ends only when that thaws.
    pub fn kill(mut self) -> anyhow::Result<()> {
        // It may have ended by itself.
        let _ = self.signal(Signal::KILL);
        self.child.wait()?;
        self.join();
        Ok(())
    }

    /// SIGTERM, and waits for its end, which must come within `wait`; gives the exit code, or SIGKILL's status.
    pub fn terminate(mut self, wait: Duration) -> anyhow::Result<Option<i32>> {
        self.signal(Signal::TERM)?;
        let begun = Instant::now();
        while begun.elapsed() < wait {
            if let Some(status) = self.ended() {
                self.join();
                return Ok(status.code());
            }
            wait_blocking(POLL);
        }
        self.kill()?;
        Ok(None)
    }

    /// SIGSTOP, and waits until no thread runs code of its own any more. One may still be inside a sync; it stops
    /// before it sees how that ended.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIME_MAX {
            if self.is_stopped() {
                return Ok(());
            }
            wait_blocking(POLL);
        }
        bail!("it does not stop")
    }

    /// Whether no thread runs code of its own.
    pub fn is_stopped(&self) -> bool {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.pid())) else { return false };
        let states: Vec<char> = tasks.flatten().filter_map(|task| state(&task.path())).collect();
        states.contains(&'T') && states.iter().all(|state| matches!(state, 'T' | 'D'))
    }

    /// SIGCONT.
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
        self.join();
    }
}

/// A thread's state as the kernel gives it; `None` if the thread has ended.
fn state(task: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(task.join("stat")).ok()?;
    // The name before it may contain anything, also brackets.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// How a process ended, for people.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".into(),
    }
}
