//! The machine's sockets.

use std::io;

use hyper_util::rt::TokioIo;
pub use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Error};

/// Connections of peers, as tonic's server takes them.
#[must_use]
pub fn peers_from(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

/// Connects to a peer. What the peer has not got when the connection is given up is thrown away with it.
///
/// # Errors
/// When it can't be reached. There is no time-out here.
pub async fn connect_peer(endpoint: &Endpoint) -> Result<Channel, Error> {
    let connector = tower::service_fn(|uri: http::Uri| async move {
        let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or_default());
        open(host, port).await.map(TokioIo::new)
    });
    endpoint.connect_with_connector(connector).await
}

/// A kernel goes on sending what a closed socket had left, for as long as the peer does not answer: a command that was
/// forwarded into a partition would take effect when it heals, long after another leader has given its answer.
async fn open(host: &str, port: u16) -> io::Result<TcpStream> {
    // An IPv6 address is in brackets in a URI.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    stream.set_zero_linger()?;
    Ok(stream)
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_connection_to_a_peer_that_is_given_up_is_reset_and_leaves_nothing_to_be_sent() {
        for host in ["127.0.0.1", "[::1]"] {
            let Ok(listener) = TcpListener::bind(format!("{host}:0")).await else {
                println!("skipped: {host} is not to be had here");
                continue;
            };
            let stream = open(host, listener.local_addr().unwrap().port()).await.unwrap();
            let (mut accepted, _) = listener.accept().await.unwrap();
            drop(stream);
            let ended = accepted.read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(ended.kind(), io::ErrorKind::ConnectionReset);
        }
    }
}
