//! State: how many timers a group has in this shard, by state. `[incarnation u32][10][group]`.

use super::state_tag::GROUP_COUNTS;
use super::{KeyRange, table};

/// The key of the group's counts.
#[must_use]
pub fn encode(incarnation: u32, group: &str) -> Vec<u8> {
    let mut key = table(incarnation, GROUP_COUNTS);
    key.extend_from_slice(group.as_bytes());
    key
}

/// The counts of all groups.
#[must_use]
pub fn all(incarnation: u32) -> KeyRange {
    (table(incarnation, GROUP_COUNTS), table(incarnation, GROUP_COUNTS + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        assert_eq!(encode(1, "ab"), [0, 0, 0, 1, 10, b'a', b'b']);
        let (from, to) = all(1);
        assert!((&from..&to).contains(&&encode(1, "ab")) && !(&from..&to).contains(&&encode(2, "a")));
    }
}
