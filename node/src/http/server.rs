//! Serves a router on a listener: bounds connections and slow clients, and lets open requests end at a stop. How TLS
//! begins, where there is TLS, is in `handshake`.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::handshake::shake_hands;
use super::limits::{
    CONNECTIONS_MAX, DRAIN_MAX, HEADER_READ_MAX, HTTP2_PING_INTERVAL, STREAMS_MAX, TLS_HANDSHAKE_MAX,
};
use crate::sockets::{TcpListener, TcpStream, first_byte};
use crate::tls::Served;

/// How long to wait after the kernel refused a connection for want of descriptors or memory.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerBounds {
    /// Open connections, those that still shake hands included; what comes beyond waits in the kernel's queue.
    pub connections_max: usize,
    /// How long a client may take to shake hands for TLS.
    pub handshake_max: Duration,
    /// How long open requests may go on after the signal to stop.
    pub drain_max: Duration,
}

impl Default for ServerBounds {
    fn default() -> Self {
        Self { connections_max: CONNECTIONS_MAX, handshake_max: TLS_HANDSHAKE_MAX, drain_max: DRAIN_MAX }
    }
}

/// Serves `router` on `listener` until `shutdown` resolves; then takes no more connections, lets requests end
/// for at most `drain_max`, and drops what is left. With `tls` it speaks TLS only.
pub async fn serve_within(
    bounds: ServerBounds,
    listener: TcpListener,
    tls: Option<Arc<Served>>,
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
                let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
                connections.spawn(async move {
                    connection(stream, tls.as_deref(), bounds.handshake_max, router, stop).await;
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
async fn connection(
    mut stream: TcpStream,
    tls: Option<&Served>,
    handshake_max: Duration,
    router: Router,
    stop: CancellationToken,
) {
    // Answers are small and whole: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    if let Some(tls) = tls {
        let secure = tokio::select! {
            secure = shake_hands(stream, tls, handshake_max) => secure,
            () = stop.cancelled() => None,
        };
        if let Some(secure) = secure {
            requests(secure, router, stop).await;
        }
        return;
    }
    // A connection on which nothing was ever said is not worth the machinery below.
    let first = tokio::time::timeout(HEADER_READ_MAX, first_byte(&mut stream));
    let spoke = tokio::select! {
        peeked = first => matches!(peeked, Ok(Ok(Some(_)))),
        () = stop.cancelled() => false,
    };
    if spoke {
        requests(stream, router, stop).await;
    }
}

/// Answers the requests of a connection. Its first one must have come within [`HEADER_READ_MAX`]: for the bytes that say
/// which version of HTTP it is hyper waits without end.
async fn requests<S>(stream: S, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(HTTP2_PING_INTERVAL);
    let begun = Arc::new(AtomicBool::new(false));
    let begins = begun.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        begins.store(true, Ordering::Relaxed);
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_default()) }
    });
    let silent = async {
        tokio::time::sleep(HEADER_READ_MAX).await;
        if begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = silent => {
            tracing::debug!("a connection ended: no request within {HEADER_READ_MAX:?}");
            return;
        }
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended badly");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_stops_before_its_first_request_gives_its_place_back() {
        // The begin of either version of HTTP, and more of each.
        for begin in ["", "P", "PRI * HTTP/2.0\r\n", "PUT / HTTP/1.1\r\nhost: "] {
            let (mut client, server) = tokio::io::duplex(1024);
            let begun = Instant::now();
            let serving = tokio::spawn(requests(server, Router::new(), CancellationToken::new()));
            client.write_all(begin.as_bytes()).await.unwrap();
            let ended = tokio::time::timeout(2 * HEADER_READ_MAX, serving).await;
            assert!(ended.is_ok(), "{begin:?} holds it");
            assert!(begun.elapsed() >= HEADER_READ_MAX, "{begin:?} is given all its time");
        }
    }
}
