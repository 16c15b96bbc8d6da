//! Pure routing: from a timer's key to its shard. Deliberately absent: connections, time and retries, which are
//! the node's (`node/src/cluster/router.rs`); and raft-store.
#![cfg_attr(not(test), no_std)]

mod shard;

pub use shard::{shard_of, shards_of};
