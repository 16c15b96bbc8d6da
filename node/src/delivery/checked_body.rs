//! The body of a request that asks, at the last moment, whether the request may still be sent.
//!
//! hyper takes the body's first frame after it has put the head into its buffer and before anything of that buffer goes to
//! the socket (HTTP/1.1; held by two tests of `delivery_connections`). An error there ends the connection with nothing
//! written. A request without a body is not asked: there is no frame to ask at.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Whether an attempt may be sent now.
pub type MaySend = Arc<dyn Fn() -> bool + Send + Sync>;

/// The attempt was not sent: nothing of it has left this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not sent: when the connection was there, this node might no longer call")]
pub struct Withheld;

/// A body of known length, in one frame.
pub(super) struct CheckedBody {
    bytes: Option<Bytes>,
    may_send: MaySend,
}

impl CheckedBody {
    /// `bytes`, as long as they may be sent.
    pub(super) fn new(bytes: Bytes, may_send: MaySend) -> Self {
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), may_send }
    }
}

impl Body for CheckedBody {
    type Data = Bytes;
    type Error = Withheld;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Withheld>>> {
        let frame =
            self.bytes.take().map(|bytes| (self.may_send)().then(|| Frame::data(bytes)).ok_or(Withheld));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
