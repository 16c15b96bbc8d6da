//! Whom TLS trusts. Only HTTP/1.1 is offered: each connection carries one attempt, so that one that hangs or
//! breaks fails that attempt alone.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::sender::SenderError;

/// Certificates that a receiver's must lead to.
#[derive(Clone, Debug, Default)]
pub enum TrustedRoots {
    /// Those of this machine (also by `SSL_CERT_FILE` and `SSL_CERT_DIR`).
    #[default]
    Platform,
    /// These, and no others.
    Only(Vec<CertificateDer<'static>>),
}

/// The settings of TLS.
///
/// # Errors
/// When a given root is no certificate, or the provider has no usable protocol version.
pub fn client_config(roots: &TrustedRoots) -> Result<ClientConfig, SenderError> {
    let builder = match roots {
        TrustedRoots::Platform => match builder()?.with_native_roots() {
            Ok(builder) => builder,
            Err(e) => {
                // Callbacks over plain HTTP need none, so the node does not refuse to start.
                tracing::warn!(error = %e, "no trusted certificates on this machine: https callbacks will fail");
                builder()?.with_root_certificates(RootCertStore::empty())
            }
        },
        TrustedRoots::Only(certificates) => given(certificates)?,
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, SenderError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(SenderError::Tls)
}

fn given(
    certificates: &[CertificateDer<'static>],
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, SenderError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate.clone()).map_err(SenderError::Tls)?;
    }
    Ok(builder()?.with_root_certificates(store))
}
