//! A keep-alive HTTP/1.1 connection that sends requests which are already bytes and reads answers only as far
//! as it must. A full client would take CPU from the server under test, which runs on the same cores.
//!
//! Deliberately absent: chunked answers, pipelining, TLS.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Why a request got no answer. The connection is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server closed the connection before its answer was complete.
    #[error("closed before the answer was complete")]
    Closed,
    /// No answer came.
    #[error("no answer within {} s", ANSWER_MAX.as_secs())]
    TimedOut,
    /// The answer is none that this client reads.
    #[error("unreadable answer: {0}")]
    Unreadable(&'static str),
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to `address`.
    pub async fn open(address: SocketAddr) -> Result<Self, SendError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends `request` as it is and gives the answer's status.
    pub async fn send(&mut self, request: &[u8]) -> Result<u16, SendError> {
        tokio::time::timeout(ANSWER_MAX, self.exchange(request)).await.map_err(|_| SendError::TimedOut)?
    }

    /// Sends `request` and gives the body of an answer with status 200.
    pub async fn fetch(&mut self, request: &[u8]) -> Result<Vec<u8>, SendError> {
        if self.send(request).await? != 200 {
            return Err(SendError::Unreadable("a status other than 200"));
        }
        let head = head_length(&self.buffer).unwrap_or(0);
        Ok(self.buffer.split_off(head))
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<u16, SendError> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(SendError::Unreadable("its head does not end"));
            }
            self.read_some().await?;
        };
        while self.buffer.len() < head.length + head.content_length {
            self.read_some().await?;
        }
        Ok(head.status)
    }

    async fn read_some(&mut self) -> Result<(), SendError> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(SendError::Closed),
            _ => Ok(()),
        }
    }
}

/// What a message's head says about the rest of it.
struct Head {
    status: u16,
    /// Bytes of the head itself.
    length: usize,
    content_length: usize,
}

impl Head {
    /// None while the head is incomplete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, SendError> {
        let Some(length) = head_length(bytes) else { return Ok(None) };
        let head = &bytes[..length];
        let status = head
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
            .ok_or(SendError::Unreadable("no status"))?;
        let content_length = match header(head, b"content-length") {
            Some(value) => value
                .trim()
                .parse()
                .map_err(|_| SendError::Unreadable("its Content-Length is not a number"))?,
            None if status == 204 => 0,
            None => return Err(SendError::Unreadable("no Content-Length")),
        };
        Ok(Some(Self { status, length, content_length }))
    }
}

/// The length of a complete head at the start of `bytes`, its empty line included.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The value of the header `name` (lower case) in `head`.
pub fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a str> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let (key, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        key.eq_ignore_ascii_case(name).then(|| std::str::from_utf8(value).ok().map(str::trim)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with `parts`, each in a packet of its own, then closes.
    async fn server(parts: &'static [&'static [u8]]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            for part in parts {
                stream.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        address
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_read_to_its_end() {
        let at = server(&[b"HTTP/1.1 201 Cre", b"ated\r\nCONTENT-LENGTH: 4\r", b"\n\r\nab", b"cd"]).await;
        let mut connection = Connection::open(at).await.unwrap();
        assert_eq!(connection.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap(), 201);
        assert!(connection.buffer.ends_with(b"abcd"));
    }

    #[tokio::test]
    async fn the_body_that_is_fetched_is_all_of_it_and_nothing_else() {
        let at = server(&[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab\r", b"\nc"]).await;
        let mut connection = Connection::open(at).await.unwrap();
        assert_eq!(connection.fetch(b"GET / HTTP/1.1\r\n\r\n").await.unwrap(), b"ab\r\nc");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_an_error() {
        let at = server(&[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]).await;
        let mut connection = Connection::open(at).await.unwrap();
        let error = connection.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap_err();
        assert!(matches!(error, SendError::Closed), "{error}");
    }

    #[tokio::test]
    async fn an_answer_without_a_length_is_refused_rather_than_misread() {
        let at =
            server(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]).await;
        let mut connection = Connection::open(at).await.unwrap();
        let error = connection.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap_err();
        assert!(matches!(error, SendError::Unreadable(_)), "{error}");
    }

    #[test]
    fn a_header_is_found_by_its_whole_name_only() {
        let head = b"POST / HTTP/1.1\r\nX-Timer-Id: no\r\nTimer-Ident: no\r\nTIMER-ID: yes\r\n\r\n";
        assert_eq!(header(head, b"timer-id"), Some("yes"));
        assert_eq!(header(head, b"absent"), None);
    }
}
