//! A recording callback server with scriptable answers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// One callback as it was received.
#[derive(Clone, Debug)]
pub struct Call {
    /// The receiver's clock when the request's head was there, in ms.
    pub at_ms: u64,
    pub id: String,
    pub webhook_id: String,
    pub generation: u64,
    pub attempt: u64,
    pub token: u64,
    pub late_ms: u64,
    /// When the timer was to fire, in ms.
    pub scheduled_ms: u64,
    /// How many signatures it has.
    pub signatures: usize,
}

/// What the server does with a callback.
#[derive(Clone, Debug)]
pub struct Script {
    pub status: u16,
    pub body: String,
    /// Before it answers.
    pub delay: Duration,
}

impl Default for Script {
    fn default() -> Self {
        Self { status: 200, body: String::new(), delay: Duration::ZERO }
    }
}

type ScriptFn = dyn Fn(&Call) -> Script + Send + Sync;

/// The server; it ends when it is dropped.
pub struct Receiver {
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    count: watch::Receiver<usize>,
    _server: JoinSet<()>,
}

pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// RFC 3339 in UTC.
pub fn rfc3339(at_ms: u64) -> String {
    node::rfc3339::format(timer_core::time::Millis(at_ms))
}

impl Receiver {
    /// Answers 200 at once.
    pub async fn start() -> Self {
        Self::scripted(|_| Script::default()).await
    }

    /// Answers what `script` says.
    pub async fn scripted(script: impl Fn(&Call) -> Script + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (count_tx, count) = watch::channel(0);
        let count_tx = Arc::new(count_tx);
        let script: Arc<ScriptFn> = Arc::new(script);
        let mut server = JoinSet::new();
        let recorded = calls.clone();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let (recorded, script, count_tx) = (recorded.clone(), script.clone(), count_tx.clone());
                let _ = stream.set_nodelay(true);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let (recorded, script, count_tx) =
                            (recorded.clone(), script.clone(), count_tx.clone());
                        async move { Ok::<_, Infallible>(answer(request, &recorded, &*script, &count_tx).await) }
                    });
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { url, calls, count, _server: server }
    }

    /// All calls so far, in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// Calls by timer id.
    pub fn by_id(&self) -> HashMap<String, Vec<Call>> {
        let mut by_id: HashMap<String, Vec<Call>> = HashMap::new();
        for call in self.calls() {
            by_id.entry(call.id.clone()).or_default().push(call);
        }
        by_id
    }

    /// Waits until `enough` holds of what was received.
    pub async fn wait_until(&self, what: &str, wait: Duration, enough: impl Fn(&[Call]) -> bool) {
        let mut count = self.count.clone();
        let reached = async {
            loop {
                if enough(&self.calls.lock()) {
                    return;
                }
                count.changed().await.unwrap();
            }
        };
        let reached = tokio::time::timeout(wait, reached).await;
        assert!(reached.is_ok(), "not within {wait:?}: {what}; {} calls came", self.calls.lock().len());
    }
}

async fn answer(
    request: Request<Incoming>,
    recorded: &Mutex<Vec<Call>>,
    script: &ScriptFn,
    count: &watch::Sender<usize>,
) -> Response<Full<Bytes>> {
    let at_ms = now_ms();
    let text = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let number = |name: &str| text(name).parse().unwrap_or(0);
    let scheduled = node::rfc3339::parse(&text("timer-scheduled-at")).map_or(0, |at| at.0);
    let call = Call {
        at_ms,
        id: percent_encoding::percent_decode_str(&text("timer-id")).decode_utf8_lossy().into_owned(),
        webhook_id: text("webhook-id"),
        generation: number("timer-generation"),
        attempt: number("timer-attempt"),
        token: number("timer-fencing-token"),
        late_ms: number("timer-late-ms"),
        scheduled_ms: scheduled,
        signatures: text("webhook-signature").matches("v1,").count(),
    };
    let _ = request.into_body().collect().await;
    let scripted = script(&call);
    {
        let mut recorded = recorded.lock();
        recorded.push(call);
        count.send_replace(recorded.len());
    }
    if !scripted.delay.is_zero() {
        tokio::time::sleep(scripted.delay).await;
    }
    Response::builder()
        .status(scripted.status)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(scripted.body)))
        .unwrap()
}
