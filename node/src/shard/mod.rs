//! One shard on this node: its Raft, the queue of commands before it, and, while this node leads, the office
//! that calls back.
//!
//! - [`raft`]: settings and start of a shard's Raft
//! - [`proposer`]: commands from many requests share a log entry
//! - [`reader`]: linearizable reads share a round of heartbeats
//! - [`leadership`]: takes office when the shard is led from here, and leaves it
//! - [`lead`]: whether a leader in office may call
//! - [`succession`]: who leads next
//! - [`office`]: what a leader in office knows: what is due, under way, fenced
//! - [`feed`]: from the state machine to the dispatcher
//! - [`destinations`]: attempts at the same time per destination
//! - [`dispatcher`]: the loop that starts attempts
//! - [`host`]: all of it together, restarted when Raft ends

pub mod cursor;
pub mod destinations;
pub mod dispatcher;
pub mod feed;
pub mod host;
pub mod lead;
pub mod leadership;
pub mod office;
pub mod parking;
pub mod proposer;
pub mod raft;
pub mod reader;
pub mod succession;
pub mod token;
