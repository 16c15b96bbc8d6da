//! Sockets of turmoil's simulated network, for `sim/`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Stream, stream};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Error};
pub use turmoil::net::{TcpListener, TcpStream};

/// A peer's connection, as tonic's server wants it.
#[derive(Debug)]
pub struct PeerStream(TcpStream);

/// Connections of peers, as tonic's server takes them.
pub fn peers_from(listener: TcpListener) -> impl Stream<Item = io::Result<PeerStream>> {
    stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| PeerStream(stream));
        Some((accepted, listener))
    })
}

/// Connects to a peer.
///
/// # Errors
/// When it can't be reached. There is no time-out here.
pub async fn connect_peer(endpoint: &Endpoint) -> Result<Channel, Error> {
    let connector = tower::service_fn(|uri: http::Uri| async move {
        let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or_default());
        TcpStream::connect((host, port)).await.map(TokioIo::new)
    });
    endpoint.connect_with_connector(connector).await
}

/// Waits for the first byte of a connection without taking it; none if there will be none.
///
/// # Errors
/// When the connection breaks.
pub async fn first_byte(stream: &mut TcpStream) -> io::Result<Option<u8>> {
    let mut first = [0];
    let bytes = stream.peek(&mut first).await?;
    Ok(first.into_iter().next().filter(|_| bytes > 0))
}

impl Connected for PeerStream {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
