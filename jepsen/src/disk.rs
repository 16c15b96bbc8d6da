//! A disk per node that can lose its power, run full, become read-only or hang: an ext4 in a loop file in memory,
//! and the kernel's own switch that ends a filesystem without writing what it still holds.
// The switch is an ioctl, and no safe function has it. It is the only unsafe line of this crate.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::ioctl::{Setter, ioctl, opcode};

use crate::clock::wait_blocking;
use crate::shell::run;

/// The files are sparse: only what is written takes memory.
const DISK_BYTES: u64 = 768 << 20;
/// The kernel may take a moment to see that nobody uses a disk any more.
const UNMOUNT_TIME_MAX: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
/// `EXT4_IOC_SHUTDOWN`, and its flag that the journal isn't flushed either.
const SHUTDOWN: rustix::ioctl::Opcode = opcode::read::<u32>(b'X', 125);
const NO_LOG_FLUSH: u32 = 2;
/// In a directory that every ext4 has, so that the node's own files stay alone.
const CANARY: &str = "lost+found/canary";
const PROBE: &str = "lost+found/probe";
const FILLER: &str = "lost+found/filler";
const PREFIX: &str = "dtj-";

/// One filesystem, mounted until this is dropped.
#[derive(Debug)]
pub struct Disk {
    file: PathBuf,
    mount_point: PathBuf,
    /// Names the last canary. Each has a name of its own, since an older one may long be on the disk.
    canary: AtomicU64,
}

/// Where the disks of one run lie. Dropped after them.
#[derive(Debug)]
pub struct DiskRoom(PathBuf);

impl DiskRoom {
    /// A new directory in memory, named after the process `pid`. Nodes run in mount namespaces of their own, and one that
    /// kept another's disk mounted would keep it from being mounted anew: it is a mount whose changes reach them all.
    pub fn make(pid: u32) -> anyhow::Result<Self> {
        let path = PathBuf::from(format!("/dev/shm/{PREFIX}{pid}"));
        fs::create_dir(&path).with_context(|| format!("can't make {}", path.display()))?;
        let room = Self(path);
        let name = room.0.to_string_lossy();
        run(&["mount", "--bind", &name, &name])?;
        run(&["mount", "--make-shared", &name])?;
        Ok(room)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for DiskRoom {
    fn drop(&mut self) {
        // It may be none yet.
        let _ = run(&["umount", &self.0.to_string_lossy()]);
        if let Err(e) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {e}", self.0.display());
        }
    }
}

impl Disk {
    /// A new one of `bytes`, mounted at `room/name`.
    pub fn make(room: &Path, name: &str, bytes: Option<u64>) -> anyhow::Result<Self> {
        let (file, mount_point) = (room.join(format!("{name}.ext4")), room.join(name));
        File::create(&file).and_then(|f| f.set_len(bytes.unwrap_or(DISK_BYTES)))?;
        fs::create_dir(&mount_point)?;
        run(&["mkfs.ext4", "-q", "-F", &file.to_string_lossy()])?;
        let disk = Self { file, mount_point, canary: AtomicU64::new(0) };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount_point
    }

    /// Mounts it, which replays the journal after a power cut.
    pub fn mount(&self) -> anyhow::Result<()> {
        let (file, point) = (self.file.to_string_lossy(), self.mount_point.to_string_lossy());
        run(&["mount", "-t", "ext4", "-o", "loop,discard", &file, &point])?;
        Ok(())
    }

    /// Unmounts it. No process may have a file of it open any more.
    pub fn unmount(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            match run(&["umount", &self.mount_point.to_string_lossy()]) {
                Ok(_) => return Ok(()),
                Err(e) if begun.elapsed() > UNMOUNT_TIME_MAX => return Err(e.into()),
                Err(_) => wait_blocking(POLL),
            }
        }
    }

