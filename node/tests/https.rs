//! The REST API's listener over TLS: who gets through, who does not, and that neither holds anybody else up; and a
//! certificate that is exchanged under open connections.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on fails")]

mod certificates;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Version;
use axum::routing::get;
use certificates::{Authority, Issued, provider};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use node::environment::SystemClock;
use node::http::{ServerBounds, serve_within};
use node::observability::metrics::Metrics;
use node::tls::{CertificateFiles, Reloader};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than anything here takes.
const TEST_MAX: Duration = Duration::from_secs(30);

/// A server that answers every GET of its root with "ok", and all that belongs to it.
struct Server {
    address: SocketAddr,
    authority: Authority,
    dir: tempfile::TempDir,
    reloader: Reloader,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(bounds: ServerBounds) -> Self {
        let authority = Authority::new();
        let dir = tempfile::tempdir().unwrap();
        write(&dir, &authority.issue(&["api.test"]));
        let [certificate, key] = files(&dir);
        let files = CertificateFiles { certificate, key };
        let reloader = Reloader::start(files, Arc::new(SystemClock), Arc::new(Metrics::new())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().route("/", get(|| async { "ok" }));
        let serving = serve_within(bounds, listener, Some(reloader.served()), router, async {
            let _ = stopped.await;
        });
        Self { address, authority, dir, reloader, stop, task: tokio::spawn(serving) }
    }

    /// A connection that offers `alpn`.
    async fn connect(&self, config: ClientConfig, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = config;
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("api.test").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn trusting(&self) -> TlsStream<TcpStream> {
        within(self.connect(self.authority.client(), &["http/1.1"])).await.unwrap()
    }
}

fn files(dir: &tempfile::TempDir) -> [PathBuf; 2] {
    ["tls.crt", "tls.key"].map(|name| dir.path().join(name))
}

fn write(dir: &tempfile::TempDir, issued: &Issued) {
    let [certificate, key] = files(dir);
    std::fs::write(certificate, &issued.certificate).unwrap();
    std::fs::write(key, &issued.key).unwrap();
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_MAX, future).await.expect("it does not hang")
}

/// Asks on a connection of HTTP/1.1 that goes on.
async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    within(async {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: api.test\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"ok") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the answer ends early");
        }
        String::from_utf8(answer).unwrap()
    })
    .await
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn requests_of_http_1_are_answered() {
    let server = Server::start(ServerBounds::default()).await;
    let mut stream = server.trusting().await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"), "the connection goes on");
}

#[tokio::test]
async fn requests_of_http_2_are_answered() {
    let server = Server::start(ServerBounds::default()).await;
    let stream = within(server.connect(server.authority.client(), &["h2", "http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        within(hyper::client::conn::http2::handshake(TokioExecutor::new(), io)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("https://api.test/").body(Empty::<Bytes>::new()).unwrap();
    let response = within(sender.send_request(request)).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
    assert_eq!(within(response.into_body().collect()).await.unwrap().to_bytes(), "ok");
    connection.abort();
}

#[tokio::test]
async fn a_client_of_tls_1_2_without_alpn_is_answered() {
    let server = Server::start(ServerBounds::default()).await;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(server.authority.roots())
        .with_no_client_auth();
    let mut stream = within(server.connect(config, &[])).await.unwrap();
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn plain_http_is_told_to_use_https() {
    let server = Server::start(ServerBounds::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = "x".repeat(20_000);
    let request = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("this port takes TLS only: write https:// for it\n"), "{answer}");
}

#[tokio::test]
async fn what_is_neither_tls_nor_http_is_closed() {
    let server = Server::start(ServerBounds::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&[0]).await.unwrap();
    // Closed, or reset because of the byte that nobody read.
    let ended = within(stream.read(&mut [0])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test]
async fn clients_that_do_not_shake_hands_hold_nobody_up() {
    // None of them is given up within this test.
    let bounds = ServerBounds { handshake_max: 2 * TEST_MAX, ..ServerBounds::default() };
    let server = Server::start(bounds).await;
    let mut slow = Vec::new();
    for begin in [&b""[..], &[22], &[22, 3, 1, 2, 0], b"GET /"] {
        for _ in 0..50 {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(begin).await.unwrap();
            slow.push(stream);
        }
    }
    assert!(ask(&mut server.trusting().await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_in_time_gives_its_place_back() {
    let bounds = ServerBounds {
        connections_max: 1,
        handshake_max: Duration::from_millis(200),
        ..ServerBounds::default()
    };
    for begin in [&b""[..], &[22, 3, 1, 2, 0], b"GET /"] {
        let server = Server::start(bounds).await;
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(begin).await.unwrap();
        assert!(ask(&mut server.trusting().await).await.starts_with("HTTP/1.1 200"), "{begin:?}");
    }
}

#[tokio::test]
async fn a_handshake_takes_a_place() {
    let bounds = ServerBounds { connections_max: 1, handshake_max: 2 * TEST_MAX, ..ServerBounds::default() };
    let server = Server::start(bounds).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(&[22]).await.unwrap();
    let second = tokio::spawn({
        let (config, address) = (server.authority.client(), server.address);
        async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from("api.test").unwrap();
            TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        }
    });
    let mut second = second;
    let early = tokio::time::timeout(Duration::from_millis(100), &mut second).await;
    assert!(early.is_err(), "served beyond the bound");
    drop(slow);
    within(second).await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_ends_no_old_one() {
    let mut server = Server::start(ServerBounds::default()).await;
    let mut old = server.trusting().await;
    ask(&mut old).await;
    let before = shown(&old);
    let renewed = server.authority.issue(&["api.test"]);
    write(&server.dir, &renewed);
    server.reloader.reload();
    assert!(ask(&mut old).await.starts_with("HTTP/1.1 200"));
    let mut new = server.trusting().await;
    assert!(ask(&mut new).await.starts_with("HTTP/1.1 200"));
    assert_eq!(shown(&new), renewed.der());
    assert_ne!(shown(&new), before);
}

#[tokio::test]
async fn a_session_of_the_certificate_before_is_not_taken_up() {
    let mut server = Server::start(ServerBounds::default()).await;
    // The client keeps what it needs to take its session up again.
    let config = Arc::new(server.authority.client());
    let connect = |address: SocketAddr| {
        let config = config.clone();
        within(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from("api.test").unwrap();
            TlsConnector::from(config).connect(name, stream).await.unwrap()
        })
    };
    let resumed = |stream: &TlsStream<TcpStream>| {
        stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    };
    let mut first = connect(server.address).await;
    // With the answer come the tickets.
    ask(&mut first).await;
    let second = connect(server.address).await;
    assert!(resumed(&second), "else the rest of this test shows nothing");
    let renewed = server.authority.issue(&["api.test"]);
    write(&server.dir, &renewed);
    server.reloader.reload();
    let third = connect(server.address).await;
    assert!(!resumed(&third));
    assert_eq!(shown(&third), renewed.der());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_handshakes() {
    let bounds = ServerBounds { handshake_max: 2 * TEST_MAX, ..ServerBounds::default() };
    let server = Server::start(bounds).await;
    let mut idle = server.trusting().await;
    ask(&mut idle).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(&[22]).await.unwrap();
    server.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(3), server.task).await.expect("it stops").unwrap();
    assert!(matches!(slow.read(&mut [0]).await, Ok(0) | Err(_)));
    assert!(matches!(idle.read(&mut [0]).await, Ok(0) | Err(_)));
}
