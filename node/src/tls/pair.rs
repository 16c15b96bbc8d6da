//! A certificate with its key, from two files, and until when it is good.

use std::path::PathBuf;

use rustls::sign::CertifiedKey;
use timer_core::time::{Millis, Span};
use x509_parser::parse_x509_certificate;

use super::pem::{PemError, certificates, private_key};
use super::provider;
use crate::rfc3339;

/// So long before its end a certificate is said to end soon: what renews certificates has long done so by then.
pub const EXPIRES_SOON: Span = Span(14 * 24 * 3600 * 1000);

/// Where a certificate and its key are kept, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, followed by those of its authorities but the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why two files are no certificate that can be served.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// One of them can't be read, or holds nothing of the kind.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The first certificate is none.
    #[error("{}: the certificate can't be read: {reason}", path.display())]
    NotX509 {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key of a kind that TLS here does not know.
    #[error("{}: the key can't be used: {error}", path.display())]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// The library's words.
        error: rustls::Error,
    },
    /// Two halves of different pairs.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate's time is over.
    #[error("{}: the certificate has expired at {}", path.display(), rfc3339::format(*at))]
    Expired {
        /// The file.
        path: PathBuf,
        /// Its end.
        at: Millis,
    },
    /// The certificate's time has not come.
    #[error("{}: the certificate is not valid before {}", path.display(), rfc3339::format(*from))]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// Its begin.
        from: Millis,
    },
    /// Whoever writes them does not come to an end.
    #[error("{} and {} change while they are read", certificate.display(), key.display())]
    Moving {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

/// A certificate whose key belongs to it. Whether it is good now is another question: [`CertificatePair::check`].
#[derive(Clone, Debug)]
pub struct CertificatePair {
    /// What rustls shows and signs with.
    pub certified: CertifiedKey,
    /// The certificate's begin.
    pub valid_from: Millis,
    /// The certificate's end.
    pub expires_at: Millis,
    files: CertificateFiles,
}

impl CertificatePair {
    /// Reads both files.
    ///
    /// # Errors
    /// See [`PairError`]; never for its time.
    pub fn load(files: &CertificateFiles) -> Result<Self, PairError> {
        let chain = certificates(&files.certificate)?;
        let key = private_key(&files.key)?;
        let (valid_from, expires_at) = chain
            .first()
            .ok_or("there is none".to_owned())
            .and_then(|leaf| validity(leaf))
            .map_err(|reason| PairError::NotX509 { path: files.certificate.clone(), reason })?;
        let signing = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| PairError::UnusableKey { path: files.key.clone(), error })?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            // Some keys can't say what their public half is; then the first handshake shows it.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(_) => {
                let (certificate, key) = (files.certificate.clone(), files.key.clone());
                return Err(PairError::Mismatch { certificate, key });
            }
        }
        Ok(Self { certified, valid_from, expires_at, files: files.clone() })
    }

    /// Whether the certificate's time has come and is not over.
    ///
    /// # Errors
    /// [`PairError::Expired`], [`PairError::NotYetValid`].
    pub fn check(&self, now: Millis) -> Result<(), PairError> {
        let path = self.files.certificate.clone();
        if now < self.valid_from {
            return Err(PairError::NotYetValid { path, from: self.valid_from });
        }
        if now > self.expires_at {
            return Err(PairError::Expired { path, at: self.expires_at });
        }
        Ok(())
    }

    /// Whether the end is near.
    #[must_use]
    pub fn expires_soon(&self, now: Millis) -> bool {
        self.expires_at < now + EXPIRES_SOON
    }

    /// Whether the certificate is for `host`, a name or an IP address.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let name = rustls::pki_types::ServerName::try_from(host.trim_matches(['[', ']']));
        let leaf = self.certified.end_entity_cert();
        match (name, leaf.and_then(rustls::server::ParsedCertificate::try_from)) {
            (Ok(name), Ok(leaf)) => rustls::client::verify_server_name(&leaf, &name).is_ok(),
            (Err(_), _) | (_, Err(_)) => false,
        }
    }
}

/// Begin and end of a certificate. Times before 1970 are 1970.
fn validity(certificate: &[u8]) -> Result<(Millis, Millis), String> {
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    let millis = |at: x509_parser::time::ASN1Time| {
        Millis(u64::try_from(at.timestamp()).unwrap_or(0).saturating_mul(1000))
    };
    let validity = parsed.validity();
    Ok((millis(validity.not_before), millis(validity.not_after)))
}
