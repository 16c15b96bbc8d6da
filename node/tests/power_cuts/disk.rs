//! A disk per node that can lose its power: an ext4 in a loop file in memory, and the kernel's own switch that
//! ends a filesystem without writing what it still holds.
// The switch is an ioctl, and no safe function has it. It is the only unsafe line.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::ioctl::{Setter, ioctl, opcode};
use rustix::process::{Pid, geteuid};
use tempfile::TempDir;

/// The files are sparse: only what is written takes memory.
const DISK_BYTES: u64 = 512 << 20;
const PROBE_BYTES: u64 = 16 << 20;
/// Longer, and the machine has a problem of its own.
const WAIT: Duration = Duration::from_secs(10);
/// `EXT4_IOC_SHUTDOWN`, and its flag that the journal isn't flushed either.
const SHUTDOWN: rustix::ioctl::Opcode = opcode::read::<u32>(b'X', 125);
const NO_LOG_FLUSH: u32 = 2;
/// In a directory that every ext4 has, so that the node's own files stay alone.
const CANARY: &str = "lost+found/canary";

/// One filesystem, mounted until this is dropped.
pub struct Disk {
    file: PathBuf,
    mount_point: PathBuf,
    mounted: bool,
}

/// The disks of a cluster. Whoever uses them must be dropped before them.
pub struct Disks {
    disks: Vec<Disk>,
    // After the disks, so that it is removed once nothing is mounted in it.
    root: TempDir,
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{name}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("{name}: {}", said.trim()))
}

impl Disk {
    fn new(root: &Path, name: &str, bytes: u64) -> Result<Self, String> {
        let (file, mount_point) = (root.join(format!("{name}.ext4")), root.join(name));
        File::create(&file).and_then(|f| f.set_len(bytes)).map_err(|e| e.to_string())?;
        fs::create_dir(&mount_point).map_err(|e| e.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&file))?;
        let mut disk = Self { file, mount_point, mounted: false };
        disk.mount()?;
        Ok(disk)
    }

    /// Mounts it, which replays the journal after a power cut.
    pub fn mount(&mut self) -> Result<(), String> {
        run(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).args([&self.file, &self.mount_point]))?;
        self.mounted = true;
        Ok(())
    }

    /// Unmounts it. No process may have a file of it open any more; the kernel may take a moment to see that.
    pub fn unmount(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            match run(Command::new("umount").arg(&self.mount_point)) {
                Ok(()) => break,
                Err(e) if begun.elapsed() > WAIT => return Err(e),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        self.mounted = false;
        Ok(())
    }

    /// Writes a file that nobody syncs: a true power cut takes it away.
    pub fn put_canary(&self) -> Result<(), String> {
        fs::write(self.mount_point.join(CANARY), [b'x'; 4096]).map_err(|e| e.to_string())
    }

    /// Whether the cut took away what was not synced.
    pub fn canary_is_gone(&self) -> bool {
        // Its name may have gone into the journal with somebody else's sync, but never its content.
        fs::metadata(self.mount_point.join(CANARY)).map_or(true, |found| found.len() == 0)
    }

    /// Nothing reaches the disk from now on, not even the journal.
    pub fn cut_power(&self) -> Result<(), String> {
        let root = File::open(&self.mount_point).map_err(|e| e.to_string())?;
        // SAFETY: ext4 reads one u32 behind the pointer, which `Setter` keeps alive for the call.
        unsafe { ioctl(&root, Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }
            .map_err(|e| format!("the shutdown ioctl: {e}"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted
            && let Err(e) = self.unmount()
        {
            // Not a panic, for this runs during panics too.
            eprintln!("{} stays mounted: {e}", self.mount_point.display());
        }
    }
}

impl Disks {
    /// Disks that are called `n1`, `n2`..., mounted. `Err`: what is missing on this machine.
    pub fn new(number: usize) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("not root".into());
        }
        let root = tempfile::Builder::new().prefix("timerd-power-cuts-").tempdir_in("/dev/shm");
        let root = root.map_err(|e| format!("/dev/shm: {e}"))?;
        probe(root.path())?;
        let mut disks = Self { disks: Vec::new(), root };
        for n in 1..=number {
            let disk = Disk::new(disks.root.path(), &format!("n{n}"), DISK_BYTES)?;
            disks.disks.push(disk);
        }
        Ok(disks)
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn get(&mut self, node: usize) -> &mut Disk {
        &mut self.disks[node]
    }
}

/// One power cut of a small disk, so that what doesn't work here is known before anything depends on it.
fn probe(root: &Path) -> Result<(), String> {
    let mut disk = Disk::new(root, "probe", PROBE_BYTES)?;
    disk.put_canary()?;
    disk.cut_power()?;
    disk.unmount()?;
    disk.mount()?;
    disk.canary_is_gone().then_some(()).ok_or_else(|| "a power cut takes nothing away".into())
}

/// Waits until no thread of a process that was sent SIGSTOP runs code of its own any more. A thread may still be
/// inside a sync; it stops before it sees how that ended.
pub fn wait_stopped(pid: Pid) {
    let begun = Instant::now();
    loop {
        let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
        let states: Vec<char> = tasks.filter_map(|task| state(&task.unwrap().path())).collect();
        if states.contains(&'T') && states.iter().all(|state| matches!(state, 'T' | 'D')) {
            return;
        }
        assert!(begun.elapsed() < WAIT, "it does not stop: {states:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A thread's state as the kernel gives it; `None` if the thread has ended.
fn state(task: &Path) -> Option<char> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    // The name before it may contain anything, also brackets.
    stat.rsplit_once(") ")?.1.chars().next()
}
