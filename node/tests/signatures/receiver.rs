//! A receiver that keeps every callback to the byte, and sends it elsewhere as it came.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::client::eventually;
use super::server::WAIT;

pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// RFC 3339 in UTC.
pub fn rfc3339(at_ms: u64) -> String {
    node::rfc3339::format(timer_core::time::Millis(at_ms))
}

/// A callback as it came.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    /// A header's text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Sends it to `url`, and gives the status of the answer.
    pub async fn forward(&self, url: &str) -> u16 {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = url.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().remove("host");
        request.headers_mut().insert("content-length", self.body.len().into());
        let sent = tokio::time::timeout(WAIT, client.request(request));
        sent.await.expect("an answer in time").unwrap().status().as_u16()
    }
}

/// The receiver; it ends when it is dropped. It answers 204, or 503 to the first few.
pub struct Receiver {
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    _server: JoinSet<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::failing(0).await
    }

    /// Answers 503 to the first `number` callbacks.
    pub async fn failing(number: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let kept = calls.clone();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let kept = kept.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| keep(request, kept.clone(), number));
                    let connection = auto::Builder::new(TokioExecutor::new());
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { url, calls, _server: server }
    }

    /// All callbacks so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// Waits for `number` callbacks, and gives them.
    pub async fn wait_for(&self, number: usize) -> Vec<Call> {
        eventually(&format!("{number} callbacks"), WAIT, || async {
            let calls = self.calls();
            (calls.len() >= number).then_some(calls)
        })
        .await
    }
}

async fn keep(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Call>>>,
    failing: usize,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut response = Response::new(Full::default());
    match body.collect().await {
        Ok(body) => {
            let call = Call { method: parts.method, headers: parts.headers, body: body.to_bytes() };
            let mut kept = kept.lock();
            let fails = kept.len() < failing;
            kept.push(call);
            *response.status_mut() =
                if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT };
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}
