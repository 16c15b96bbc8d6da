//! The server: every part of `timerd` but its command line.
//!
//! Requests come in through [`http`], which asks the [`backend`]; [`cluster`] is that backend: it finds the
//! shard's leader through [`peer`], where [`shard`] replicates the command and, when it is due, has
//! [`delivery`] make the callback. Time and randomness enter through [`environment`] only, bytes of the network
//! through [`sockets`]; what secures them is in [`tls`].

pub mod backend;
pub mod blocking;
pub mod cluster;
pub mod config;
pub mod delivery;
pub mod disk_room;
pub mod environment;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod identity;
pub mod observability;
pub mod payload_depth;
pub mod peer;
pub mod rfc3339;
pub mod shard;
pub mod sockets;
pub mod tls;
