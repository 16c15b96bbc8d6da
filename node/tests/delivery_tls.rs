//! Callbacks over TLS, against servers whose certificates these tests' own authorities have signed: who is trusted, and
//! what kind of failure it is when one is not.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod certificates;
mod delivery_support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use certificates::{Authority, Issued};
use delivery_support::*;
use node::delivery::SenderSettings;
use node::tls::roots::{authorities, trusted};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use timer_core::command::AttemptResult;
use timer_core::timer::ErrorKind;

/// A server on this machine that runs `talk` with every connection, one after the other. Gives its port.
fn server(mut talk: impl FnMut(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            talk(stream.unwrap());
        }
    });
    port
}

/// A server with TLS that answers the first request of each connection with 200. Gives its port.
fn tls_server(mut config: ServerConfig) -> u16 {
    // A client that chose HTTP/2 would not understand the answer.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    server(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut request = [0; 4096];
        // A client that does not trust the certificate goes away.
        if stream.read(&mut request).is_ok() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    })
}

fn settings(host: &str, roots: RootCertStore) -> SenderSettings {
    SenderSettings { roots: Some(roots), ..resolving(&Names::of(host, &["127.0.0.1"])) }
}

/// What comes of a callback to `host` that is answered with the certificate of `issued`.
async fn called(host: &str, issued: &Issued, roots: RootCertStore) -> AttemptResult {
    let url = format!("https://{host}:{}/", tls_server(issued.server()));
    sender(settings(host, roots)).send(&attempt(url), always()).await.unwrap().result
}

/// The kind and the words of the failure of a callback to a server that does `talk`.
async fn failed(talk: impl FnMut(TcpStream) + Send + 'static) -> (ErrorKind, String) {
    let url = format!("https://127.0.0.1:{}/", server(talk));
    let sender = sender(SenderSettings { roots: Some(RootCertStore::empty()), ..SenderSettings::default() });
    retried(sender.send(&attempt(url), always()).await.unwrap().result)
}

#[tokio::test]
async fn a_receiver_that_is_trusted_is_called() {
    let authority = Authority::new();
    let result = called("hooks.test", &authority.issue(&["hooks.test"]), authority.roots()).await;
    assert_eq!(result, AttemptResult::Delivered);
}

#[tokio::test]
async fn an_authority_from_a_file_is_trusted_beside_those_of_the_system() {
    let (authority, other) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    // A file may hold several.
    std::fs::write(&file, format!("{}{}", other.pem, authority.pem)).unwrap();
    let roots = trusted(&[file]).unwrap();
    let system = trusted(&[]).unwrap().len();
    assert_eq!(roots.len(), system + 2, "{system} of the system");
    let result = called("hooks.test", &authority.issue(&["hooks.test"]), roots).await;
    assert_eq!(result, AttemptResult::Delivered);
}

#[test]
fn a_file_without_an_authority_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, key) = (dir.path().join("missing.pem"), dir.path().join("key.pem"));
    std::fs::write(&key, Authority::new().issue(&["a"]).key).unwrap();
    let refused = |path: &std::path::Path| authorities(&[path.into()]).unwrap_err().to_string();
    assert!(refused(&missing).contains("missing.pem: can't be read"), "{}", refused(&missing));
    assert!(refused(&key).contains("key.pem: holds no certificate"), "{}", refused(&key));
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let authority = Authority::new();
    let old = authority.issue_between(&["hooks.test"], (2020, 1, 1), (2021, 1, 1));
    let (kind, message) = retried(called("hooks.test", &old, authority.roots()).await);
    assert_eq!(kind, ErrorKind::TlsCertificateExpired, "{message}");
    assert!(message.starts_with("no TLS connection: "), "{message}");
    assert!(message.contains("expired"), "{message}");
}

#[tokio::test]
async fn a_certificate_of_tomorrow_is_refused() {
    let authority = Authority::new();
    let early = authority.issue_between(&["hooks.test"], (2099, 1, 1), (2100, 1, 1));
    let (kind, message) = retried(called("hooks.test", &early, authority.roots()).await);
    assert_eq!(kind, ErrorKind::Tls, "{message}");
    assert!(message.contains("not valid yet"), "{message}");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let authority = Authority::new();
    let result = called("other.test", &authority.issue(&["hooks.test"]), authority.roots()).await;
    let (kind, message) = retried(result);
    assert_eq!(kind, ErrorKind::TlsWrongHost, "{message}");
    assert!(message.contains("not valid for name"), "{message}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let issued = Authority::new().issue(&["hooks.test"]);
    for roots in [RootCertStore::empty(), Authority::new().roots()] {
        let (kind, message) = retried(called("hooks.test", &issued, roots).await);
        assert_eq!(kind, ErrorKind::TlsUnknownCa, "{message}");
        assert!(message.contains("UnknownIssuer"), "{message}");
    }
}

#[tokio::test]
async fn an_authority_that_was_made_anew_under_its_old_name_is_an_unknown_one() {
    let (before, anew) = (Authority::named("ours"), Authority::named("ours"));
    let result = called("hooks.test", &anew.issue(&["hooks.test"]), before.roots()).await;
    let (kind, message) = retried(result);
    assert_eq!(kind, ErrorKind::TlsUnknownCa, "{message}");
}

#[tokio::test]
async fn a_receiver_that_speaks_no_tls_is_a_fault_of_the_protocol() {
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let url = format!("https://{}/", receiver.address);
    let (kind, message) =
        retried(sender(SenderSettings::default()).send(&attempt(url), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::TlsProtocol, "{message}");
    assert!(message.starts_with("no TLS connection: "), "{message}");
    assert_eq!(receiver.seen().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_ends_the_handshake_is_a_fault_of_the_protocol() {
    let (kind, message) = failed(|mut stream| {
        // All of the client's hello, so that the end is one in order.
        let _ = stream.read(&mut [0; 4096]);
    })
    .await;
    assert_eq!(kind, ErrorKind::TlsProtocol, "{message}");
}

#[tokio::test]
async fn a_receiver_that_answers_the_handshake_with_an_alert_is_a_fault_of_the_protocol() {
    let (kind, message) = failed(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        // A fatal handshake_failure, as servers send it that have no version or cipher in common.
        let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]);
    })
    .await;
    assert_eq!(kind, ErrorKind::TlsProtocol, "{message}");
    assert!(message.contains("alert"), "{message}");
}

#[tokio::test]
async fn a_reset_within_the_handshake_is_a_reset() {
    let (kind, message) = failed(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    assert_eq!(kind, ErrorKind::ConnectionReset, "{message}");
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_time_lost_while_connecting() {
    let port = server(|mut stream| {
        // Until the client gives up.
        while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
    });
    let url = format!("https://127.0.0.1:{port}/");
    let sender = sender(SenderSettings { roots: Some(RootCertStore::empty()), ..SenderSettings::default() });
    let (kind, message) = retried(sender.send(&attempt_within(150, url), always()).await.unwrap().result);
    assert_eq!((kind, message.as_str()), (ErrorKind::ConnectTimedOut, "no connection within 150 ms"));
}
