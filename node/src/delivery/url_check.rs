//! What can be said of a callback URL when a timer is made, without resolving its name. The address that a
//! name has is checked when it is connected to, since it may change in between.

use std::net::IpAddr;

use http::Uri;
use url::{Host, Url};

use super::guard::AddressPolicy;

/// Why callbacks may not go to a URL. Each text completes the sentence "the field …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It is no URL that could be called.
    #[error("{0}")]
    Invalid(String),
    /// The address policy forbids it.
    #[error("{0}")]
    Blocked(String),
}

/// Checks the form of `url`, and its host where that is an address in any notation.
///
/// # Errors
/// When callbacks may not go to `url`.
pub fn check_url(url: &str, policy: &AddressPolicy) -> Result<(), UrlFault> {
    let url = parse(url).map_err(UrlFault::Invalid)?;
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
        Some(Host::Domain(name)) if !policy.trusts_host(name) && is_localhost(name) => {
            IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
        }
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    policy.check(address).map_err(|blocked| UrlFault::Blocked(format!("must not go there: {blocked}")))
}

/// Names that are this machine's by definition (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Reads a URL more strictly than browsers do, which take backslashes and drop line breaks: what two
/// parsers read in two ways is how address checks get deceived.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let fault = |message: &str| Err(message.to_owned());
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return fault("must not have spaces, control characters or backslashes");
    }
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return fault("must begin with http:// or https://");
    }
    let after = text.split_once("//").map_or("", |(_, after)| after);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return fault("must name a host");
    }
    if authority.contains('@') {
        return fault("must not have a user or password: use callbackHeaders for an Authorization header");
    }
    if text.contains('#') {
        return fault("must not have a fragment, which is never sent");
    }
    match Url::parse(text) {
        Err(e) => Err(format!("must be a URL that can be called: {e}")),
        Ok(url) if url.port() == Some(0) => fault("must not have port 0"),
        // What the HTTP library would not take, or would take for another host.
        Ok(url) if Uri::try_from(url.as_str()).ok().as_ref().and_then(Uri::host) != url.host_str() => {
            fault("must name a host that can be called")
        }
        Ok(url) => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict() -> AddressPolicy {
        AddressPolicy::from_settings(&[]).unwrap()
    }

    #[test]
    fn what_may_be_called_is_taken() {
        for good in [
            "http://example.com",
            "HTTPS://Example.com:8443/a/b?c=d&e=@",
            "https://example.com/a@b",
            "https://bücher.example/ü",
            "http://1.1.1.1/",
            "http://[2606:4700::1111]:80/",
            "https://example.com./",
            "https://localhost.example.com/",
            "http://a_b.example/{x}|\"?q={y}",
        ] {
            assert_eq!(check_url(good, &strict()), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_is_no_callable_url_is_invalid() {
        for bad in [
            "",
            "example.com",
            "/hook",
            "ftp://example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http:example.com",
            "http:///example.com",
            "http://",
            "https://?x",
            "https:///",
            "http://user:pass@example.com/",
            "http://user@example.com/",
            "http://@example.com/",
            "http://example.com:0/",
            "http://example.com:65536/",
            "http://example.com/#part",
            "http://example.com/a b",
            "http://exa\nmple.com/",
            "\thttp://example.com/",
            "http://example.com\\@127.0.0.1/",
            "http://1.2.3.4.5/",
            "http://[::1/",
            "http://exa<mple.com/",
            "http://ex%41mple.com:x/",
        ] {
            assert!(matches!(check_url(bad, &strict()), Err(UrlFault::Invalid(_))), "{bad}");
        }
    }

    #[test]
    fn a_blocked_address_is_known_in_every_notation() {
        for bad in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://0X7F.0.0.1/",
            "http://2130706433/",
            "http://017700000001/",
            "http://0177.0.0.1:8080/",
            "http://0/",
            "http://１２７.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://127.0.0.1./",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[::ffff:a00:1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://10.0.0.1/",
            "http://localhost:8080/",
            "http://LOCALHOST./",
            "http://a.localhost/",
        ] {
            assert!(matches!(check_url(bad, &strict()), Err(UrlFault::Blocked(_))), "{bad}");
        }
    }

    #[test]
    fn dev_may_call_this_machine() {
        for good in ["http://localhost:8080/", "http://127.0.0.1:8080/", "http://[::1]/", "http://10.0.0.1/"]
        {
            assert_eq!(check_url(good, &AddressPolicy::dev()), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_host_that_is_listed_may_be_called() {
        let policy = AddressPolicy::from_settings(&["localhost".into()]).unwrap();
        assert_eq!(check_url("http://localhost/", &policy), Ok(()));
        assert!(check_url("http://127.0.0.1/", &policy).is_err(), "its address is not");
    }
}
