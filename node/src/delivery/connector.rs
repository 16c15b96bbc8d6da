//! Connections for callbacks: a name is resolved, every address that it leads to must pass the guard, and the
//! connection goes to one of these very addresses, so that no later look-up can lead elsewhere.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

use super::fault::{AddressFault, ConnectFault};
use super::guard::AddressPolicy;
use super::limits::{ADDRESSES_MAX, CONNECT_STAGGER, RESOLVE_MAX};
use super::resolver::Resolve;
use super::stream::GuardedStream;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes TCP connections to addresses that the guard lets through.
#[derive(Clone, Debug)]
pub struct TcpConnector {
    /// Resolves names.
    pub resolver: Arc<dyn Resolve>,
    /// Which addresses may be connected to.
    pub policy: AddressPolicy,
    /// How long one address may take.
    pub connect_max: Duration,
}

impl TcpConnector {
    async fn connect(self, uri: Uri) -> Result<GuardedStream, ConnectFault> {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let default_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let resolved_at = Instant::now();
        let addresses = self.addresses(host).await?;
        let blocked = |address: &IpAddr| Some((*address, self.policy.permits(host, *address).err()?));
        // One that is blocked among others is enough: such a name is made to pass a guard that looks once.
        if let Some((address, class)) = addresses.iter().find_map(blocked) {
            return Err(ConnectFault::Blocked { host: host.to_owned(), address, class });
        }
        let stream = first_to_answer(&in_turns(&addresses), port, self.connect_max).await?;
        Ok(GuardedStream::new(stream, resolved_at))
    }

    async fn addresses(&self, host: &str) -> Result<Arc<[IpAddr]>, ConnectFault> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok([address].into());
        }
        match tokio::time::timeout(RESOLVE_MAX, self.resolver.resolve(host)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(Ok(_)) => {
                let reason = Arc::new(std::io::Error::other("it has no address"));
                Err(ConnectFault::Unresolved { host: host.to_owned(), reason })
            }
            Ok(Err(reason)) => Err(ConnectFault::Unresolved { host: host.to_owned(), reason }),
            Err(_) => Err(ConnectFault::ResolvedTooSlowly { host: host.to_owned(), waited: RESOLVE_MAX }),
        }
    }
}

/// The first [`ADDRESSES_MAX`], the two families in turns, in the order given otherwise: a family that is dead
/// delays by one step only.
fn in_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let of_first_family = |a: &&IpAddr| addresses.first().is_some_and(|first| first.is_ipv6() == a.is_ipv6());
    let (ours, others): (Vec<&IpAddr>, Vec<&IpAddr>) = addresses.iter().partition(of_first_family);
    let mut turns = Vec::new();
    for place in 0..ours.len().max(others.len()) {
        let pair = [ours.get(place), others.get(place)];
        turns.extend(pair.into_iter().flatten().copied().copied());
    }
    turns.truncate(ADDRESSES_MAX);
    turns
}

/// Tries the addresses in turn; one that has not answered after [`CONNECT_STAGGER`] goes on beside the next.
async fn first_to_answer(
    addresses: &[IpAddr],
    port: u16,
    connect_max: Duration,
) -> Result<TcpStream, ConnectFault> {
    let mut waiting = addresses.iter().map(|ip| SocketAddr::new(*ip, port));
    let mut tries = FuturesUnordered::new();
    let mut faults = Vec::new();
    loop {
        match waiting.next() {
            Some(address) => tries.push(connect_to(address, connect_max)),
            None if tries.is_empty() => return Err(ConnectFault::Unreachable(faults)),
            None => {}
        }
        let more_wait = waiting.len() > 0;
        tokio::select! {
            Some(tried) = tries.next() => match tried {
                Ok(stream) => return Ok(stream),
                Err(fault) => faults.push(fault),
            },
            () = tokio::time::sleep(CONNECT_STAGGER), if more_wait => {}
        }
    }
}

async fn connect_to(address: SocketAddr, connect_max: Duration) -> Result<TcpStream, AddressFault> {
    let fault = |error| AddressFault { address, error, waited: connect_max };
    let stream = match tokio::time::timeout(connect_max, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(|e| fault(Some(e)))?,
        Err(_) => return Err(fault(None)),
    };
    // A request is written at once: there is nothing to wait for.
    stream.set_nodelay(true).map_err(|e| fault(Some(e)))?;
    Ok(stream)
}

impl Service<Uri> for TcpConnector {
    type Response = GuardedStream;
    type Error = ConnectFault;
    type Future = BoxFuture<'static, Result<GuardedStream, ConnectFault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A [`TcpConnector`] with TLS for `https`, bounded as a whole: the client goes on connecting for its pool when
/// the attempt that wanted a connection has got another.
#[derive(Clone, Debug)]
pub struct CallbackConnector {
    https: HttpsConnector<TcpConnector>,
    connected_max: Duration,
}

impl CallbackConnector {
    /// Connects by `tcp`, and by `tls` on top.
    #[must_use]
    pub fn new(tcp: TcpConnector, tls: rustls::ClientConfig, connected_max: Duration) -> Self {
        Self { https: HttpsConnector::from((tcp, tls)), connected_max }
    }
}

impl Service<Uri> for CallbackConnector {
    type Response = MaybeHttpsStream<GuardedStream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default().to_owned();
        let waited = self.connected_max;
        let connecting = self.https.call(uri);
        Box::pin(async move {
            let connected = tokio::time::timeout(waited, connecting).await;
            connected.unwrap_or_else(|_| Err(ConnectFault::TooSlow { host, waited }.into()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split(' ').map(|ip| ip.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns() {
        let cases = [
            ("::1 ::2 ::3 1.1.1.1 2.2.2.2", "::1 1.1.1.1 ::2 2.2.2.2 ::3"),
            ("1.1.1.1 ::1 ::2", "1.1.1.1 ::1 ::2"),
            ("1.1.1.1 2.2.2.2", "1.1.1.1 2.2.2.2"),
        ];
        for (given, expected) in cases {
            assert_eq!(in_turns(&ips(given)), ips(expected), "{given}");
        }
        assert_eq!(in_turns(&[IpAddr::from([1, 1, 1, 1]); ADDRESSES_MAX + 1]).len(), ADDRESSES_MAX);
        assert!(in_turns(&[]).is_empty());
    }
}
