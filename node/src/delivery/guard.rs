//! Which addresses callbacks may go to: without a rule that says otherwise, public ones only, since whoever
//! can create timers could else reach what only this machine can.
//!
//! The lists follow IANA's registries of special-purpose addresses. Within IPv6 only what is allotted as
//! global unicast is public, so that a range which is still unassigned is blocked as well.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// Reachable from everywhere.
    Public,
    /// This machine.
    Loopback,
    /// A private network: RFC 1918 and fc00::/7.
    Private,
    /// One link.
    LinkLocal,
    /// Behind a carrier's NAT: 100.64.0.0/10.
    SharedCarrier,
    /// Many receivers, broadcast included.
    Multicast,
    /// No address at all.
    Unspecified,
    /// Where clouds hand credentials to their machines.
    Metadata,
    /// Documentation, benchmarks, tunnels and what is not assigned.
    Reserved,
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::SharedCarrier => "carrier-grade NAT",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
            Self::Metadata => "cloud metadata",
            Self::Reserved => "reserved",
        })
    }
}

/// Where clouds answer with credentials: all of them; Azure; Google; Amazon.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// The class of `address`. One that holds an IPv4 address and leads there (mapped, NAT64) has that one's.
#[must_use]
pub fn classify(address: IpAddr) -> AddressClass {
    let address = canonical(address);
    if METADATA.contains(&address) {
        return AddressClass::Metadata;
    }
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// The IPv4 address that `address` leads to, if it is one in disguise: `::ffff:a.b.c.d` or `64:ff9b::a.b.c.d`.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [.., a, b, c, d] = v6.octets();
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => IpAddr::from([a, b, c, d]),
        _ => address,
    }
}

const fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::SharedCarrier,
        [169, 254, ..] => AddressClass::LinkLocal,
        [224..=239, ..] | [255, 255, 255, 255] => AddressClass::Multicast,
        // Protocol assignments, the 6to4 relay, documentation, benchmarks, the future.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 51, 100, _] | [203, 0, 113, _] => {
            AddressClass::Reserved
        }
        [198, 18..=19, ..] | [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

const fn classify_v6(address: Ipv6Addr) -> AddressClass {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0xfc00..=0xfdff, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        // Protocol assignments (Teredo and benchmarks are among them), documentation twice, 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x2002, ..] => {
            AddressClass::Reserved
        }
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

/// Which addresses callbacks may go to. Clones share its rules.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    rules: Arc<[Rule]>,
}

/// What is let through although it is not public.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Loopback,
    Private,
    Block {
        network: IpAddr,
        bits: u8,
    },
    /// Whatever this name resolves to; in lower case, without the final dot.
    Host(String),
}

/// A rule that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address rule: it must be \"loopback\", \"private\", an IP address, a CIDR block like \
     \"10.1.0.0/16\" or a host's full name"
)]
pub struct PolicyFault(pub String);

impl AddressPolicy {
    /// Public addresses only.
    #[must_use]
    pub fn strict() -> Self {
        Self::default()
    }

    /// Also loopback and private addresses, for development.
    #[must_use]
    pub fn dev() -> Self {
        Self { rules: [Rule::Loopback, Rule::Private].into() }
    }

    /// Public addresses and what `allow` names: `loopback`, `private`, IP addresses, CIDR blocks, full names of
    /// hosts. A metadata address is let through only by a rule that names it alone.
    ///
    /// # Errors
    /// The first rule that is none.
    pub fn from_settings(allow: &[String]) -> Result<Self, PolicyFault> {
        let rules = allow.iter().map(|text| rule(text).ok_or_else(|| PolicyFault(text.clone())));
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// Whether callbacks to `host` may connect to `address`.
    ///
    /// # Errors
    /// The class that keeps them from it.
    pub fn permits(&self, host: &str, address: IpAddr) -> Result<(), AddressClass> {
        let class = classify(address);
        let permitted =
            class == AddressClass::Public || self.rules.iter().any(|rule| rule.permits(host, address, class));
        if permitted { Ok(()) } else { Err(class) }
    }
}

impl Rule {
    fn permits(&self, host: &str, address: IpAddr, class: AddressClass) -> bool {
        match self {
            Self::Loopback => class == AddressClass::Loopback,
            Self::Private => class == AddressClass::Private,
            Self::Host(name) => class != AddressClass::Metadata && *name == plain_name(host),
            Self::Block { network, bits } => {
                let alone = *bits == bits_max(*network);
                (alone || class != AddressClass::Metadata)
                    && [address, canonical(address)].iter().any(|a| mask(*a, *bits) == *network)
            }
        }
    }
}

fn rule(text: &str) -> Option<Rule> {
    match text {
        "loopback" => return Some(Rule::Loopback),
        "private" => return Some(Rule::Private),
        _ => {}
    }
    if let Some((address, bits)) = text.split_once('/') {
        let address: IpAddr = address.parse().ok()?;
        let bits = bits.bytes().all(|b| b.is_ascii_digit()).then(|| bits.parse().ok())??;
        return (bits <= bits_max(address)).then(|| Rule::Block { network: mask(address, bits), bits });
    }
    if let Ok(network) = text.parse() {
        return Some(Rule::Block { network, bits: bits_max(network) });
    }
    // A name without a dot could be a misspelt word of ours.
    let name = plain_name(text);
    let url = url::Url::parse(&format!("http://{name}/")).ok()?;
    let is_name = matches!(url.host(), Some(url::Host::Domain(host)) if host == name && host.contains('.'));
    is_name.then_some(Rule::Host(name))
}

/// In lower case, without the final dot that only says that the name is complete.
fn plain_name(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

const fn bits_max(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The first `bits` of `address`, or all of them if it has not so many: then it equals no network of so many.
fn mask(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let keep = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::from((u32::from(v4) & keep).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let keep = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::from((u128::from(v6) & keep).to_be_bytes())
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
