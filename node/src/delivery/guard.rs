//! Decides which addresses callbacks may go to, so that a timer can't be used to reach what only the
//! cluster's own network can reach. It judges the address that is actually connected to, not the name.

use std::net::IpAddr;
use std::sync::Arc;

use super::ranges::{self, Cidr, Kind};

/// What callbacks may reach. Clones share it.
#[derive(Clone, Debug)]
pub struct AddressPolicy(Arc<Allowed>);

#[derive(Debug, Default)]
struct Allowed {
    loopback: bool,
    private: bool,
    blocks: Vec<Cidr>,
    hosts: Vec<String>,
}

/// An entry of `delivery.allow` that can't be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "delivery.allow: {entry:?} is not \"loopback\", \"private\", an IP address, a CIDR block whose bits after \
     the prefix are zero, or a host name"
)]
pub struct PolicyError {
    /// The entry as it was given.
    pub entry: String,
}

/// Why an address may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is a {} address, which callbacks may not go to unless delivery.allow lists it", .kind.as_str())]
pub(super) struct Blocked {
    address: IpAddr,
    kind: Kind,
}

impl AddressPolicy {
    /// Public addresses only, and what `allow` lists: `loopback`, `private` (RFC 1918 and IPv6 unique local
    /// addresses, without metadata services), IP addresses, CIDR blocks (without the metadata services in them), and
    /// host names whose addresses are not judged at all.
    ///
    /// # Errors
    /// The first entry that is none of these.
    pub fn from_settings(allow: &[String]) -> Result<Self, PolicyError> {
        let mut allowed = Allowed::default();
        for entry in allow {
            match entry.as_str() {
                "loopback" => allowed.loopback = true,
                "private" => allowed.private = true,
                text => match (text.parse(), url::Host::parse(text)) {
                    (Ok(block), _) => allowed.blocks.push(block),
                    (Err(()), Ok(url::Host::Domain(name))) => allowed.hosts.push(name),
                    (Err(()), _) => return Err(PolicyError { entry: entry.clone() }),
                },
            }
        }
        Ok(Self(Arc::new(allowed)))
    }

    /// The policy of `timerd dev`: loopback and private addresses too.
    #[must_use]
    pub fn dev() -> Self {
        Self(Arc::new(Allowed { loopback: true, private: true, ..Allowed::default() }))
    }

    /// Whether the addresses of `host`, in lower case, need no check.
    pub(super) fn trusts_host(&self, host: &str) -> bool {
        self.0.hosts.iter().any(|name| name == host)
    }

    /// Whether `delivery.allow` lists the address. A metadata service hands out credentials, so it needs an entry
    /// of its own: whoever opens `0.0.0.0/0` does not think of it.
    fn lists(&self, address: IpAddr) -> bool {
        let metadata = ranges::leads_to_metadata(address);
        self.0.blocks.iter().any(|block| block.contains(address) && (!metadata || block.is_one_address()))
    }

    /// Checks an address. One that stands for another (see [`ranges::embedded`]) is judged by that one.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Blocked> {
        if self.lists(address) {
            return Ok(());
        }
        if let IpAddr::V6(v6) = address
            && let Some(meant) = ranges::embedded(v6)
        {
            return meant.into_iter().try_for_each(|v4| self.check(v4.into()));
        }
        let kind = ranges::kind(address);
        let fits = match kind {
            Kind::Public => true,
            Kind::Loopback => self.0.loopback,
            Kind::Private => self.0.private,
            Kind::Metadata | Kind::Special(_) => false,
        };
        if fits { Ok(()) } else { Err(Blocked { address, kind }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(policy: &AddressPolicy, address: &str) -> bool {
        policy.check(address.parse().unwrap()).is_ok()
    }

    fn strict(allow: &[&str]) -> AddressPolicy {
        let allow: Vec<String> = allow.iter().map(ToString::to_string).collect();
        AddressPolicy::from_settings(&allow).unwrap()
    }

    #[test]
    fn by_default_only_public_addresses_are_reached() {
        let policy = strict(&[]);
        for good in ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"] {
            assert!(allows(&policy, good), "{good}");
        }
        for bad in
            ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "169.254.169.254", "0.0.0.0", "255.255.255.255"]
        {
            assert!(!allows(&policy, bad), "{bad}");
        }
    }

    #[test]
    fn an_address_that_stands_for_another_is_judged_by_it() {
        let (strict, dev) = (strict(&[]), AddressPolicy::dev());
        for bad in ["::ffff:10.0.0.1", "::10.0.0.1", "2002:a00:1::", "64:ff9b::a00:1", "2001:0:a00:1::"] {
            assert!(!allows(&strict, bad), "{bad}");
        }
        assert!(!allows(&strict, "2001:0:808:808::f5ff:fffe"), "the client of a Teredo tunnel");
        assert!(allows(&dev, "::ffff:127.0.0.1"));
        assert!(!allows(&dev, "::ffff:169.254.169.254"));
    }

    #[test]
    fn dev_reaches_loopback_and_private_but_no_metadata() {
        let policy = AddressPolicy::dev();
        for good in ["127.0.0.1", "::1", "10.0.0.1", "fd12::1", "192.168.0.1", "1.1.1.1"] {
            assert!(allows(&policy, good), "{good}");
        }
        for bad in ["169.254.169.254", "fd00:ec2::254", "100.64.0.1", "224.0.0.1", "0.0.0.0", "fe80::1"] {
            assert!(!allows(&policy, bad), "{bad}");
        }
    }

    #[test]
    fn what_is_listed_is_reached_and_nothing_else() {
        let policy = strict(&["10.1.0.0/16", "169.254.169.254", "fd12::/16", "Hooks.Internal"]);
        for good in ["10.1.2.3", "::ffff:10.1.2.3", "169.254.169.254", "fd12::9"] {
            assert!(allows(&policy, good), "{good}");
        }
        for bad in ["10.2.0.0", "169.254.169.253", "fd13::9", "127.0.0.1"] {
            assert!(!allows(&policy, bad), "{bad}");
        }
        assert!(policy.trusts_host("hooks.internal"));
        assert!(!policy.trusts_host("internal"));
    }

    #[test]
    fn a_block_does_not_open_the_metadata_services_in_it_and_an_entry_of_their_own_does() {
        let all = strict(&["0.0.0.0/0", "::/0"]);
        for good in ["10.0.0.1", "169.254.0.1", "fd12::1", "::ffff:127.0.0.1", "2002:a00:1::"] {
            assert!(allows(&all, good), "{good}");
        }
        for bad in ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254"] {
            assert!(!allows(&all, bad), "{bad}");
        }
        let named = strict(&["169.254.169.254/32", "fd00:ec2::254"]);
        for good in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"] {
            assert!(allows(&named, good), "{good}");
        }
    }

    #[test]
    fn an_entry_that_is_no_address_is_refused_by_name() {
        for bad in
            ["10.0.0.1/8", "10.0.0.0/33", "", "a b", "[::1]", "http://x", "0x7f000001", "*.example.com/"]
        {
            let error = AddressPolicy::from_settings(&["loopback".into(), bad.into()]).unwrap_err();
            assert_eq!(error.entry, bad);
        }
    }

    #[test]
    fn a_refusal_says_which_address_and_why() {
        let text = strict(&[]).check("::ffff:10.0.0.1".parse().unwrap()).unwrap_err().to_string();
        assert_eq!(
            text,
            "10.0.0.1 is a private address, which callbacks may not go to unless delivery.allow lists it"
        );
    }
}
