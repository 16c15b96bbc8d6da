//! A server of HTTP that answers by script and records what it was sent, so that tests see exactly what a
//! client does on the wire. The command line's tests use it too.
#![allow(clippy::unwrap_used, dead_code, reason = "each test binary uses a part of it")]

#[path = "../../../../node/tests/certificates/mod.rs"]
pub mod certificates;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use certificates::Issued;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Answers.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Closes the connection without an answer.
    HangUp,
    /// Never answers.
    Silence,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Step>,
    seen: Vec<Seen>,
}

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct FakeServer {
    pub url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeServer {
    /// Answers by `script`, one step a request; a request beyond it gets 599.
    pub async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        Self::start_with(None, script).await
    }

    /// The same over TLS, with a certificate.
    pub async fn start_tls(certificate: &Issued, script: impl IntoIterator<Item = Step>) -> Self {
        Self::start_with(Some(Arc::new(certificate.server()).into()), script).await
    }

    async fn start_with(tls: Option<TlsAcceptor>, script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let script = script.into_iter().collect();
        let state = Arc::new(Mutex::new(State { script, seen: Vec::new() }));
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&state)));
        Self { url, state, task }
    }

    /// What has arrived so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The only request that has arrived.
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.into_iter().next().unwrap()
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&state)));
            // A client that goes away is no fault of the test.
            match tls {
                None => drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                }
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let step = {
        let mut state = state.lock().unwrap();
        let target = parts.uri.to_string();
        state.seen.push(Seen { method: parts.method, target, headers: parts.headers, body });
        state.script.pop_front()
    };
    match step {
        Some(Step::Answer(status, headers, body)) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Full::new(body.into())).unwrap())
        }
        Some(Step::HangUp) => Err(std::io::Error::other("hung up, as the script says")),
        Some(Step::Silence) => match std::future::pending::<Infallible>().await {},
        None => Ok(Response::builder().status(599).body(Full::default()).unwrap()),
    }
}

/// An answer with a timer, whose fields are those of `changes` where they name one.
pub fn timer(status: u16, changes: &serde_json::Value) -> Step {
    let headers = vec![("content-type", "application/json".to_owned()), ("x-request-id", "r1".to_owned())];
    Step::Answer(status, headers, timer_json(changes).to_string())
}

/// A timer as the server answers it, with `changes`.
pub fn timer_json(changes: &serde_json::Value) -> serde_json::Value {
    let mut timer = serde_json::json!({
        "group": "default", "id": "hello", "shard": 3, "generation": 28672, "version": 28673,
        "state": "scheduled", "executeAt": "2031-01-01T00:00:00.000Z",
        "nextAttemptAt": "2031-01-01T00:00:00.000Z", "attempts": 0, "deferrals": 0,
        "createdAt": "2026-11-25T10:00:00.000Z", "updatedAt": "2026-11-25T10:00:00.000Z",
        "executedAt": null, "lastError": null, "attemptInFlight": "no",
        "callbackUrl": "http://127.0.0.1:9000/", "callbackMethod": "POST", "callbackHeaders": {},
        "callbackTimeout": "30s", "callbackBody": "envelope",
        "retryPolicy": {
            "maxAttempts": 10, "maxDuration": "1d", "initialInterval": "1s", "backoffMultiplier": 2.0,
            "maxInterval": "1h", "jitter": 0.2, "deadOn": [400, 405, 410, 413, 414, 415, 422],
        },
        "latePolicy": "fire", "labels": {}, "payload": {"hello": "world"}, "aFieldOfTomorrow": [1],
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        timer[name] = value.clone();
    }
    timer
}

/// A problem document, with the members of `more`.
pub fn problem(status: u16, code: &str, retry_after: Option<u64>, more: &serde_json::Value) -> Step {
    let mut problem = serde_json::json!({
        "type": format!("/docs/errors/{code}"), "title": "A title", "status": status,
        "detail": "what is wrong", "code": code, "requestId": "r1",
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        problem[name] = value.clone();
    }
    let mut headers = vec![("content-type", "application/problem+json".to_owned())];
    headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
    Step::Answer(status, headers, problem.to_string())
}

/// A port that nothing listens on.
pub async fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Longer than any test takes, so that a test that hangs fails.
pub const TEST_MAX: Duration = Duration::from_secs(60);
