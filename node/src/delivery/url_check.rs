//! What is known of a callback's URL before its name is resolved. What is refused here never becomes a timer;
//! what a name resolves to is asked again for every connection.
//!
//! Sender and check read a URL by the same parser, so that they can't take it for two different places.

use std::net::{IpAddr, Ipv4Addr};

use http::Uri;
use url::{Host, Url};

use super::guard::AddressPolicy;

/// Why callbacks may not go to a URL. The texts complete the sentence "the URL …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It is no URL that could be called.
    #[error("{0}")]
    Invalid(String),
    /// It names an address that callbacks must not go to.
    #[error("{0}")]
    BlockedAddress(String),
}

impl From<UrlFault> for crate::http::UrlFault {
    fn from(fault: UrlFault) -> Self {
        match fault {
            UrlFault::Invalid(message) => Self::Invalid(message),
            UrlFault::BlockedAddress(message) => Self::Blocked(message),
        }
    }
}

/// Checks all that is known of `url` without resolving its name.
///
/// # Errors
/// When it can't be called, or names an address that `policy` does not let through.
pub fn check_url(url: &str, policy: &AddressPolicy) -> Result<(), UrlFault> {
    let target = Target::parse(url).map_err(UrlFault::Invalid)?;
    let Some(address) = target.known_address() else { return Ok(()) };
    policy.permits(target.host(), address).map_err(|class| {
        UrlFault::BlockedAddress(format!(
            "must not lead to {}: callbacks to {class} addresses are blocked unless the setting \
             delivery.allow lists them",
            target.host()
        ))
    })
}

/// A URL that can be called.
#[derive(Clone, Debug)]
pub struct Target {
    url: Url,
    uri: Uri,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, completing "the URL …".
    pub fn parse(text: &str) -> Result<Self, String> {
        let scheme_fits = ["http://", "https://"]
            .iter()
            .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        if !scheme_fits {
            return Err("must begin with http:// or https://".into());
        }
        // The parser would mend or skip these, and no two parsers alike.
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err("must not contain spaces, control characters or backslashes".into());
        }
        let url = Url::parse(text).map_err(|e| format!("must be a URL that can be called: {e}"))?;
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err("must not contain a user or password: use a header".into());
        }
        if url.port() == Some(0) {
            return Err("must not have port 0".into());
        }
        if url.fragment().is_some() {
            return Err("must not have a fragment (#…): it is never sent".into());
        }
        let uri: Uri = url.as_str().parse().map_err(|e| format!("must be a URL that can be called: {e}"))?;
        if uri.host() != url.host_str() || uri.port_u16() != url.port() {
            return Err("must have a plain host".into());
        }
        Ok(Self { url, uri })
    }

    /// As the request needs it.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The name or address, as a person would write it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Host and port, for messages: a path may hold what not everybody should see.
    #[must_use]
    pub fn destination(&self) -> String {
        format!("{}:{}", self.host(), self.url.port_or_known_default().unwrap_or_default())
    }

    /// Whether it wants TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The address that it leads to, if that is known without asking: it is written out, or the name is one
    /// that RFC 6761 binds to loopback.
    fn known_address(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Ipv4(v4) => Some(v4.into()),
            Host::Ipv6(v6) => Some(v6.into()),
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                let is_local = name == "localhost" || name.ends_with(".localhost");
                is_local.then_some(Ipv4Addr::LOCALHOST.into())
            }
        }
    }
}

/// What stands between `//` and the path.
fn authority(text: &str) -> &str {
    let rest = text.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(url: &str) -> Result<(), UrlFault> {
        check_url(url, &AddressPolicy::strict())
    }

    #[test]
    fn what_can_be_called_passes() {
        for url in [
            "http://a.example",
            "HTTPS://A.example:8443/x/../y?q=1&r=%20|{}",
            "https://a.example./",
            "https://bücher.example/ä?ö",
            "https://a_b.example/@user:pass",
            "http://93.184.215.14:80/",
            "http://[2606:4700::1111]/",
            "https://xn--bcher-kva.example",
            "http://localhost.example",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn an_address_that_is_blocked_is_seen_in_any_notation() {
        for url in [
            "http://127.0.0.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://①②⑦.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]:8080/",
            "http://[::ffff:10.0.0.1]/",
            "http://[::ffff:a00:1]/",
            "http://[64:ff9b::a00:1]/",
            "http://[fd00:ec2::254]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://0/",
            "http://localhost:8080/",
            "http://LOCALHOST./",
            "http://a.localhost/",
        ] {
            assert!(matches!(check(url), Err(UrlFault::BlockedAddress(_))), "{url}: {:?}", check(url));
        }
    }

    #[test]
    fn what_can_not_be_called_is_invalid_and_says_why() {
        for (url, why) in [
            ("", "begin with http"),
            ("file:///etc/passwd", "begin with http"),
            ("gopher://a.example", "begin with http"),
            ("http:a.example", "begin with http"),
            ("//a.example", "begin with http"),
            ("é", "begin with http"),
            (" http://a.example", "begin with http"),
            ("http://", "empty host"),
            ("http://:80/", "empty host"),
            ("http://user@a.example/", "user or password"),
            ("http://user:pass@a.example/", "user or password"),
            ("http://:@a.example/", "user or password"),
            ("http://@a.example/", "user or password"),
            ("http://a.example:0/", "port 0"),
            ("http://a.example:65536/", "port"),
            ("http://a.example/#f", "fragment"),
            ("http://a.example/#", "fragment"),
            ("http://a.example\\@b.example/", "backslashes"),
            ("http://a.example/a b", "spaces"),
            ("http://a.example/a\tb", "spaces"),
            ("http://a.example/\u{0}", "control"),
            ("http://1.2.3.4.5/", "URL"),
            ("http://256.0.0.1/", "URL"),
            ("http://[::1/", "URL"),
            ("http://[fe80::1%25eth0]/", "URL"),
            ("http://a%00b.example/", "URL"),
        ] {
            match check(url) {
                Err(UrlFault::Invalid(message)) => assert!(message.contains(why), "{url}: {message}"),
                other => panic!("{url}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_exception_holds_for_written_addresses_too() {
        let policy = AddressPolicy::from_settings(&["loopback".into(), "10.0.0.0/8".into()]).unwrap();
        for url in ["http://127.1:9/", "http://localhost/", "http://[::ffff:10.0.0.1]/"] {
            assert_eq!(check_url(url, &policy), Ok(()), "{url}");
        }
        assert!(check_url("http://192.168.0.1/", &policy).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(https?://)?.{0,60}") {
            let _ = check(&text);
        }

        #[test]
        fn what_passes_is_called_where_it_was_checked(host in "[a-z0-9.\\[\\]:%-]{1,20}", path in "[!-~]{0,20}") {
            if let Ok(target) = Target::parse(&format!("http://{host}/{path}")) {
                prop_assert_eq!(target.uri().host(), Some(target.host()));
            }
        }
    }
}
