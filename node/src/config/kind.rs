//! What a setting may be: its kind, how a text or a TOML value becomes one, and what to say when it does not.

use std::net::SocketAddr;

use super::settings::Peer;
use crate::delivery::AddressPolicy;

/// A checked value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// An IP address and port.
    Address(SocketAddr),
    /// A list of texts.
    List(Vec<String>),
}

/// A value as a source gives it, before its kind is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// A TOML string.
    Text(String),
    /// A TOML integer that fits.
    Number(u64),
    /// A TOML array; tables of `name` and `address` in it have become `name=address` already.
    List(Vec<Raw>),
    /// Anything else, described for people.
    Other(String),
    /// What an environment variable or a flag gives: text that may stand for any kind.
    Untyped(String),
}

/// The kind of a setting, with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// The path of a file, or empty.
    File,
    /// Paths of files.
    Files,
    /// A name: `[a-z0-9][a-z0-9-]{0,62}`.
    Name,
    /// An IP address and port.
    Address,
    /// `host:port`, or empty.
    HostPort,
    /// An `http` or `https` URL without a path, or empty.
    Url,
    /// A whole number within bounds.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Addresses to exempt: `loopback`, `private`, an IP address or a CIDR block.
    Addresses,
    /// Members: `name=host:port`.
    Peers,
    /// A filter of log events.
    Filter,
}

/// The longest `node.name` and `cluster.name`: a DNS label's.
const NAME_BYTES_MAX: usize = 63;

impl Kind {
    /// What a value of this kind looks like, to follow "must be".
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Text => "a text that is not empty".into(),
            Self::File => "the path of a file, like \"/etc/timerd/tls.crt\"".into(),
            Self::Files => "a list of paths of files, like [\"/etc/timerd/ca.crt\"]".into(),
            Self::Name => {
                "a name of 1 to 63 of a-z, 0-9 and '-', beginning with a letter or a digit, like \"n1\""
                    .into()
            }
            Self::Address => "an IP address and port, like \"127.0.0.1:8080\" or \"[::]:8080\"".into(),
            Self::HostPort => "a host and port, like \"n1.example.com:7080\"".into(),
            Self::Url => {
                "an http or https URL without path, query or user, like \"http://n1.example.com:8080\"".into()
            }
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(words) => words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or "),
            Self::Addresses => {
                "a list of \"loopback\", \"private\", IP addresses, CIDR blocks whose bits after the prefix are zero, \
                 and host names, like [\"10.1.0.0/16\", \"hooks.internal\"]"
                    .into()
            }
            Self::Peers => {
                "a list of \"name=host:port\", or of tables { name = \"n1\", address = \"host:port\" }".into()
            }
            Self::Filter => "a filter like \"info\" or \"info,node::delivery=debug\"".into(),
        }
    }

    /// Turns `raw` into a value of this kind, or describes what was found instead.
    ///
    /// # Errors
    /// What was found, for people.
    pub fn read(self, raw: &Raw) -> Result<Value, String> {
        match (self, raw) {
            (Self::Number { min, max }, Raw::Number(n)) if (min..=max).contains(n) => Ok(Value::Number(*n)),
            (Self::Number { .. }, Raw::Untyped(text)) => match text.replace('_', "").parse() {
                Ok(n) => self.read(&Raw::Number(n)),
                Err(_) => Err(describe(raw)),
            },
            (Self::Addresses | Self::Peers | Self::Files, Raw::Untyped(text)) => {
                let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
                self.read_list(parts.map(Into::into).collect())
            }
            (Self::Addresses | Self::Peers | Self::Files, Raw::List(items)) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items {
                    match item {
                        Raw::Text(text) => texts.push(text.clone()),
                        Raw::Number(_) | Raw::List(_) | Raw::Other(_) | Raw::Untyped(_) => {
                            return Err(format!("a list with {} in it", describe(item)));
                        }
                    }
                }
                self.read_list(texts)
            }
            (Self::Number { .. } | Self::Addresses | Self::Peers | Self::Files, _) => Err(describe(raw)),
            (_, Raw::Text(text) | Raw::Untyped(text)) => self.read_text(text).ok_or_else(|| describe(raw)),
            (_, Raw::Number(_) | Raw::List(_) | Raw::Other(_)) => Err(describe(raw)),
        }
    }

    fn read_text(self, text: &str) -> Option<Value> {
        let fits = match self {
            Self::Text => !text.is_empty(),
            Self::File => true,
            Self::Name => node_name_fits(text),
            Self::Address => return text.parse().ok().map(Value::Address),
            Self::HostPort => text.is_empty() || host_port_fits(text),
            Self::Url => text.is_empty() || url_fits(text),
            Self::Choice(words) => words.contains(&text),
            Self::Filter => !text.is_empty() && tracing_subscriber::EnvFilter::builder().parse(text).is_ok(),
            Self::Number { .. } | Self::Addresses | Self::Peers | Self::Files => false,
        };
        fits.then(|| Value::Text(text.into()))
    }

    fn read_list(self, texts: Vec<String>) -> Result<Value, String> {
        let fits = |text: &String| {
            if self == Self::Peers {
                Peer::parse(text).is_some()
            } else if self == Self::Files {
                !text.is_empty()
            } else {
                AddressPolicy::from_settings(std::slice::from_ref(text)).is_ok()
            }
        };
        match texts.iter().find(|text| !fits(text)) {
            Some(bad) => Err(format!("{bad:?} in the list")),
            None => Ok(Value::List(texts)),
        }
    }
}

fn describe(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) | Raw::Untyped(text) => format!("{text:?}"),
        Raw::Number(n) => n.to_string(),
        Raw::List(_) => "a list".into(),
        Raw::Other(what) => what.clone(),
    }
}

/// Whether `name` can name a node or a cluster.
pub(super) fn node_name_fits(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(fits)
        && name.bytes().all(|b| fits(b) || b == b'-')
}

/// Whether `text` is `host:port` with a port that one can connect to.
pub(super) fn host_port_fits(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    port.bytes().all(|b| b.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|p| p != 0)
        && url::Host::parse(host).is_ok()
}

fn url_fits(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.port() != Some(0)
    })
}
