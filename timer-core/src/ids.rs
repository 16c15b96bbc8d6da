//! Identifiers. Each is its own type, so that a shard number can't be passed for a node number.

use alloc::string::String;
use core::fmt;

use crate::limits::{COMMANDS_PER_ENTRY_MAX, GROUP_NAME_BYTES_MAX, LOG_INDEX_MAX, TIMER_ID_BYTES_MAX};

/// A member of the cluster. Minted once for a blank data directory and never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// One Raft-replicated partition of the cluster, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a command stands in its shard's log: `log index * 4096 + ordinal in the entry`.
///
/// It never repeats in a shard, not even after a delete, so it serves as the API's `generation` (the
/// command that made this definition) and `version` (the command that changed the timer last).
/// Below 2^53, so that every JSON reader takes it exactly; `0` stands for "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The sequence of the command at `ordinal` in the entry at `index`.
    ///
    /// `ordinal` < [`COMMANDS_PER_ENTRY_MAX`] and `index` <= [`LOG_INDEX_MAX`]; both are kept by the
    /// proposer, and an entry that breaks them would be refused by every replica alike.
    #[must_use]
    pub const fn new(index: u64, ordinal: u32) -> Self {
        assert!(ordinal < COMMANDS_PER_ENTRY_MAX, "ordinal below the bound");
        assert!(index <= LOG_INDEX_MAX, "log index below the bound");
        Self(index * COMMANDS_PER_ENTRY_MAX as u64 + ordinal as u64)
    }

    /// The log index of the command's entry.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0 / COMMANDS_PER_ENTRY_MAX as u64
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What names a timer: its group and its id within the group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    /// The group's name, checked by [`group_name_fault`].
    pub group: String,
    /// The timer's id, checked by [`timer_id_fault`]; compared by bytes.
    pub id: String,
}

impl TimerKey {
    /// A key of checked parts.
    #[must_use]
    pub fn new(group: impl Into<String>, id: impl Into<String>) -> Self {
        Self { group: group.into(), id: id.into() }
    }
}

impl fmt::Display for TimerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.id)
    }
}

/// Why `name` can't name a group, or `None`: it must match `[a-z0-9][a-z0-9_-]{0,62}`.
#[must_use]
pub fn group_name_fault(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    let (Some(first), true) = (bytes.first(), bytes.len() <= GROUP_NAME_BYTES_MAX) else {
        return Some("must have 1 to 63 characters");
    };
    if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
        return Some("must begin with a lower-case letter or a digit");
    }
    let fits = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if bytes.iter().all(fits) { None } else { Some("may only have a-z, 0-9, '_' and '-'") }
}

/// Why `id` can't name a timer, or `None`: 1 to 255 bytes, no control characters, not `.` or `..`.
#[must_use]
pub fn timer_id_fault(id: &str) -> Option<&'static str> {
    match id {
        "" => Some("must not be empty"),
        "." | ".." => Some("must not be '.' or '..': proxies remove them from a path"),
        _ if id.len() > TIMER_ID_BYTES_MAX => Some("must not be longer than 255 bytes"),
        _ if id.chars().any(char::is_control) => Some("must not contain control characters"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_orders_by_index_then_ordinal_and_stays_exact_in_json() {
        assert!(Sequence::new(1, 4095) < Sequence::new(2, 0));
        assert_eq!(Sequence::new(7, 9).index(), 7);
        assert!(Sequence::new(LOG_INDEX_MAX, COMMANDS_PER_ENTRY_MAX - 1).0 < 1 << 53);
    }

    #[test]
    fn names_outside_the_rules_are_refused() {
        assert_eq!(group_name_fault("orders-2_a"), None);
        for bad in ["", "-a", "A", "a/b", &"a".repeat(64)] {
            assert!(group_name_fault(bad).is_some(), "{bad}");
        }
        for good in ["a/b", "a%2Fb", "a b", "?x", "…", "😀", &"é".repeat(127), "..."] {
            assert_eq!(timer_id_fault(good), None, "{good}");
        }
        for bad in ["", ".", "..", "a\0", "a\n", "\u{85}", &"é".repeat(128)] {
            assert!(timer_id_fault(bad).is_some(), "{bad}");
        }
    }
}
