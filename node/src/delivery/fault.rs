//! Why an attempt got no answer, in words that help at three in the morning.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy;
use timer_core::timer::ErrorKind;

use super::guard::AddressClass;
use super::text;

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectFault {
    /// The name leads to an address that callbacks must not go to.
    Blocked {
        /// The name, or the address as it was written.
        host: String,
        /// Where it leads.
        address: IpAddr,
        /// What that is.
        class: AddressClass,
    },
    /// The name has no address now.
    Unresolved {
        /// The name.
        host: String,
        /// Why.
        reason: Arc<io::Error>,
    },
    /// The server of names took too long.
    ResolvedTooSlowly {
        /// The name.
        host: String,
        /// How long it took at least.
        waited: Duration,
    },
    /// No address took the connection.
    Unreachable(Vec<AddressFault>),
    /// Everything together took too long; what is left then is TLS.
    TooSlow {
        /// The name.
        host: String,
        /// How long it took at least.
        waited: Duration,
    },
}

/// Why one address took no connection.
#[derive(Debug)]
pub struct AddressFault {
    /// The address.
    pub address: SocketAddr,
    /// Why, or none: it did not answer.
    pub error: Option<io::Error>,
    /// How long it was waited for.
    pub waited: Duration,
}

impl std::error::Error for ConnectFault {}

impl fmt::Display for ConnectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked { host, address, class } if *host == address.to_string() => {
                write!(f, "{host} is a {class} address, which callbacks must not go to (delivery.allow)")
            }
            Self::Blocked { host, address, class } => write!(
                f,
                "{host} leads to {address}, a {class} address, which callbacks must not go to (delivery.allow)"
            ),
            Self::Unresolved { host, reason } => write!(f, "can't resolve {host}: {reason}"),
            Self::ResolvedTooSlowly { host, waited } => {
                write!(f, "can't resolve {host}: no answer within {waited:?}")
            }
            Self::TooSlow { host, waited } => write!(f, "no secure connection to {host} within {waited:?}"),
            Self::Unreachable(faults) => {
                for (at, fault) in faults.iter().enumerate() {
                    write!(f, "{}{fault}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match &self.error {
            None => write!(f, "connect to {address}: no answer within {:?}", self.waited),
            Some(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                write!(f, "connect to {address} refused")
            }
            Some(e) => write!(f, "connect to {address}: {e}"),
        }
    }
}

impl ConnectFault {
    const fn kind(&self) -> ErrorKind {
        match self {
            Self::Blocked { .. } => ErrorKind::BlockedAddress,
            Self::Unresolved { .. } | Self::ResolvedTooSlowly { .. } => ErrorKind::Dns,
            Self::Unreachable(_) => ErrorKind::Connect,
            Self::TooSlow { .. } => ErrorKind::Tls,
        }
    }
}

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// For people.
    pub message: String,
}

impl Fault {
    /// Why the client gave no answer from `destination`.
    pub fn of_client(error: &legacy::Error, is_secure: bool, destination: &str) -> Self {
        if let Some(fault) = find::<ConnectFault>(error) {
            return Self { kind: fault.kind(), message: fault.to_string() };
        }
        // What follows the client's own "client error (…)" says more than that.
        let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), text::chain);
        if error.is_connect() && is_secure {
            let message = format!("no secure connection to {destination}: {cause}");
            return Self { kind: ErrorKind::Tls, message };
        }
        let message = match find::<hyper::Error>(error) {
            Some(e) if e.is_parse() => format!("{destination} does not answer in HTTP: {cause}"),
            Some(e) if e.is_incomplete_message() => {
                format!("{destination} closed the connection before it answered")
            }
            _ => format!("the connection to {destination} broke: {cause}"),
        };
        Self { kind: ErrorKind::Transport, message }
    }
}

/// Whether the peer closed the connection before it said anything.
pub fn closed_before_answer(error: &legacy::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    let is_closed = |e: &hyper::Error| e.is_incomplete_message() || e.is_closed() || e.is_canceled();
    let is_broken = |e: &io::Error| {
        matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
    };
    !error.is_connect()
        && (find::<hyper::Error>(error).is_some_and(is_closed)
            || find::<io::Error>(error).is_some_and(is_broken))
}

/// The first error of a kind among `error` and what is behind it.
fn find<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    std::iter::from_fn(|| {
        let this = next?;
        next = this.source();
        Some(this)
    })
    .find_map(|e| e.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_address_and_reason() {
        let address = "10.0.0.1:443".parse().unwrap();
        let waited = Duration::from_secs(5);
        let refused = AddressFault { address, error: Some(io::ErrorKind::ConnectionRefused.into()), waited };
        let silent = AddressFault { address, error: None, waited };
        assert_eq!(
            ConnectFault::Unreachable(vec![refused, silent]).to_string(),
            "connect to 10.0.0.1:443 refused; connect to 10.0.0.1:443: no answer within 5s"
        );
        let blocked = |host: &str| ConnectFault::Blocked {
            host: host.into(),
            address: "10.0.0.1".parse().unwrap(),
            class: AddressClass::Private,
        };
        assert_eq!(
            blocked("a.example").to_string(),
            "a.example leads to 10.0.0.1, a private address, which callbacks must not go to (delivery.allow)"
        );
        assert_eq!(
            blocked("10.0.0.1").to_string(),
            "10.0.0.1 is a private address, which callbacks must not go to (delivery.allow)"
        );
    }

    #[test]
    fn an_error_is_found_behind_others() {
        let inner = ConnectFault::Unreachable(Vec::new());
        let outer = io::Error::other(io::Error::other(inner));
        assert!(find::<ConnectFault>(&outer).is_some());
        assert!(find::<hyper::Error>(&outer).is_none());
    }
}
