//! Opens connections for callbacks: resolves the name, lets the guard judge every address, and connects.
//! TLS is deliberately absent; it is put on top.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{Uri, uri};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use timer_core::timer::ErrorKind;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::failure;
use super::guard::{AddressPolicy, Blocked};
use super::resolver::Resolve;
use crate::sockets::TcpStream;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// How long one address is waited for before the next is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// An address that callbacks may not go to. No connection was tried.
    #[error("{host}: {blocked}")]
    Blocked { host: String, blocked: Blocked },
    /// The resolver gave no address.
    #[error("{host} can't be resolved: {error}")]
    Dns { host: String, error: io::Error },
    /// The name exists, but has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// No address took the connection.
    #[error("no connection to {host} at {address}: {error}")]
    Refused { host: String, address: SocketAddr, error: io::Error },
    /// Nothing came back.
    #[error("no connection to {host} at {address} within {} ms", .after.as_millis())]
    TimedOut { host: String, address: SocketAddr, after: Duration },
    /// Addresses answered, but a usable connection did not come of it.
    #[error("no TLS connection: the handshake did not end within {} ms", .after.as_millis())]
    Unfinished { after: Duration },
    /// Not a URL that one can connect to.
    #[error("{0} names no host")]
    NoHost(Uri),
}

impl ConnectError {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Blocked { .. } => ErrorKind::BlockedAddress,
            Self::Dns { .. } | Self::NoAddress(_) => ErrorKind::Dns,
            Self::Refused { error, .. } => refused_kind(error),
            Self::TimedOut { .. } | Self::Unfinished { .. } => ErrorKind::ConnectTimedOut,
            Self::NoHost(_) => ErrorKind::InvalidCallback,
        }
    }
}

/// What the operating system's refusal to connect means.
#[expect(clippy::wildcard_enum_match_arm, reason = "the system has many more reasons")]
fn refused_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorKind::ConnectionRefused,
        io::ErrorKind::TimedOut => ErrorKind::ConnectTimedOut,
        _ => failure::reset(error).unwrap_or(ErrorKind::Connect),
    }
}

/// What a connection tells of itself with every answer.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Whom it goes to.
    pub(super) address: SocketAddr,
    /// From then on it takes no further request, so that the name is resolved again.
    pub(super) retire_at: Instant,
}

/// A connection and what it tells of itself.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    origin: Origin,
}

/// Opens connections. Clones share everything.
#[derive(Clone, Debug)]
pub(super) struct Connector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policy: AddressPolicy,
    resolver: Arc<dyn Resolve>,
    connect_timeout: Duration,
    age_max: Duration,
    opened: AtomicU32,
}

impl Connector {
    /// Each address gets `connect_timeout`; a connection takes requests for at most `age_max`.
    pub(super) fn new(
        policy: AddressPolicy,
        resolver: Arc<dyn Resolve>,
        connect_timeout: Duration,
        age_max: Duration,
    ) -> Self {
        Self(Arc::new(Inner { policy, resolver, connect_timeout, age_max, opened: AtomicU32::new(0) }))
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Stream>, ConnectError> {
        let Some(host) = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']')) else {
            return Err(ConnectError::NoHost(uri));
        };
        let is_https = uri.scheme() == Some(&uri::Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let addresses = self.addresses(host).await?;
        let targets = addresses.into_iter().take(ADDRESSES_MAX).map(|ip| SocketAddr::new(ip, port));
        let (tcp, address) = self.first_of(host, targets.collect()).await?;
        // Without it the last bytes of a request may wait for an acknowledgement.
        if let Err(e) = tcp.set_nodelay(true) {
            tracing::debug!(error = %e, "a callback's connection without TCP_NODELAY");
        }
        let origin = Origin { address, retire_at: self.retire_at() };
        Ok(TokioIo::new(Stream { tcp, origin }))
    }

    /// Addresses that may be connected to. One that may not blocks the name: whoever controls it could
    /// otherwise choose the moment at which only that one answers.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => match self.0.resolver.resolve(host).await {
                Ok(addresses) => addresses,
                Err(error) => return Err(ConnectError::Dns { host: host.to_owned(), error }),
            },
        };
        if !self.0.policy.trusts_host(host) {
            for address in &addresses {
                self.0
                    .policy
                    .check(*address)
                    .map_err(|blocked| ConnectError::Blocked { host: host.to_owned(), blocked })?;
            }
        }
        Ok(addresses)
    }

    /// The first connection that opens. The next address is tried when one fails or is slow, so that a dead
    /// one costs little of the attempt's time.
    async fn first_of(
        &self,
        host: &str,
        targets: Vec<SocketAddr>,
    ) -> Result<(TcpStream, SocketAddr), ConnectError> {
        let mut error = ConnectError::NoAddress(host.to_owned());
        let mut waiting = targets.into_iter().peekable();
        let mut running = FuturesUnordered::new();
        loop {
            if let Some(address) = waiting.next() {
                running.push(self.one(host, address));
            } else if running.is_empty() {
                return Err(error);
            }
            tokio::select! {
                Some(result) = running.next() => match result {
                    Ok(connection) => return Ok(connection),
                    Err(e) => error = e,
                },
                () = tokio::time::sleep(STAGGER), if waiting.peek().is_some() => {}
            }
        }
    }

    async fn one(&self, host: &str, address: SocketAddr) -> Result<(TcpStream, SocketAddr), ConnectError> {
        let after = self.0.connect_timeout;
        match tokio::time::timeout(after, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => Ok((tcp, address)),
            Ok(Err(error)) => Err(ConnectError::Refused { host: host.to_owned(), address, error }),
            Err(_) => Err(ConnectError::TimedOut { host: host.to_owned(), address, after }),
        }
    }

    /// Spread over the last quarter of the age, so that connections of one burst do not all end together.
    fn retire_at(&self) -> Instant {
        let step = self.0.opened.fetch_add(1, Ordering::Relaxed) % 16;
        Instant::now() + self.0.age_max - self.0.age_max / 64 * step
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.origin.clone())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
