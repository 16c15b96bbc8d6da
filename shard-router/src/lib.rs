//! Pure routing: from a timer's key to its shard, and from what is known of the shard's leader to the next node to
//! ask. Deliberately absent: connections, time and retries, which are the node's; and raft-store.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod hop;
mod shard;

pub use hop::{HOPS_MAX, LeaderHint, LeaderHints, NextHop, Trail, next_hop};
pub use shard::shard_of;
