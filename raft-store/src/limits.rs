//! Every bound of this crate that is not an option, in one place.

use std::time::Duration;

/// Shards of a node: the high-water mark has this many places.
pub const SHARDS_MAX: u16 = 1024;
/// Bytes of log records of all shards that wait for the writer; an append beyond waits for room.
pub const PENDING_BYTES_MAX: usize = 64 << 20;
/// Batches that are in the log and wait for the high-water mark.
pub const UNMARKED_BATCHES_MAX: usize = 8;
/// Bytes of entries that one read of the log gives, but for one entry that is larger.
pub const READ_BYTES_MAX: usize = 1 << 20;
/// Entries that are applied in one batch.
pub const APPLY_ENTRIES_MAX: usize = 256;
/// Encoded bytes of entries that are applied in one batch, but for one entry that is larger.
pub const APPLY_BYTES_MAX: usize = 4 << 20;
/// Bytes of records in a chunk of a snapshot, but for one record that is larger.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Bytes of a record in a snapshot, so that a damaged length can't ask for all memory.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Chunks of a snapshot that are ready and not yet sent.
pub const CHUNKS_AHEAD_MAX: usize = 2;
/// Bytes of a received snapshot that are held in memory before they go to a file.
pub const LOAD_BYTES_MAX: usize = 16 << 20;
/// Items that one scan for the leader gives.
pub const SCAN_ITEMS_MAX: usize = 100_000;
/// A sync that takes longer is a disk that hangs: the node gives up leadership.
pub const SYNC_STALL_MAX: Duration = Duration::from_secs(2);
