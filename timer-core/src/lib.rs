//! Pure rules of timers: what a timer is and what each replicated command does to it.
//!
//! Deliberately absent: clocks, randomness, I/O, async and hash maps. Every input, also the time, is an
//! argument, so that every replica computes the same state from the same log. `no_std` keeps it so.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod attempt;
pub mod command;
pub mod definition;
pub mod group;
pub mod ids;
pub mod limits;
pub mod list;
pub mod mutant;
pub mod retry;
pub mod secret;
pub mod shard_state;
pub mod tables;
pub mod time;
pub mod timer;
pub mod wheel;

#[cfg(test)]
mod testing;
