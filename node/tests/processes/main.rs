//! Real processes on real disks: what users rely on, tested as they would see it.
//!
//! Every test has a cluster of its own, on loopback ports of its own, in a directory of its own, and ends
//! every process that it started. Waiting is always for something that can be observed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]
#![allow(dead_code, reason = "power_cuts shares the harness and uses other parts of it")]
#![cfg(feature = "rocksdb")]

mod client;
mod cluster;
#[path = "../signatures/server.rs"]
mod dev_server;
mod receiver;
mod sizes;

mod attempts;
mod batches;
mod cancelling;
mod checking;
mod destinations;
mod firing;
mod formation;
mod groups;
mod ids;
mod isolation;
mod lagging;
mod late_commands;
mod lists;
mod manual_clock;
mod many_timers;
mod moving;
mod overload;
mod refusals;
mod retrying;
mod survives_kills;
mod test_callback;
