//! The API's objects, flat as on the wire. Times and durations stay text: the server is strict about them
//! and exact, and a client that only passes them on needs no calendar.
//!
//! Inputs are separate types from answers, and answers take fields that a newer server adds.

pub mod attempt;
pub mod batch;
pub mod cluster;
pub mod group;
pub mod input;
pub mod list;
pub mod patch;
pub mod secret;
pub mod timer;
