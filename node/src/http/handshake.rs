//! How a connection of TLS begins: within a bound of time, and with a word for those who did not know that it is TLS.
//! Whatever goes wrong here is the client's affair or a scanner's, so it is said at debug level only.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::server::TlsStream;

use super::limits::PLAIN_REQUEST_BYTES_MAX;
use crate::sockets::{TcpStream, first_byte};
use crate::tls::Served;

/// The first byte of TLS: the type of a record of a handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// What a client of plain HTTP is told.
const PLAIN_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\
    content-length: 48\r\n\r\nthis port takes TLS only: write https:// for it\n";

/// The connection as a secure one, if the client can do that within `handshake_max`.
pub(super) async fn shake_hands(
    stream: TcpStream,
    tls: &Served,
    handshake_max: Duration,
) -> Option<TlsStream<TcpStream>> {
    match tokio::time::timeout(handshake_max, begin(stream, tls)).await {
        Ok(Ok(secure)) => return secure,
        Ok(Err(error)) => tracing::debug!(%error, "a client did not get through the TLS handshake"),
        Err(_) => tracing::debug!("a client did not end the TLS handshake within {handshake_max:?}"),
    }
    None
}

async fn begin(mut stream: TcpStream, tls: &Served) -> io::Result<Option<TlsStream<TcpStream>>> {
    match first_byte(&mut stream).await? {
        Some(HANDSHAKE_RECORD) => tls.acceptor().accept(stream).await.map(Some),
        // Methods are written in capitals.
        Some(b'A'..=b'Z') => {
            tracing::debug!("a client spoke plain HTTP to the port of TLS");
            refuse_plain(&mut stream).await.map(|()| None)
        }
        Some(_) => {
            tracing::debug!("a client spoke something else than TLS");
            Ok(None)
        }
        None => Ok(None),
    }
}

/// Answers, and reads on until the client has gone: a connection that is closed on what was not read is reset, and the
/// answer with it.
async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN_ANSWER).await?;
    stream.shutdown().await?;
    let (mut piece, mut read) = ([0; 4096], 0);
    while read < PLAIN_REQUEST_BYTES_MAX {
        match stream.read(&mut piece).await? {
            0 => break,
            bytes => read += bytes,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_as_long_as_it_says() {
        let text = std::str::from_utf8(PLAIN_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{text:?}");
    }
}
