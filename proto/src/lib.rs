//! Protobuf formats of entries, records and peer messages, and their conversions.
//!
//! Deliberately absent: rules (timer-core), storage and connections. Every type of timer-core that is kept or
//! sent has a type of its own in [`wire`]; `From` makes it from ours, and `TryFrom` reads it back or says
//! which message and field is wrong.

pub mod entry;
pub mod error;
pub mod group;
pub mod record;
mod secret;
pub mod wire;

mod attempt;
mod command;
mod definition;
mod numbers;
mod park;
mod shard_state;

pub use error::DecodeError;
pub use numbers::Numbered;
