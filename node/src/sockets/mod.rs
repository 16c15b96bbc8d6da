//! The sockets of a node: the machine's, or those of a simulated network. The only place that knows of both, so
//! that the rest of the node is the same code in `timerd` and in `sim/`.
//!
//! Chosen when it is compiled (feature `simulation`, which no release build has): a choice at run time would
//! cost a call through a pointer for every read and write. Deliberately absent: names, which
//! [`crate::delivery::Resolve`] turns into addresses; and TLS, which lies on top of either ([`crate::tls`]) and is not used
//! in `sim/`.

#[cfg_attr(feature = "simulation", path = "simulated.rs")]
#[cfg_attr(not(feature = "simulation"), path = "machine.rs")]
mod chosen;

pub use chosen::{TcpListener, TcpStream, connect_peer, first_byte, peers_from};
