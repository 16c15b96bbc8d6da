//! Snapshots of a shard's data: a stream of key-value chunks, received under a new incarnation.
//!
//! A snapshot as openraft sees it is metadata; the data are read from a consistent view when they are sent,
//! so they may be newer than the metadata. The header says what the view is of, and the receiver installs
//! that. The incarnation is not part of what is sent.

mod frame;
pub(crate) mod install;
mod outgoing;
mod receiver;

pub use self::frame::Header;
pub use self::outgoing::{OutgoingSnapshot, SnapshotStream};
pub use self::receiver::{ReceivedSnapshot, SnapshotReceiver};
use crate::error::StoreError;

/// The data of a snapshot.
#[derive(Clone, Debug)]
pub enum SnapshotData {
    /// To be sent: [`OutgoingSnapshot::open`] reads it.
    Outgoing(OutgoingSnapshot),
    /// Completely received, and not yet what the shard is.
    Received(ReceivedSnapshot),
}

/// A snapshot could not be sent, received or installed. The replica that was there stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The header or a chunk is not what was sent.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
    /// A chunk that is not the next.
    #[error("chunk {found} came where {expected} was expected")]
    OutOfOrder {
        /// The chunk that is expected.
        expected: u64,
        /// The chunk that came.
        found: u64,
    },
    /// It is of a cluster or shard that is not this one.
    #[error("the snapshot is of {found}, this is {here}")]
    Foreign {
        /// What it is of.
        found: String,
        /// What this is.
        here: String,
    },
    /// Written by a later version.
    #[error("the snapshot has format {found}, and this version knows {known} at most")]
    NewerFormat {
        /// What was found.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// It contradicts what this node knows: openraft would stop for good at it.
    #[error("the snapshot contradicts this replica: {0}")]
    Inconsistent(String),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SnapshotError> for std::io::Error {
    fn from(error: SnapshotError) -> Self {
        if let SnapshotError::Store(error) = error { error.into() } else { Self::other(error) }
    }
}
