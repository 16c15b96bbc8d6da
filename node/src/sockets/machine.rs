//! The machine's sockets.

use std::io;

pub use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Error};

/// Connections of peers, as tonic's server takes them.
#[must_use]
pub fn peers_from(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

/// Connects to a peer.
///
/// # Errors
/// When it can't be reached. There is no time-out here.
pub async fn connect_peer(endpoint: &Endpoint) -> Result<Channel, Error> {
    endpoint.connect().await
}

/// Waits for the first byte of a connection without taking it; 0 if there will be none.
///
/// # Errors
/// When the connection breaks.
pub async fn first_byte(stream: &mut TcpStream) -> io::Result<usize> {
    stream.peek(&mut [0]).await
}
