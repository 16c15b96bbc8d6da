//! The server on a real socket: HTTP/1.1, a bound on connections, an orderly stop.

use std::time::Duration;

use node::http::{ServerBounds, serve_within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Api, timer};

struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(api: &Api, connections_max: usize) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let bounds =
        ServerBounds { connections_max, drain_max: Duration::from_secs(5), ..ServerBounds::default() };
    let router = api.router.clone();
    let task = tokio::spawn(serve_within(bounds, listener, None, router, async {
        let _ = stopped.await;
    }));
    Running { address, stop, task }
}

async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64 * 1024];
    let bytes = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..bytes]).into_owned()
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn raw_paths_reach_the_handlers_undecoded() {
    let api = Api::new();
    let server = start(&api, 10).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = timer("");
    let put = |path: &str| {
        let length = body.len();
        format!(
            "PUT /api/v1/groups/default/timers/{path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    assert!(ask(&mut stream, &put("a%2Fb")).await.starts_with("HTTP/1.1 201"));
    assert!(api.has_record("a/b"));
    assert!(ask(&mut stream, &put("a%252Fb")).await.starts_with("HTTP/1.1 201"));
    assert!(api.has_record("a%2Fb"));
    assert!(ask(&mut stream, &put("..")).await.starts_with("HTTP/1.1 400"));
    assert!(ask(&mut stream, &put("%")).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_for_a_place() {
    let api = Api::new();
    let server = start(&api, 1).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&mut first, HEALTH).await.starts_with("HTTP/1.1 200"));
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(HEALTH.as_bytes()).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
    assert!(early.is_err(), "answered beyond the bound");
    drop(first);
    assert_eq!(second.read(&mut byte).await.unwrap(), 1);
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_the_server() {
    let api = Api::new();
    let server = start(&api, 10).await;
    let mut used = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&mut used, HEALTH).await.starts_with("HTTP/1.1 200"));
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    server.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(3), server.task).await.expect("it stops").unwrap();
    for stream in [&mut used, &mut silent] {
        // Closed in order, or reset if it was still in the kernel's queue.
        assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
    }
}
