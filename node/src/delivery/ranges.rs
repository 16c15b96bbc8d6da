//! The special address ranges that callbacks must not reach by default, as a table, and the arithmetic of
//! CIDR blocks. Which of them a cluster allows all the same is not decided here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What kind of address it is, as far as the guard cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any host of the internet.
    Public,
    /// This machine.
    Loopback,
    /// The organisation's own network.
    Private,
    /// A cloud's metadata service, which hands out credentials.
    Metadata,
    /// Something else that is no host of the internet. Which, for people.
    Special(&'static str),
}

impl Kind {
    /// For people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Metadata => "cloud metadata",
            Self::Special(what) => what,
        }
    }
}

/// A block of addresses. IPv4 is kept as IPv4-mapped IPv6, so that one arithmetic serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cidr {
    network: u128,
    mask: u128,
}

const MAPPED: u128 = 0xffff_0000_0000;

const fn mask(prefix: u32) -> u128 {
    if prefix == 0 { 0 } else { u128::MAX << (128 - prefix) }
}

const fn v4(address: [u8; 4], prefix: u32) -> Cidr {
    Cidr { network: MAPPED | u32::from_be_bytes(address) as u128, mask: mask(96 + prefix) }
}

const fn v6(segments: [u16; 8], prefix: u32) -> Cidr {
    let [a, b, c, d, e, f, g, h] = segments;
    Cidr { network: Ipv6Addr::new(a, b, c, d, e, f, g, h).to_bits(), mask: mask(prefix) }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => MAPPED | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl Cidr {
    /// Whether `address` lies in it.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.network
    }

    /// Whether it is a single address.
    pub(super) fn is_one_address(self) -> bool {
        self.mask == u128::MAX
    }
}

impl FromStr for Cidr {
    type Err = ();

    /// An address, or a block like `10.1.0.0/16`. Bits beyond the prefix must be zero: they are most likely
    /// an error of whoever wrote them.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().map_err(|_| ())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let (width, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let prefix = prefix.unwrap_or(width);
        if prefix > width {
            return Err(());
        }
        let cidr = Self { network: bits(address), mask: mask(before + prefix) };
        if cidr.network & cidr.mask == cidr.network { Ok(cidr) } else { Err(()) }
    }
}

use Kind::{Loopback, Metadata, Private, Special};

/// The first that fits counts, so metadata services come before the blocks that they lie in.
/// Source: the IANA special-purpose address registries (RFC 6890 and its updates), and the clouds' own
/// documentation.
const BLOCKS: &[(Cidr, Kind)] = &[
    (v4([169, 254, 169, 254], 32), Metadata),
    (v4([169, 254, 170, 2], 32), Metadata),
    (v4([169, 254, 170, 23], 32), Metadata),
    (v4([100, 100, 100, 200], 32), Metadata),
    (v4([168, 63, 129, 16], 32), Metadata),
    (v4([192, 0, 0, 192], 32), Metadata),
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), Metadata),
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128), Metadata),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), Metadata),
    (v4([0, 0, 0, 0], 8), Special("unspecified")),
    (v4([10, 0, 0, 0], 8), Private),
    (v4([100, 64, 0, 0], 10), Special("carrier-grade NAT")),
    (v4([127, 0, 0, 0], 8), Loopback),
    (v4([169, 254, 0, 0], 16), Special("link-local")),
    (v4([172, 16, 0, 0], 12), Private),
    (v4([192, 0, 0, 0], 24), Special("reserved")),
    (v4([192, 0, 2, 0], 24), Special("documentation")),
    (v4([192, 88, 99, 0], 24), Special("reserved")),
    (v4([192, 168, 0, 0], 16), Private),
    (v4([198, 18, 0, 0], 15), Special("benchmark")),
    (v4([198, 51, 100, 0], 24), Special("documentation")),
    (v4([203, 0, 113, 0], 24), Special("documentation")),
    (v4([224, 0, 0, 0], 4), Special("multicast")),
    (v4([255, 255, 255, 255], 32), Special("broadcast")),
    (v4([240, 0, 0, 0], 4), Special("reserved")),
    (v4([0, 0, 0, 0], 0), Kind::Public),
    (v6([0; 8], 128), Special("unspecified")),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Loopback),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Special("link-local")),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Special("site-local")),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Special("multicast")),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), Special("benchmark")),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Special("documentation")),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Special("documentation")),
    // The rest of the block for protocols; Teredo, which lies in it, is judged by what is embedded.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Special("reserved")),
    (v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3), Kind::Public),
    // Beyond 2000::/3 no host of the internet has an address yet.
    (v6([0; 8], 0), Special("reserved")),
];

