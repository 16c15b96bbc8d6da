//! What the stores promise as a whole: openraft's own suite, power cuts at every step, damaged files, and
//! both engines against each other.

mod attempts;
mod crash;
#[cfg(feature = "rocksdb")]
mod damage;
mod durability;
mod equal;
mod formats;
#[cfg(feature = "rocksdb")]
mod kill;
mod listing;
mod parked;
mod snapshots;
mod suite;
mod workload;

use crate::engine::memory::MemoryDisk;
use crate::{StoreOptions, Stores};

/// Options of all tests.
fn options() -> StoreOptions {
    StoreOptions::new("test-cluster")
}

/// A blank disk in memory with a crash model, and stores of `shards` shards on it.
fn memory(shards: u16) -> (MemoryDisk, Stores) {
    let disk = MemoryDisk::new(true);
    let stores = Stores::memory(&disk, shards, &options()).unwrap();
    (disk, stores)
}
