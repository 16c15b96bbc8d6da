//! What must hold for any bytes from outside: one property a file, for libFuzzer to attack and for `cargo test` to replay.
//!
//! It is compiled in tests and by cargo-fuzz (`--cfg fuzzing`), and is in no release. It lies in this crate and not in
//! `fuzz/`, because it calls what nobody outside may, and because the replay of `fuzz/corpus/` is then a unit test: it
//! compiles nothing a second time. Deliberately absent: machinery of libFuzzer, which is in `fuzz/` alone.

pub mod answer;
pub mod cursor;
pub mod duration;
pub mod entry;
pub mod id;
mod input;
pub mod key;
pub mod patch;
pub mod peer;
pub mod record;
pub mod retry_after;
pub mod shard_state;
pub mod time;

#[cfg(test)]
mod corpus;

/// Panics if its property does not hold for the bytes; else says whether they were something that the product takes, so
/// that a corpus of nothing but refusals shows.
pub type Property = fn(&[u8]) -> bool;

/// Every property, under the name of its target and of its corpus.
pub const PROPERTIES: [(&str, Property); 12] = [
    ("answer", answer::holds),
    ("cursor", cursor::holds),
    ("duration", duration::holds),
    ("entry", entry::holds),
    ("id", id::holds),
    ("key", key::holds),
    ("patch", patch::holds),
    ("peer", peer::holds),
    ("record", record::holds),
    ("retry_after", retry_after::holds),
    ("shard_state", shard_state::holds),
    ("time", time::holds),
];
