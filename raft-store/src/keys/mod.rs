//! The keys of both stores, one kind a file: layout, encode, decode, range.
//!
//! The log's keys begin with the shard (u16), the state's with a replica incarnation (u32); then a tag of
//! one byte. Integers are big-endian, so that bytes sort as numbers do. Tags are for ever.

pub mod attempt;
pub mod expiry;
pub mod group;
pub mod group_counts;
pub mod listing;
pub mod log_anchor;
pub mod log_committed;
pub mod log_entry;
pub mod log_format;
pub mod log_vote;
pub mod meta;
pub mod parked;
pub mod pointer;
pub mod timer;
pub mod wheel;

/// A range of keys: from (inclusive), to (exclusive).
pub type KeyRange = (Vec<u8>, Vec<u8>);

/// Tags of the log's tables.
pub mod log_tag {
    /// See [`super::log_format`].
    pub const FORMAT: u8 = 0;
    /// See [`super::log_vote`].
    pub const VOTE: u8 = 1;
    /// See [`super::log_committed`].
    pub const COMMITTED: u8 = 2;
    /// See [`super::log_anchor`].
    pub const ANCHOR: u8 = 3;
    /// See [`super::log_entry`].
    pub const ENTRY: u8 = 4;
}

/// Tags of the state's tables. Reserved ones are not written yet and must not be used for anything else.
pub mod state_tag {
    /// See [`super::meta`].
    pub const META: u8 = 1;
    /// See [`super::timer`].
    pub const TIMER: u8 = 2;
    /// See [`super::wheel`].
    pub const WHEEL: u8 = 3;
    /// See [`super::expiry`].
    pub const EXPIRY: u8 = 4;
    /// See [`super::listing`].
    pub const LISTING: u8 = 5;
    /// Reserved: the outbox of transitions.
    pub const OUTBOX: u8 = 6;
    /// See [`super::group`].
    pub const GROUP: u8 = 7;
    /// See [`super::attempt`].
    pub const ATTEMPT: u8 = 8;
    /// See [`super::parked`].
    pub const PARKED: u8 = 9;
    /// See [`super::group_counts`].
    pub const GROUP_COUNTS: u8 = 10;
}

/// A fixed-size integer at `at`, or none if the key is too short.
pub(crate) fn int<const N: usize>(key: &[u8], at: usize) -> Option<[u8; N]> {
    key.get(at..at + N)?.try_into().ok()
}

/// Behind the keys of every incarnation: no table has the tag 255.
pub(crate) const END: [u8; 5] = [0xFF; 5];

/// The keys of an incarnation, all tables.
#[must_use]
pub fn incarnation_range(incarnation: u32) -> KeyRange {
    let next = incarnation.checked_add(1).map_or(END.to_vec(), |next| next.to_be_bytes().to_vec());
    (incarnation.to_be_bytes().to_vec(), next)
}

/// The prefix of a table of an incarnation.
pub(crate) fn table(incarnation: u32, tag: u8) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&incarnation.to_be_bytes());
    key.push(tag);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persisted_tags_never_change() {
        use {log_tag as l, state_tag as s};
        assert_eq!([l::FORMAT, l::VOTE, l::COMMITTED, l::ANCHOR, l::ENTRY], [0, 1, 2, 3, 4]);
        assert_eq!([s::META, s::TIMER, s::WHEEL, s::EXPIRY, s::LISTING], [1, 2, 3, 4, 5]);
        assert_eq!([s::OUTBOX, s::GROUP, s::ATTEMPT, s::PARKED, s::GROUP_COUNTS], [6, 7, 8, 9, 10]);
    }

    #[test]
    fn the_tables_of_an_incarnation_lie_in_its_range() {
        let (from, to) = incarnation_range(7);
        for tag in [state_tag::META, state_tag::TIMER, u8::MAX] {
            let key = table(7, tag);
            assert!(from <= key && key < to);
            assert!(table(6, tag) < from && to < table(8, tag));
        }
        let (from, to) = incarnation_range(u32::MAX);
        let key = table(u32::MAX, state_tag::PARKED);
        assert!(from <= key && key < to, "the last one has a range too");
    }
}