    /// Writes a file that nobody syncs: a true power cut takes it away.
    pub fn put_canary(&self) -> anyhow::Result<()> {
        self.canary.fetch_add(1, Ordering::Relaxed);
        Ok(fs::write(self.canary(), [b'x'; 4096])?)
    }

    fn canary(&self) -> PathBuf {
        self.mount_point.join(format!("{CANARY}-{}", self.canary.load(Ordering::Relaxed)))
    }

    /// Writes a few bytes, to see whether that is to be had.
    pub fn write_probe(&self) -> anyhow::Result<()> {
        Ok(fs::write(self.mount_point.join(PROBE), [b'x'; 16])?)
    }

    /// Whether the cut took away what was not synced. Its name may have gone into the journal with somebody else's
    /// sync, but never its content.
    pub fn canary_is_gone(&self) -> bool {
        fs::metadata(self.canary()).map_or(true, |found| found.len() == 0)
    }

    /// Nothing reaches the disk from now on, not even the journal.
    pub fn cut_power(&self) -> anyhow::Result<()> {
        let root = File::open(&self.mount_point)?;
        // SAFETY: ext4 reads one u32 behind the pointer, which `Setter` keeps alive for the call.
        unsafe { ioctl(&root, Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }.context("the shutdown ioctl")
    }

    /// Free bytes for anybody.
    pub fn free_bytes(&self) -> anyhow::Result<u64> {
        let found = rustix::fs::statvfs(&self.mount_point)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Takes room until `leave` bytes are free.
    pub fn fill(&self, leave: u64) -> anyhow::Result<()> {
        let take = self.free_bytes()?.saturating_sub(leave);
        if take == 0 {
            bail!("less than {leave} bytes are free already");
        }
        let file = File::create(self.mount_point.join(FILLER))?;
        Ok(rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, take)?)
    }

    /// Gives the room back.
    pub fn empty(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.mount_point.join(FILLER))?)
    }

    /// Every write fails from now on, as after an error of the medium, until it is mounted anew.
    pub fn make_read_only(&self) -> anyhow::Result<()> {
        run(&["mount", "-o", "remount,abort", &self.mount_point.to_string_lossy()])?;
        Ok(())
    }

    /// Whether a write is refused.
    pub fn refuses_writes(&self) -> bool {
        fs::write(self.mount_point.join(PROBE), [b'x'; 16]).is_err_and(|e| e.raw_os_error() == Some(30))
    }

    /// Every write waits until [`Disk::thaw`].
    pub fn freeze(&self) -> anyhow::Result<()> {
        run(&["fsfreeze", "--freeze", &self.mount_point.to_string_lossy()])?;
        Ok(())
    }

    /// Writes go on.
    pub fn thaw(&self) -> anyhow::Result<()> {
        run(&["fsfreeze", "--unfreeze", &self.mount_point.to_string_lossy()])?;
        Ok(())
    }

    fn is_mounted(&self) -> bool {
        let point = format!(" {} ", self.mount_point.display());
        fs::read_to_string("/proc/mounts").is_ok_and(|mounts| mounts.contains(&point))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted() {
            // If it is frozen, it would stay for ever; if not, this fails and does nothing.
            let _ = self.thaw();
            if let Err(e) = self.unmount() {
                eprintln!("{} stays mounted: {e}", self.mount_point.display());
            }
        }
    }
}

/// Unmounts and removes the disks of runs whose process is gone.
pub fn sweep() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/dev/shm") else { return Vec::new() };
    let mut swept = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner: Option<u32> = name.strip_prefix(PREFIX).and_then(|pid| pid.parse().ok());
        if owner.is_none_or(crate::network::is_alive) {
            continue;
        }
        let inside = fs::read_dir(entry.path()).into_iter().flatten().flatten();
        for mount_point in inside.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            let _ = run(&["umount", &mount_point.to_string_lossy()]);
        }
        let _ = run(&["umount", &entry.path().to_string_lossy()]);
        if fs::remove_dir_all(entry.path()).is_ok() {
            swept.push(name);
        }
    }
    swept
}
