//! Finds out that files have changed: by what the filesystem says of them, looked at from time to time. Events of the
//! kernel are deliberately not used: those of a link that is switched elsewhere, as Kubernetes does it with secrets, come
//! for another directory than the one that one watches, and network filesystems send none.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::pair::CertificateFiles;

/// What tells one content of a file from another. Links are followed to their end, so that a link which leads elsewhere
/// now is another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Of the inode: it changes even if whoever writes sets the time of modification back.
    changed: (i64, i64),
}

/// The stamps of a certificate and its key; none of a file that is not there.
pub type Stamps = [Option<Stamp>; 2];

/// The stamp of `path` now.
fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some(Stamp {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

impl CertificateFiles {
    /// The stamps of now.
    #[must_use]
    pub fn stamps(&self) -> Stamps {
        [stamp(&self.certificate), stamp(&self.key)]
    }
}

/// Says when files that changed have come to rest.
#[derive(Debug)]
pub struct Changes {
    /// What was read last.
    read: Stamps,
    /// What was seen since, and may still be half written.
    unsettled: Option<Stamps>,
}

impl Changes {
    /// Begins with what was `read`.
    #[must_use]
    pub fn since(read: Stamps) -> Self {
        Self { read, unsettled: None }
    }

    /// Whether there is something new to read, seen now as it was when it was looked at last: of two files that are
    /// written one after the other, the first alone is of no use.
    pub fn settled(&mut self, seen: Stamps) -> bool {
        if seen == self.read {
            self.unsettled = None;
            return false;
        }
        self.unsettled.replace(seen) == Some(seen)
    }

    /// Notes that `read` was read, whatever came of it.
    pub fn note(&mut self, read: Stamps) {
        *self = Self::since(read);
    }
}
