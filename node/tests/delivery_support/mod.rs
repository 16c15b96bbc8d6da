//! What the tests of delivery share: attempts, a resolver that answers what it is told, and receivers, which
//! are real servers on this machine.
#![allow(dead_code, reason = "every test file uses another part")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(missing_docs, reason = "fields that say what they are")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use node::delivery::{AddressPolicy, Attempt, MaySend, Resolve, Sender, SenderSettings};
use node::environment::SystemClock;
use parking_lot::Mutex;
use timer_core::command::AttemptResult;
use timer_core::definition::{Callback, Definition, LatePolicy, Payload, RetryPolicy};
use timer_core::ids::{Sequence, TimerKey};
use timer_core::time::{Millis, Span};
use timer_core::timer::{ErrorKind, InFlight, LastError, State, Timer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// An attempt to POST the payload `{"n":1}` to `url`.
pub fn attempt(url: impl Into<String>) -> Attempt {
    let timer = Timer {
        key: TimerKey::new("default", "a"),
        generation: Sequence::new(7, 3),
        version: Sequence::new(7, 3),
        state: State::Scheduled,
        definition: Definition {
            execute_at: Millis(1_000),
            callback: Callback::post(url),
            payload: Payload::Json(b"{\"n\":1}".as_slice().into()),
            retry: RetryPolicy::default(),
            late: LatePolicy::Fire,
            labels: Default::default(),
        },
        fingerprint: None,
        next_attempt_at: Some(Millis(1_000)),
        position: Some(Millis(1_000)),
        parked_at: None,
        attempts: 0,
        attempts_forgiven: 0,
        first_attempt_at: None,
        deferrals: 0,
        attempts_recorded: 0,
        manual: false,
        created_at: Millis(0),
        updated_at: Millis(0),
        executed_at: None,
        last_error: None,
        in_flight: InFlight::No,
        answers: Vec::new(),
        purge_at: None,
        traceparent: None,
    };
    Attempt {
        timer,
        attempt: 1,
        fencing_token: 1,
        late_ms: 0,
        cluster_id: "test".into(),
        manual: false,
        secrets: Vec::new(),
    }
}

/// An attempt may be sent.
pub fn always() -> MaySend {
    Arc::new(|| true)
}

/// The same, given up after `ms`.
pub fn attempt_within(ms: u64, url: impl Into<String>) -> Attempt {
    let mut attempt = attempt(url);
    attempt.timer.definition.callback.timeout = Span(ms);
    attempt
}

/// A sender as in `timerd dev`.
pub fn sender(settings: SenderSettings) -> Sender {
    sender_with(AddressPolicy::dev(), settings)
}

/// A sender that may go where `policy` lets it.
pub fn sender_with(policy: AddressPolicy, settings: SenderSettings) -> Sender {
    Sender::new(policy, Arc::new(SystemClock), settings).unwrap()
}

/// The error of an attempt that must have failed, and whether that is the end.
pub fn failure(result: AttemptResult) -> (LastError, bool) {
    let AttemptResult::Failed { error, permanent, .. } = result else {
        panic!("{result:?} is no failure");
    };
    (error, permanent)
}

/// The kind of failure of an attempt that must have failed, but may be made again.
pub fn retried(result: AttemptResult) -> (ErrorKind, String) {
    let (error, permanent) = failure(result);
    assert!(!permanent, "{error:?}");
    (error.kind, error.message)
}

/// A resolver that knows what it is told, and no other name.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashMap<String, Vec<IpAddr>>>);

impl Names {
    /// A resolver that knows `host`.
    pub fn of(host: &str, addresses: &[&str]) -> Arc<Self> {
        let names = Arc::new(Self::default());
        names.set(host, addresses);
        names
    }

    /// From now on `host` has these addresses.
    pub fn set(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.0.lock().insert(host.to_owned(), addresses);
    }
}

impl Resolve for Names {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let found = self.0.lock().get(host).cloned();
        async move { found.ok_or_else(|| io::Error::other("no such name")) }.boxed()
    }
}

/// Settings with this resolver.
pub fn resolving(resolver: &Arc<Names>) -> SenderSettings {
    SenderSettings { resolver: resolver.clone(), ..SenderSettings::default() }
}

/// A request as a receiver saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What a receiver answers.
pub type Answer = Response<BoxBody<Bytes, Infallible>>;

/// An answer of this status, headers and body.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(body.into()).boxed()).unwrap()
}

/// An HTTP server that answers as it is told.
pub struct Receiver {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// A receiver on 127.0.0.1 that answers with `answers`.
    pub async fn start(answers: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", answers).await
    }

    /// A receiver at `address`.
    pub async fn start_at(address: &str, answers: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let (log, count) = (seen.clone(), connections.clone());
        let answers = Arc::new(answers);
        let serve = async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (log, answers) = (log.clone(), answers.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                        let (log, answers) = (log.clone(), answers.clone());
                        async move {
                            let (head, body) = request.into_parts();
                            let body = body.collect().await?.to_bytes();
                            let seen =
                                Seen { method: head.method, uri: head.uri, headers: head.headers, body };
                            let answer = answers(&seen);
                            log.lock().push(seen);
                            Ok::<_, hyper::Error>(answer)
                        }
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    // A client that goes away is the client's affair.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        };
        let task = tokio::spawn(serve).abort_handle();
        Self { address, seen, connections, task }
    }

    /// Its root.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Its root, under another name.
    pub fn url_at(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.address.port())
    }

    /// The requests that it has read.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// The connections that it has taken.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A server on 127.0.0.1 that runs `talk` with every connection, numbered from 0, one after the other.
pub async fn raw_server<F>(
    mut talk: impl FnMut(usize, TcpStream) -> F + Send + 'static,
) -> (String, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections: Arc<AtomicUsize> = Arc::default();
    let count = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = count.fetch_add(1, Ordering::SeqCst);
            talk(number, stream).await;
        }
    });
    (url, connections)
}

/// Reads a request with the body of [`attempt`]'s envelope to its end.
pub async fn read_request(stream: &mut TcpStream) {
    use tokio::io::AsyncReadExt as _;
    let mut read = Vec::new();
    while !read.ends_with(b"{\"n\":1}}") {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the request ends early");
    }
}
