//! A connection that knows its age and whether it has been used, which the pool does not tell.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A TCP connection to an address that the guard let through.
#[derive(Debug)]
pub struct GuardedStream {
    io: TokioIo<TcpStream>,
    mark: Mark,
}

/// What is known of a connection. Clones share it.
#[derive(Clone, Debug)]
pub struct Mark {
    resolved_at: Instant,
    uses: Arc<AtomicU64>,
}

impl Mark {
    /// The mark of the connection that a request went out on, if it got one.
    pub fn of(captured: &CaptureConnection) -> Option<Self> {
        let mut extensions = http::Extensions::new();
        captured.connection_metadata().as_ref()?.get_extras(&mut extensions);
        extensions.remove()
    }

    /// When its name was resolved.
    pub const fn resolved_at(&self) -> Instant {
        self.resolved_at
    }

    /// Counts a use; gives how many there had been before.
    pub fn count_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed)
    }
}

impl GuardedStream {
    /// Wraps a new connection whose name was resolved at `resolved_at`.
    pub fn new(stream: TcpStream, resolved_at: Instant) -> Self {
        Self { io: TokioIo::new(stream), mark: Mark { resolved_at, uses: Arc::default() } }
    }
}

impl Connection for GuardedStream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.mark.clone())
    }
}

impl Read for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }
}
