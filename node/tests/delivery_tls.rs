//! Callbacks over TLS, against a server whose certificate these tests' own authority has signed.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod delivery_support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use delivery_support::*;
use node::delivery::SenderSettings;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use timer_core::command::AttemptResult;
use timer_core::timer::ErrorKind;

/// A server for `hooks.test` that answers the first request of each connection with 200. Gives its port.
fn tls_server() -> u16 {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("delivery_support/hooks.test.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("delivery_support/hooks.test.key.pem"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.unwrap()], key.unwrap())
        .unwrap();
    // A client that chose HTTP/2 would not understand the answer.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut request = [0; 4096];
            // A client that does not trust the certificate goes away.
            if stream.read(&mut request).is_ok() {
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        }
    });
    port
}

fn authority() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let pem = include_bytes!("delivery_support/authority.pem");
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    roots
}

fn settings(host: &str, roots: RootCertStore) -> SenderSettings {
    SenderSettings { roots: Some(roots), ..resolving(&Names::of(host, &["127.0.0.1"])) }
}

#[tokio::test]
async fn a_receiver_that_is_trusted_is_called() {
    let url = format!("https://hooks.test:{}/", tls_server());
    let sender = sender(settings("hooks.test", authority()));
    assert_eq!(sender.send(&attempt(url), always()).await.unwrap().result, AttemptResult::Delivered);
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let url = format!("https://other.test:{}/", tls_server());
    let sender = sender(settings("other.test", authority()));
    let (kind, message) = retried(sender.send(&attempt(url), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::Tls, "{message}");
    assert!(message.contains("not valid for name"), "{message}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let url = format!("https://hooks.test:{}/", tls_server());
    let sender = sender(settings("hooks.test", RootCertStore::empty()));
    let (kind, message) = retried(sender.send(&attempt(url), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::Tls, "{message}");
    assert!(message.contains("UnknownIssuer"), "{message}");
}

#[tokio::test]
async fn a_receiver_that_speaks_no_tls_is_no_tls_connection() {
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let url = format!("https://{}/", receiver.address);
    let (kind, message) =
        retried(sender(SenderSettings::default()).send(&attempt(url), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::Tls, "{message}");
    assert!(message.starts_with("no TLS connection: "), "{message}");
    assert_eq!(receiver.seen().len(), 0);
}
