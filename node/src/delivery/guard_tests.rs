//! What the guard takes each kind of address for, and which rules open what.

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn policy(rules: &[&str]) -> AddressPolicy {
    AddressPolicy::from_settings(&rules.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn every_special_range_is_known_at_both_its_ends() {
    use AddressClass::*;
    let cases = [
        (Unspecified, "0.0.0.0 0.255.255.255 ::"),
        (Loopback, "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1"),
        (Private, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255"),
        (Private, "fc00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ::ffff:10.0.0.1 64:ff9b::10.0.0.1"),
        (LinkLocal, "169.254.0.0 169.254.255.255 fe80::1 febf::1 ::ffff:169.254.1.1"),
        (SharedCarrier, "100.64.0.0 100.127.255.255 100.100.100.200"),
        (Multicast, "224.0.0.1 239.255.255.255 255.255.255.255 ff02::1 ffff::"),
        (Metadata, "169.254.169.254 168.63.129.16 fd00:ec2::254 fd20:ce::254"),
        (Metadata, "::ffff:169.254.169.254 64:ff9b::169.254.169.254"),
        (Reserved, "192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.7"),
        (Reserved, "240.0.0.0 255.255.255.254"),
        // Compatible and translated IPv4, NAT64 of local use, 6to4, Teredo, benchmarks, documentation, discard,
        // site-local, segment routing.
        (Reserved, "::8.8.8.8 ::127.0.0.1 ::ffff:0:8.8.8.8 64:ff9b:1::1 2002:7f00:1:: 2001:0:1::1 2001:2::1"),
        (Reserved, "2001:1ff:: 2001:db8::1 3fff::1 3fff:fff:: 100::1 fec0::1 5f00::1 4000::1 1fff::"),
        (Public, "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0"),
        (Public, "169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0"),
        (Public, "192.0.1.0 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8"),
        (Public, "2000:: 2001:200:: 2001:4860:4860::8888 2003:: 2606:4700::1111 3fff:1000:: 3ffe::"),
    ];
    for (class, addresses) in cases {
        for address in addresses.split(' ') {
            assert_eq!(classify(ip(address)), class, "{address}");
        }
    }
}

#[test]
fn the_strict_policy_lets_only_public_addresses_through() {
    let strict = AddressPolicy::strict();
    assert_eq!(strict.permits("a.example", ip("93.184.215.14")), Ok(()));
    assert_eq!(strict.permits("a.example", ip("127.0.0.1")), Err(AddressClass::Loopback));
    assert_eq!(strict.permits("a.example", ip("::ffff:10.0.0.1")), Err(AddressClass::Private));
}

#[test]
fn the_policy_for_development_opens_loopback_and_private_and_no_more() {
    let dev = AddressPolicy::dev();
    for open in ["127.0.0.1", "::1", "10.1.2.3", "fd12::1", "::ffff:192.168.1.1", "8.8.8.8"] {
        assert_eq!(dev.permits("a.example", ip(open)), Ok(()), "{open}");
    }
    for shut in ["169.254.169.254", "fd00:ec2::254", "169.254.1.1", "0.0.0.0", "100.64.0.1", "224.0.0.1"] {
        assert!(dev.permits("a.example", ip(shut)).is_err(), "{shut}");
    }
}

#[test]
fn a_block_opens_its_addresses_in_every_notation() {
    let policy = policy(&["10.1.0.9/16", "fd12::/16", "100.64.0.1"]);
    for open in ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "fd12:1::", "100.64.0.1"] {
        assert_eq!(policy.permits("a.example", ip(open)), Ok(()), "{open}");
    }
    for shut in ["10.2.0.0", "10.0.255.255", "fd13::", "100.64.0.2", "::10.1.2.3", "127.0.0.1"] {
        assert!(policy.permits("a.example", ip(shut)).is_err(), "{shut}");
    }
}

#[test]
fn a_metadata_address_is_opened_by_its_own_name_only() {
    let metadata = ip("169.254.169.254");
    assert!(
        policy(&["169.254.0.0/16", "private", "meta.example"]).permits("meta.example", metadata).is_err()
    );
    assert!(policy(&["0.0.0.0/0", "::/0"]).permits("a.example", metadata).is_err());
    assert_eq!(policy(&["169.254.169.254"]).permits("a.example", metadata), Ok(()));
    assert_eq!(policy(&["169.254.169.254/32"]).permits("a.example", metadata), Ok(()));
}

#[test]
fn a_host_is_opened_by_its_whole_name() {
    let policy = policy(&["Hooks.Internal.example."]);
    for open in ["hooks.internal.example", "HOOKS.internal.example."] {
        assert_eq!(policy.permits(open, ip("10.0.0.1")), Ok(()), "{open}");
    }
    for shut in ["internal.example", "a.hooks.internal.example", "hooks.internal.example.evil.example"] {
        assert!(policy.permits(shut, ip("10.0.0.1")).is_err(), "{shut}");
    }
}

#[test]
fn what_is_no_rule_is_refused_and_repeated() {
    for bad in [
        "",
        "lopback",
        "10.0.0",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "fd00::/129",
        "a b.example",
        "/8",
        "0x7f.1",
    ] {
        let fault = AddressPolicy::from_settings(&[bad.to_owned()]).unwrap_err();
        assert_eq!(fault, PolicyFault(bad.to_owned()));
    }
}

proptest! {
    #[test]
    fn a_mapped_address_is_what_it_maps(v4: u32) {
        let v4 = Ipv4Addr::from(v4);
        prop_assert_eq!(classify(IpAddr::V6(v4.to_ipv6_mapped())), classify(IpAddr::V4(v4)));
    }

    #[test]
    fn a_block_holds_what_begins_like_it(address: u32, other: u32, bits in 0_u8..=32) {
        let network = mask(IpAddr::V4(address.into()), bits);
        let same = bits == 0 || address >> (32 - bits) == other >> (32 - bits);
        prop_assert_eq!(mask(IpAddr::V4(other.into()), bits) == network, same);
    }
}
