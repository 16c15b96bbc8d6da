//! A new leader takes office.

use crate::ids::NodeId;

/// The first command of a leader. Its log index is the session's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The leader.
    pub node: NodeId,
}
