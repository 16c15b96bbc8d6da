//! Judges the recorded history of a fault test: shared by the simulator and the harness of real processes, so
//! that both hold the product to the same promises (RELIABILITY.md, invariants I1 to I14).
//!
//! A harness writes [`history::Event`]s, as JSON lines ([`history::HistoryWriter`]) or straight into an
//! [`index::HistoryBuilder`], and asks [`report::check`] for a [`report::Report`].
//!
//! Deliberately absent: clocks, randomness, threads and files; the product's own code, whose faults a checker
//! must not share; a command line, which the harnesses have. I9 (archive) and I11 (lists and filters) are absent
//! until there are sinks and lists to check, and of I10 the offline scan of the wheel's keys, which needs the
//! storage crate.

pub mod history;
pub mod index;
pub mod invariants;
pub mod linearizability;
pub mod report;
pub mod specimen;
pub mod verdict;

#[cfg(test)]
mod testing;

pub use report::{check, read};
