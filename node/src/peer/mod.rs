//! How nodes talk to each other: one gRPC service, four long-lived streams per pair of nodes.
//!
//! A *lane* is one bidirectional stream with a connection of its own, so that a snapshot can't delay a
//! heartbeat. Every frame names its shard; frames of one lane keep their order.
//!
//! Deliberately absent: retries. Who asks knows whether asking again is safe.

mod append_stream;
pub mod clocks;
pub mod codec;
pub mod frame;
pub mod history_codec;
pub mod lanes;
pub mod link;
pub mod list_codec;
pub mod network;
pub mod reply_codec;
pub mod server;
pub mod snapshot_receiver;
pub mod snapshot_sender;
pub mod turns;
