//! Whether the disk has room for new timers. Creates are refused while some is left, so that firing, deletes and
//! Raft's own entries still find room: a log that can't be written ends the node.
//!
//! Deliberately absent: the other nodes' disks. A leader judges by its own; a follower whose disk runs full
//! ends, and the others go on without it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The room of one node's data directory. Room is found again at a quarter more than the reserve, so that a
/// disk at the edge does not take every other create.
#[derive(Debug)]
pub struct DiskRoom {
    reserve_bytes: u64,
    full: AtomicBool,
}

impl DiskRoom {
    /// Room, until an observation shows less than `reserve_bytes`; with 0 there always is.
    #[must_use]
    pub fn new(reserve_bytes: u64) -> Self {
        Self { reserve_bytes, full: AtomicBool::new(false) }
    }

    /// Whether new timers may be taken.
    #[must_use]
    pub fn is_left(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }

    /// Takes note of the free bytes, and says so when that changes something.
    pub fn observe(&self, free_bytes: u64) {
        let was_full = self.full.load(Ordering::Relaxed);
        let wanted = if was_full { self.reserve_bytes + self.reserve_bytes / 4 } else { self.reserve_bytes };
        let full = free_bytes < wanted;
        if full == was_full {
            return;
        }
        self.full.store(full, Ordering::Relaxed);
        let reserve_bytes = self.reserve_bytes;
        if full {
            tracing::error!(
                free_bytes,
                reserve_bytes,
                "the disk is almost full: creates and updates are refused with 507 until there is room"
            );
        } else {
            tracing::info!(free_bytes, reserve_bytes, "the disk has room again: creates are taken");
        }
    }
}

/// What an unprivileged process may still write below `dir`.
///
/// # Errors
/// When the filesystem can't say.
pub fn free_bytes(dir: &Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creates_stop_below_the_reserve_and_go_on_well_above_it() {
        let room = DiskRoom::new(100);
        let seen = [200, 100, 99, 100, 124, 125, 99].map(|free| {
            room.observe(free);
            room.is_left()
        });
        assert_eq!(seen, [true, true, false, false, false, true, false]);
    }

    #[test]
    fn without_a_reserve_there_is_always_room() {
        let room = DiskRoom::new(0);
        room.observe(0);
        assert!(room.is_left());
    }

    #[test]
    fn a_disk_says_what_is_free() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_bytes(dir.path()).unwrap() > 0);
        assert!(free_bytes(&dir.path().join("gone")).is_err());
    }
}
