//! TLS of this node: the certificate that it shows to clients of the REST API, and whom it trusts when it calls back.
//!
//! - [`pem`]: reads files of certificates and keys
//! - [`pair`]: a certificate with its key, and until when it is good
//! - [`served`]: what the listener shows; it can be exchanged while connections go on
//! - [`changes`]: when files have changed, also behind links that are switched
//! - [`reload`]: exchanges what is served when the files change
//! - [`roots`]: the authorities that receivers' certificates are held against
//!
//! Deliberately absent: the peers' port, which is for a private network; certificates of clients; and a twin for the
//! simulation, where nobody speaks TLS: the code is compiled there, and its tests use real sockets and files.

pub mod changes;
pub mod pair;
pub mod pem;
pub mod reload;
pub mod roots;
pub mod served;
#[cfg(test)]
#[path = "../../tests/certificates/mod.rs"]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use pair::{CertificateFiles, CertificatePair, PairError};
pub use reload::{AskReload, Reloader};
pub use served::Served;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The one implementation of cryptography, named wherever one is chosen: rustls would else take a process's default,
/// which a dependency could set.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
