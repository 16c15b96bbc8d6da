//! Describes the machine, because a figure without its machine says nothing. What the disk does is measured:
//! a create waits for one sync.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::latency::{Latencies, Quantiles};

/// Syncs that are measured.
const SYNCS: u32 = 300;
/// Bytes written before each.
const BLOCK_BYTES: usize = 4096;

/// What the figures depend on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// The processor's own name.
    pub cpu: String,
    /// Logical cores that this process may use.
    pub cores: usize,
    /// Main memory in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The file system of the data.
    pub file_system: String,
    /// One `fdatasync` after 4 KiB are appended.
    pub fdatasync: Quantiles,
}

impl Machine {
    /// Describes this machine, with the disk that holds `work_dir`.
    ///
    /// # Errors
    /// When `work_dir` cannot be written.
    pub fn describe(work_dir: &Path) -> std::io::Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Ok(Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_mib: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(|kib| kib.trim_end_matches(" kB").parse::<u64>().ok())
                .map_or(0, |kib| kib / 1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/mounts"), &work_dir.canonicalize()?),
            fdatasync: measure_sync(work_dir)?.quantiles(),
        })
    }
}

/// The value of `name : value` in a file of `/proc`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// The type of the mount that holds `path`: the longest mount point that is a prefix of it, the last of equals.
fn file_system(mounts: &str, path: &Path) -> String {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let point = words.next()?;
            path.starts_with(point).then_some((point.len(), words.next()?))
        })
        .max_by_key(|&(length, _)| length)
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

fn measure_sync(work_dir: &Path) -> std::io::Result<Latencies> {
    let path = work_dir.join("fdatasync.measure");
    let mut file = File::create(&path)?;
    let block = [0x5a; BLOCK_BYTES];
    let mut latencies = Latencies::new();
    for _ in 0..SYNCS {
        file.write_all(&block)?;
        let started = Instant::now();
        file.sync_data()?;
        latencies.add(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    fs::remove_file(path)?;
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/data xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/home/x")), "ext4");
        assert_eq!(file_system(mounts, Path::new("/tmp/x")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/tmp/data/x")), "xfs");
        assert_eq!(file_system(mounts, Path::new("/tmp/database")), "tmpfs");
    }

    #[test]
    fn this_machine_has_cores_memory_and_a_disk_that_takes_time() {
        let machine = Machine::describe(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(machine.cores > 0 && machine.memory_mib > 0, "{machine:?}");
        assert!(machine.fdatasync.max_ms > 0.0, "{machine:?}");
    }
}
