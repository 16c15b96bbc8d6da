//! The authorities that receivers' certificates are held against: the operating system's, and those that an operator
//! names. They are read once, at the start.

use std::path::PathBuf;

use rustls::RootCertStore;

use super::pem::{PemError, certificates};

/// Why there is no list of authorities.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// A file can't be read, or holds no certificate.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// What a file holds is no certificate of an authority.
    #[error("{}: certificate {number} can't be an authority: {error}", path.display())]
    NotAnAuthority {
        /// The file.
        path: PathBuf,
        /// Which one of it, from 1.
        number: usize,
        /// The library's words.
        error: rustls::Error,
    },
}

/// The system's authorities and those in `ca_files`. A machine without any is said to be one: callbacks over plain HTTP
/// work all the same, and those over TLS fail with what is missing.
///
/// # Errors
/// For a file of `ca_files`. What is wrong with the system's is only said.
pub fn trusted(ca_files: &[PathBuf]) -> Result<RootCertStore, RootsError> {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "some of the system's certificate authorities can't be read");
    }
    let (mut roots, added) = (authorities(ca_files)?, ca_files.len());
    let (of_system, _unreadable) = roots.add_parsable_certificates(system.certs);
    match (of_system, added) {
        (0, 0) => tracing::warn!(
            "this machine has no certificate authorities: callbacks to https will fail; install them \
             (ca-certificates), or name some in delivery.ca_files"
        ),
        (0, _) => tracing::info!(
            "this machine has no certificate authorities: callbacks to https trust those of delivery.ca_files only"
        ),
        (_, _) => tracing::debug!(of_system, files = added, "certificate authorities for callbacks"),
    }
    Ok(roots)
}

/// The authorities in `ca_files` alone.
///
/// # Errors
/// See [`RootsError`].
pub fn authorities(ca_files: &[PathBuf]) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    for path in ca_files {
        for (at, certificate) in certificates(path)?.into_iter().enumerate() {
            roots.add(certificate).map_err(|error| RootsError::NotAnAuthority {
                path: path.clone(),
                number: at + 1,
                error,
            })?;
        }
    }
    Ok(roots)
}
