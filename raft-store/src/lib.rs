//! The log and the state machine of every shard of a node, as openraft wants them.
//!
//! Two ordered stores: the log is the durability of everything, the state is rebuilt from it. On RocksDB, or
//! in memory with a model of power cuts. Deliberately absent: the network, the clock, and any repair.

pub mod engine;
mod error;
pub mod failpoint;
mod health;
pub mod keys;
pub mod limits;
pub mod log;
mod membership;
pub mod state_machine;
mod stores;
#[cfg(test)]
mod tests;
pub mod type_config;

pub use error::StoreError;
pub use health::Health;
pub use stores::{ShardStores, StoreOptions, Stores};
pub use type_config::{EntryData, EntryReply, PeerNode, TypeConfig};
