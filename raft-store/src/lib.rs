//! The log and the state machine of every shard of a node.