/// What kind of address `address` itself is; see [`embedded`] for those that stand for another.
pub(super) fn kind(address: IpAddr) -> Kind {
    BLOCKS.iter().find(|(block, _)| block.contains(address)).map_or(Special("reserved"), |(_, kind)| *kind)
}

/// Whether `address`, or one that it stands for, is a metadata service's.
pub(super) fn leads_to_metadata(address: IpAddr) -> bool {
    let meant = if let IpAddr::V6(v6) = address { embedded(v6) } else { None };
    kind(address) == Metadata || meant.into_iter().flatten().any(|v4| kind(v4.into()) == Metadata)
}

/// The IPv4 addresses that a router or the system would go to instead of this IPv6 address: IPv4-mapped,
/// IPv4-compatible, NAT64, 6to4 and Teredo, which names two.
pub(super) fn embedded(address: Ipv6Addr) -> Option<[Ipv4Addr; 2]> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0] if address.to_bits() > 1 => Some([v4(g, h); 2]),
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some([v4(g, h); 2]),
        [0x2002, high, low, ..] => Some([v4(high, low); 2]),
        [0x2001, 0, high, low, ..] => Some([v4(high, low), v4(!g, !h)]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_addresses() {
        let cases = [
            ("1.1.1.1", "public"),
            ("8.8.8.8", "public"),
            ("172.15.255.255", "public"),
            ("172.32.0.0", "public"),
            ("100.63.255.255", "public"),
            ("100.128.0.0", "public"),
            ("198.17.255.255", "public"),
            ("198.20.0.0", "public"),
            ("223.255.255.255", "public"),
            ("2606:4700::1111", "public"),
            ("2a00::1", "public"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("::1", "loopback"),
            ("10.0.0.1", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("fc00::1", "private"),
            ("fdff::1", "private"),
            ("169.254.169.254", "cloud metadata"),
            ("fd00:ec2::254", "cloud metadata"),
            ("fd20:ce::254", "cloud metadata"),
            ("100.100.100.200", "cloud metadata"),
            ("168.63.129.16", "cloud metadata"),
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("::", "unspecified"),
            ("100.64.0.1", "carrier-grade NAT"),
            ("100.127.255.255", "carrier-grade NAT"),
            ("169.254.0.1", "link-local"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "site-local"),
            ("192.0.0.8", "reserved"),
            ("240.0.0.1", "reserved"),
            ("4000::1", "reserved"),
            ("64:ff9b:1::1", "reserved"),
            ("100::1", "reserved"),
            ("2001:20::1", "reserved"),
            ("192.0.2.1", "documentation"),
            ("198.51.100.1", "documentation"),
            ("203.0.113.1", "documentation"),
            ("2001:db8::1", "documentation"),
            ("3fff::1", "documentation"),
            ("198.18.0.1", "benchmark"),
            ("198.19.255.255", "benchmark"),
            ("2001:2::1", "benchmark"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("ff02::1", "multicast"),
            ("255.255.255.255", "broadcast"),
        ];
        for (address, what) in cases {
            assert_eq!(kind(address.parse().unwrap()).as_str(), what, "{address}");
        }
    }

    #[test]
    fn addresses_that_stand_for_another_name_it() {
        let cases = [
            ("::ffff:10.0.0.1", Some(["10.0.0.1"; 2])),
            ("::10.0.0.1", Some(["10.0.0.1"; 2])),
            ("64:ff9b::10.0.0.1", Some(["10.0.0.1"; 2])),
            ("2002:a00:1::5", Some(["10.0.0.1"; 2])),
            ("2001:0:0808:0808::f5ff:fffe", Some(["8.8.8.8", "10.0.0.1"])),
            ("::", None),
            ("::1", None),
            ("2606:4700::1111", None),
            ("fe80::ffff:10.0.0.1", None),
        ];
        for (address, expected) in cases {
            let expected = expected.map(|both| both.map(|v4| v4.parse().unwrap()));
            assert_eq!(embedded(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn blocks_are_read_strictly() {
        let inside =
            |block: &str, address: &str| block.parse::<Cidr>().unwrap().contains(address.parse().unwrap());
        assert!(inside("10.1.0.0/16", "10.1.255.255"));
        assert!(!inside("10.1.0.0/16", "10.2.0.0"));
        assert!(inside("10.1.2.3", "10.1.2.3"));
        assert!(inside("0.0.0.0/0", "10.1.2.3"));
        assert!(!inside("0.0.0.0/0", "fd00::1"));
        assert!(inside("fd00::/8", "fd12::1"));
        assert!(inside("::/0", "fd12::1"));
        for bad in ["10.1.0.1/16", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::1/129", "", "host", "1/2/3"] {
            assert_eq!(bad.parse::<Cidr>(), Err(()), "{bad}");
        }
    }
}
