//! Whom a client trusts for https, and what is wrong with a server that it does not trust.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::{BuildError, TlsFault};
use crate::limits::CA_BYTES_MAX;

/// Where authorities come from that are trusted beside the system's.
#[derive(Clone, Debug)]
pub enum Authorities {
    /// A PEM file.
    File(PathBuf),
    /// The content of one.
    Pem(Vec<u8>),
}

/// The system's authorities and `more`.
///
/// # Errors
/// When one of `more` can't be read, or when there is no authority at all.
pub fn roots(more: &[Authorities]) -> Result<RootCertStore, BuildError> {
    let mut roots = RootCertStore::empty();
    for authorities in more {
        match authorities {
            Authorities::File(path) => {
                let bytes = read(path).map_err(|error| fault(Some(path), &error.to_string()))?;
                add(&mut roots, &bytes).map_err(|reason| fault(Some(path), &reason))?;
            }
            Authorities::Pem(bytes) => add(&mut roots, bytes).map_err(|reason| fault(None, &reason))?,
        }
    }
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        let reason = system.errors.first().map_or("this machine has none".to_owned(), ToString::to_string);
        return Err(BuildError::Certificates(reason));
    }
    Ok(roots)
}

fn fault(path: Option<&Path>, reason: &str) -> BuildError {
    let file = path.map_or("the authorities that were given".to_owned(), |path| path.display().to_string());
    BuildError::Authority { file, reason: reason.to_owned() }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(CA_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    if pem.len() as u64 > CA_BYTES_MAX {
        return Err(format!("larger than {CA_BYTES_MAX} bytes"));
    }
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        added += 1;
    }
    if added == 0 { Err("holds no certificate in PEM".to_owned()) } else { Ok(()) }
}

/// What TLS has against the server, if it is TLS that has something.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "rustls adds faults with its versions")]
pub fn tls_fault(error: &(dyn Error + 'static)) -> Option<TlsFault> {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<rustls::Error>() {
            return Some(match fault {
                rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => TlsFault::Expired,
                rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
                    TlsFault::WrongHost(fault.to_string())
                }
                // A bad signature is that of an authority which was made anew under its old name.
                rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => TlsFault::UnknownCa,
                rustls::Error::InvalidMessage(_) => TlsFault::NotTls,
                _ => TlsFault::Other(fault.to_string()),
            });
        }
        // An I/O error gives the cause of what it holds, not what it holds.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_authority_is_refused_with_where_it_came_from() {
        let none = roots(&[Authorities::Pem(b"nothing".to_vec())]).unwrap_err().to_string();
        assert_eq!(none, "the authorities that were given: holds no certificate in PEM");
        let missing = roots(&[Authorities::File("/nowhere/ca.pem".into())]).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/ca.pem: No such file"), "{missing}");
        let large = vec![b' '; usize::try_from(CA_BYTES_MAX).unwrap() + 1];
        let large = roots(&[Authorities::Pem(large)]).unwrap_err().to_string();
        assert!(large.ends_with("larger than 1048576 bytes"), "{large}");
    }
}
