//! The seam between this crate and what keeps ordered keys: RocksDB, or memory with a crash model.
//!
//! Deliberately absent: column families and merge operators. One ordered space per engine is what makes a
//! batch and a flush atomic without further means.

pub mod memory;
#[cfg(feature = "rocksdb")]
pub mod rocks;
#[cfg(feature = "rocksdb")]
mod rocks_options;

use std::fmt;
use std::ops::ControlFlow;

use bytes::Bytes;

use crate::error::StoreError;

/// What a scan calls with each key and value; `Break` ends it.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>;
/// What reads a consistent view.
pub type ReadView<'a> = &'a mut dyn FnMut(&dyn View) -> Result<(), StoreError>;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets a key.
    Put(Vec<u8>, Bytes),
    /// Removes a key.
    Delete(Vec<u8>),
    /// Removes the keys from the first (inclusive) to the second (exclusive).
    DeleteRange(Vec<u8>, Vec<u8>),
}

/// Changes that take effect together and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub(crate) ops: Vec<Op>,
}

impl Batch {
    /// Sets `key`.
    pub fn put(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        self.ops.push(Op::Put(key, value.into()));
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.ops.push(Op::Delete(key));
    }

    /// Removes the keys from `from` (inclusive) to `to` (exclusive).
    pub fn delete_range(&mut self, (from, to): (Vec<u8>, Vec<u8>)) {
        self.ops.push(Op::DeleteRange(from, to));
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// What can be read.
pub trait View {
    /// The value of `key`.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Visits the keys from `from` (inclusive) to `to` (exclusive) in order.
    ///
    /// # Errors
    /// When the store can't be read or is damaged, or the visitor's own.
    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;
}

/// An ordered store of bytes.
///
/// What is durable when depends on the role: in the log's engine, a write with `sync` and everything before
/// it; in the state's, everything before a `flush`. A crash keeps at least that, and beyond it a prefix of
/// the writes, each whole.
pub trait Engine: View + fmt::Debug + Send + Sync + 'static {
    /// Makes the changes of `batch` together; with `sync`, durable before it returns.
    ///
    /// # Errors
    /// When it may not have been written. The caller must not go on as if it had not.
    fn write(&self, batch: Batch, sync: bool) -> Result<(), StoreError>;

    /// Calls `read` with a view that later writes do not change.
    ///
    /// # Errors
    /// When there is no view to be had, or `read`'s own.
    fn view(&self, read: ReadView<'_>) -> Result<(), StoreError>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// When it may not be durable.
    fn flush(&self) -> Result<(), StoreError>;

    /// A hint that nobody reads `from..to` any more: whole files may go at once. A crash does not undo it,
    /// so what makes the range unread must be durable.
    ///
    /// # Errors
    /// When the store refuses; nothing is lost then.
    fn drop_files(&self, from: &[u8], to: &[u8]) -> Result<(), StoreError>;

    /// Loads sorted keys into a range that nobody reads yet. `id` keeps concurrent loads apart.
    ///
    /// # Errors
    /// When there is no place to put them.
    fn loader(&self, id: u32) -> Result<Box<dyn Loader>, StoreError>;

    /// Whether calls can block on a disk, so that threads are worth having.
    fn blocks(&self) -> bool;
}

/// A load in progress. Dropped before [`Loader::finish`], it leaves at most what the next open removes.
pub trait Loader: Send {
    /// Adds a key, greater than the one before.
    ///
    /// # Errors
    /// When it can't be written.
    fn put(&mut self, key: Vec<u8>, value: Bytes) -> Result<(), StoreError>;

    /// Makes all keys readable. Their durability is that of a write without `sync`, or better.
    ///
    /// # Errors
    /// When some may not be readable.
    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// Runs what may block on a disk so that other tasks of a multi-threaded runtime go on.
pub(crate) fn blocking<T>(blocks: bool, work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let threads = Handle::try_current().is_ok_and(|h| h.runtime_flavor() == RuntimeFlavor::MultiThread);
    if blocks && threads { tokio::task::block_in_place(work) } else { work() }
}
