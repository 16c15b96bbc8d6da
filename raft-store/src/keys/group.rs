//! State: one record per group, also of those that are gone. `[incarnation u32][7][group]`.

use super::state_tag::GROUP;
use super::{KeyRange, table};

/// The key of the group's record.
#[must_use]
pub fn encode(incarnation: u32, group: &str) -> Vec<u8> {
    let mut key = table(incarnation, GROUP);
    key.extend_from_slice(group.as_bytes());
    key
}

/// The records from the group `from` on, in the order of names.
#[must_use]
pub fn range_from(incarnation: u32, from: &str) -> KeyRange {
    (encode(incarnation, from), table(incarnation, GROUP + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_and_order() {
        assert_eq!(encode(1, "ab"), [0, 0, 0, 1, 7, b'a', b'b']);
        let (from, to) = range_from(1, "b");
        let inside = |name| (&from..&to).contains(&&encode(1, name));
        assert!(!inside("a") && inside("b") && inside("b-1") && inside("z"));
        assert!(!(&from..&to).contains(&&encode(2, "c")));
    }
}
