//! A node as `timerd serve` runs it, but in memory: over TLS, with signals as an operator sends them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use node::tls::CertificateFiles;
use rustix::process::{Signal, getpid, kill_process};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{Authority, Issued};
use super::*;

/// Longer than anything here takes.
const TEST_MAX: Duration = Duration::from_secs(60);
/// Between two looks of a test that waits for something.
const PAUSE: Duration = Duration::from_millis(20);

fn write(files: &CertificateFiles, issued: &Issued) {
    std::fs::write(&files.certificate, &issued.certificate).unwrap();
    std::fs::write(&files.key, &issued.key).unwrap();
}

fn settings(dir: &Path, listen: SocketAddr, files: &CertificateFiles) -> Settings {
    let mut settings = Settings::dev(listen, dir.join("data"));
    settings.http.tls_cert_file = Some(files.certificate.clone());
    settings.http.tls_key_file = Some(files.key.clone());
    settings
}

async fn connect(address: SocketAddr, authority: &Authority) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(authority.client())).connect(name, stream).await
}

/// Connects until the certificate that is shown is this one.
async fn until_shown(address: SocketAddr, authority: &Authority, expected: CertificateDer<'_>) {
    loop {
        if let Ok(stream) = connect(address, authority).await
            && stream.get_ref().1.peer_certificates().unwrap()[0] == expected
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn healthy(address: SocketAddr, authority: &Authority) -> String {
    let mut stream = connect(address, authority).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_has_the_certificate_read_again_and_sigterm_ends_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let files = CertificateFiles { certificate: dir.path().join("tls.crt"), key: dir.path().join("tls.key") };
    let (first, second) = (authority.issue(&["127.0.0.1"]), authority.issue(&["127.0.0.1"]));
    write(&files, &first);
    let listen = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let settings = settings(dir.path(), listen, &files);
    std::fs::create_dir(&settings.node.data_dir).unwrap();
    let running = tokio::spawn(run(Started { settings, manual_clock: false, in_memory: true, banner: None }));
    let test = async {
        // The node listens when it is ready for signals, not before.
        until_shown(listen, &authority, first.der()).await;
        let answer = healthy(listen, &authority).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        write(&files, &second);
        kill_process(getpid(), Signal::HUP).unwrap();
        // Without the signal it would take two looks at the files.
        let soon = node::tls::reload::LOOK_INTERVAL;
        tokio::time::timeout(soon, until_shown(listen, &authority, second.der())).await.expect("at once");
        kill_process(getpid(), Signal::TERM).unwrap();
        running.await.unwrap().unwrap();
    };
    tokio::time::timeout(TEST_MAX, test).await.expect("it does not hang");
}
