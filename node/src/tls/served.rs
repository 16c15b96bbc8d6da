//! What the listener shows: one certificate at a time, which can be exchanged while connections go on.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use tokio_rustls::TlsAcceptor;

use super::pair::CertificatePair;
use super::provider;

/// The certificate that new connections get.
///
/// With it everything else of TLS is exchanged: a session that was begun under the certificate before can't be taken up
/// again, else its client would go on for a day without having seen the new one.
#[derive(Debug)]
pub struct Served(RwLock<Arc<ServerConfig>>);

impl Served {
    /// Serves `pair` from the start.
    ///
    /// # Errors
    /// When the library finds no version of TLS, which none of our builds does.
    pub fn new(pair: &CertificatePair) -> Result<Self, rustls::Error> {
        Ok(Self(RwLock::new(config(pair)?)))
    }

    /// Serves `pair` from now on. Connections that are open keep what they have.
    ///
    /// # Errors
    /// As [`Served::new`]; nothing has changed then.
    pub fn exchange(&self, pair: &CertificatePair) -> Result<(), rustls::Error> {
        *self.0.write() = config(pair)?;
        Ok(())
    }

    /// Shakes hands with the certificate of now.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.read().clone())
    }
}

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1.
fn config(pair: &CertificatePair) -> Result<Arc<ServerConfig>, rustls::Error> {
    let shown = Arc::new(SingleCertAndKey::from(pair.certified.clone()));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
