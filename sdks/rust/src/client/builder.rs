//! Makes a client and checks its settings before anything is sent.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use rustls::RootCertStore;
use url::Url;

use super::Client;
use super::call::Core;
use super::retry::RetrySettings;
use super::transport::Transport;
use super::trust::{Authorities, roots};
use crate::error::BuildError;
use crate::limits::ENDPOINTS_MAX;

/// What a client is made of.
#[derive(Clone, Debug, Default)]
pub struct ClientBuilder {
    endpoints: Vec<String>,
    token: Option<String>,
    authorities: Vec<Authorities>,
    retry: RetrySettings,
}

impl ClientBuilder {
    /// One more node: `http://host:port` or `https://host`, with the path of a proxy before it if there is
    /// one. Calls go to the first and move on to the next when one can't be reached or asks to come later.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoints.push(url.into());
        self
    }

    /// Sends this bearer token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Trusts the certificate authorities in this PEM file for https, beside those of the system: for nodes whose
    /// certificates come from an authority of one's own. The file is read when the client is made.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities.push(Authorities::File(path.into()));
        self
    }

    /// As [`ClientBuilder::ca_file`], with the content of the file.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(Authorities::Pem(pem.into()));
        self
    }

    /// Bounds tries and waits.
    #[must_use]
    pub fn retry(mut self, retry: RetrySettings) -> Self {
        self.retry = retry;
        self
    }

    /// The client. No connection is made yet.
    ///
    /// # Errors
    /// When a setting is not usable.
    pub fn build(self) -> Result<Client, BuildError> {
        let named = self.endpoints.len();
        if named == 0 {
            return Err(BuildError::NoEndpoint);
        }
        if named > ENDPOINTS_MAX {
            return Err(BuildError::TooManyEndpoints { max: ENDPOINTS_MAX, named });
        }
        let endpoints = self.endpoints.iter().map(|text| base(text)).collect::<Result<Vec<_>, _>>()?;
        let secure = endpoints.iter().any(|base| base.starts_with("https:"));
        let authorization = self.token.as_deref().map(bearer).transpose()?;
        let roots = if secure { roots(&self.authorities)? } else { RootCertStore::empty() };
        let transport = Transport::new(roots).map_err(|fault| BuildError::Certificates(fault.to_string()))?;
        Ok(Client { core: Arc::new(Core::new(endpoints, transport, authorization, self.retry)) })
    }
}

/// The URL that paths are appended to.
fn base(text: &str) -> Result<String, BuildError> {
    let fault = |reason: &str| BuildError::Endpoint { endpoint: text.to_owned(), reason: reason.to_owned() };
    let url = Url::parse(text).map_err(|error| fault(&format!("{error}; write it as http://host:port")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault("must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("must not hold a user or password: use a token"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("must not have a query or fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn bearer(token: &str) -> Result<HeaderValue, BuildError> {
    let printable = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| BuildError::Token)?;
    value.set_sensitive(true);
    if printable { Ok(value) } else { Err(BuildError::Token) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_that_no_server_can_have_are_refused() {
        for bad in ["", "timers:8080", "ftp://h/", "http://", "http://u:p@h/", "http://h/?a=b", "http://h/#x"]
        {
            assert!(matches!(base(bad), Err(BuildError::Endpoint { .. })), "{bad}");
        }
        assert_eq!(base("http://h:8080/").as_deref(), Ok("http://h:8080"));
        assert_eq!(base("https://h/timers/").as_deref(), Ok("https://h/timers"));
    }

    #[test]
    fn a_client_needs_an_endpoint_and_a_usable_token() {
        assert!(matches!(Client::builder().build(), Err(BuildError::NoEndpoint)));
        for token in ["", "a b", "a\nb", "é"] {
            let built = Client::builder().endpoint("http://h").token(token).build();
            assert!(matches!(built, Err(BuildError::Token)), "{token:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown_by_debug_output_of_its_header() {
        let header = bearer("s3cret").unwrap();
        assert!(!format!("{header:?}").contains("s3cret"));
    }
}
