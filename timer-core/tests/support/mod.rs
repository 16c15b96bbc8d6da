//! What the state machine test drives and compares with.

pub mod model;
pub mod ops;
pub mod replica;
pub mod replies;
pub mod world;
