//! Serves a router on a listener: bounds connections and slow clients, and lets open requests end at a stop.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::limits::{CONNECTIONS_MAX, DRAIN_MAX, HEADER_READ_MAX, HTTP2_PING_INTERVAL, STREAMS_MAX};
use crate::sockets::{TcpListener, TcpStream, first_byte};

/// How long to wait after the kernel refused a connection for want of descriptors or memory.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerBounds {
    /// Open connections; what comes beyond waits in the kernel's queue.
    pub connections_max: usize,
    /// How long open requests may go on after the signal to stop.
    pub drain_max: Duration,
}

impl Default for ServerBounds {
    fn default() -> Self {
        Self { connections_max: CONNECTIONS_MAX, drain_max: DRAIN_MAX }
    }
}

/// [`serve_within`] the bounds that are usual.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) {
    serve_within(ServerBounds::default(), listener, router, shutdown).await;
}

/// Serves `router` on `listener` until `shutdown` resolves; then takes no more connections, lets requests end
/// for at most `drain_max`, and drops what is left.
pub async fn serve_within(
    bounds: ServerBounds,
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) {
    let stop = CancellationToken::new();
    let places = Arc::new(Semaphore::new(bounds.connections_max));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // Ended connections are taken out, so that the set holds open ones only.
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &places) => {
                let Some((stream, place)) = accepted else { break };
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    connection(stream, router, stop).await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    stop.cancel();
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.drain_max, drained).await.is_err() {
        tracing::warn!(open = connections.len(), "connections were cut off at the end of the drain");
    }
    connections.shutdown().await;
}

/// The next connection, once there is a place for it. None: never again.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Whether only the client that went away is concerned.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}

/// Serves one connection until it ends, or until its requests have ended after `stop`.
async fn connection(mut stream: TcpStream, router: Router, stop: CancellationToken) {
    // Answers are small and whole: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    // Which version of HTTP it is shows in the first bytes, for which hyper waits without end.
    let first = tokio::time::timeout(HEADER_READ_MAX, first_byte(&mut stream));
    let spoke = tokio::select! {
        peeked = first => matches!(peeked, Ok(Ok(1..))),
        () = stop.cancelled() => false,
    };
    if !spoke {
        return;
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(HTTP2_PING_INTERVAL);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_default()) }
    });
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended badly");
    }
}
