//! Bounds the making of a connection as a whole. An attempt's own time-out does not do that: the client goes on
//! connecting for its pool when the attempt that wanted a connection has got another one meanwhile.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use tower_service::Service;

use super::connector::ConnectError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A connector whose connections are there within `after`, or fail.
#[derive(Clone, Debug)]
pub(super) struct Bounded<C> {
    /// What connects. It bounds all but TLS by itself, far below `after`.
    pub(super) connector: C,
    /// From the name to the end of the TLS handshake.
    pub(super) after: Duration,
}

impl<C> Service<Uri> for Bounded<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Response: Send + 'static,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (after, connecting) = (self.after, self.connector.call(uri));
        Box::pin(async move {
            match tokio::time::timeout(after, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectError::Unfinished { after }.into()),
            }
        })
    }
}
