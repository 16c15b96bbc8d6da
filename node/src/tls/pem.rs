//! Reads PEM files. Bounded, because a path that is wrong may lead to any file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Bytes of one file: a bundle of all authorities of the world has a quarter of it.
pub const PEM_BYTES_MAX: u64 = 1 << 20;

/// Why a file gave no certificate or key.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file can't be read.
    #[error("{}: can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The file is no PEM file.
    #[error("{}: larger than {PEM_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A section is broken.
    #[error("{}: not valid PEM: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no section of a certificate.
    #[error("{}: holds no certificate (-----BEGIN CERTIFICATE-----)", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no section of a key, or it is encrypted.
    #[error("{}: holds no private key, or only an encrypted one (PKCS#8, PKCS#1 and SEC1 can be read)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

/// The certificates in `path`, in their order; there is at least one.
///
/// # Errors
/// See [`PemError`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(PemError::NoCertificate { path: path.into() }),
        Ok(found) => Ok(found),
        Err(error) => Err(invalid(path, &error)),
    }
}

/// The first private key in `path`.
///
/// # Errors
/// See [`PemError`].
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| {
        if matches!(error, Error::NoItemsFound) {
            return PemError::NoKey { path: path.into() };
        }
        invalid(path, &error)
    })
}

fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > PEM_BYTES_MAX => Err(PemError::TooLarge { path: path.into() }),
        Ok(_) => Ok(bytes),
        Err(error) => Err(PemError::Unreadable { path: path.into(), error }),
    }
}

fn invalid(path: &Path, error: &Error) -> PemError {
    // The library shows what it has read as a list of bytes.
    let reason = match error {
        Error::MissingSectionEnd { end_marker } => {
            format!("the section {} has no end", String::from_utf8_lossy(end_marker))
        }
        Error::IllegalSectionStart { line } => {
            format!("the line {:?} begins no section", String::from_utf8_lossy(line))
        }
        Error::Base64Decode(_) | Error::Io(_) | Error::NoItemsFound | Error::SectionTooLarge | _ => {
            error.to_string()
        }
    };
    PemError::Invalid { path: path.into(), reason }
}
