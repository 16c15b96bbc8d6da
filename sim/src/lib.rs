//! Deterministic simulation of a whole cluster: the product's own code on a simulated network, clock and disk, one
//! seed = one run, byte for byte. What is simulated and what is not stands in `README.md`.
//!
//! - [`plan`]: what a seed chooses
//! - [`run`]: one run, from the forming of the cluster to the verdict
//! - [`cluster`]: the world, one step at a time; [`node`], [`receiver`], [`workload`] and [`client`] are its hosts
//! - [`groups`]: a client that makes and deletes groups
//! - [`nemesis`], [`links`]: faults
//! - [`recorder`], [`trace`]: what happened, for the checkers and for comparing runs
//! - [`libc`], [`clock`]: time and randomness
//! - [`many`]: many seeds, each in a process of its own

#[cfg(not(tokio_unstable))]
compile_error!("build this in sim/, whose .cargo/config.toml sets `--cfg tokio_unstable`, without RUSTFLAGS");

pub mod client;
pub mod clock;
pub mod cluster;
pub mod groups;
pub mod libc;
pub mod links;
pub mod many;
pub mod nemesis;
pub mod node;
pub mod plan;
pub mod receiver;
pub mod recorder;
pub mod run;
pub mod trace;
pub mod workload;
