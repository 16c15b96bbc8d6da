//! The node as a member of a cluster: puts the parts together and is the backend of the HTTP layer.
//!
//! - [`formation`]: how blank nodes become a cluster, once
//! - [`node`]: the composition root: what a node is made of
//! - [`start`]: becomes a member, opens the stores, starts the shards
//! - [`inbound`]: what the node does for its peers
//! - [`router`]: finds the shard and the leader of a command or read, within the caller's deadline
//! - `search`: one request on its way to a leader
//! - [`groups`]: what this node knows of groups
//! - `group_changes`: makes, changes and deletes groups in the meta shard and their copies
//! - `list`: a page of a list over all shards
//! - [`serve`]: its REST API
//! - [`lifetime`]: from its start to an orderly stop
//! - [`housekeeping`]: flushes, purges, retention, storage health
//! - [`view`]: what `/cluster` and `/readyz` show

pub mod formation;
mod group_changes;
pub mod groups;
pub mod housekeeping;
pub mod inbound;
pub mod lifetime;
mod list;
pub mod node;
pub mod router;
mod search;
pub mod serve;
mod start;
mod test_callback;
pub mod view;
