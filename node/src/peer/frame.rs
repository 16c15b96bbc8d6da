//! Short names for the peer protocol's generated types.

pub use proto::wire::peer::frame::Body;
pub use proto::wire::peer::*;

/// A frame of `body`, whose id the link chooses.
#[must_use]
pub fn frame(shard: u16, body: Body) -> Frame {
    Frame { id: 0, shard: u32::from(shard), body: Some(body) }
}

/// The answer to `id`.
#[must_use]
pub fn reply(id: u64, shard: u32, body: Body) -> Frame {
    Frame { id, shard, body: Some(body) }
}

/// A refusal with its reason.
#[must_use]
pub fn refusal(reason: impl Into<String>) -> Body {
    Body::Refusal(Refusal { reason: reason.into(), lost_log: false })
}
