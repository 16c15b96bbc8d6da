//! State: what a replica knows beside its timers. `[incarnation u32][1][which u8]`.

use super::state_tag::META;
use super::table;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Meta {
    /// The last applied log id.
    Applied = 1,
    /// The membership, and the log id of its entry.
    Membership = 2,
    /// The shard's state.
    ShardState = 3,
}

/// The key.
#[must_use]
pub fn encode(incarnation: u32, which: Meta) -> Vec<u8> {
    let mut key = table(incarnation, META);
    key.push(which as u8);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        assert_eq!(encode(9, Meta::Applied), [0, 0, 0, 9, 1, 1]);
        assert_eq!(encode(9, Meta::Membership), [0, 0, 0, 9, 1, 2]);
        assert_eq!(encode(9, Meta::ShardState), [0, 0, 0, 9, 1, 3]);
    }
}
