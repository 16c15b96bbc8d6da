//! A plain HTTP client: one request, one answer, no retries of its own, and a clear word on whether a request that
//! failed can have had an effect.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);

/// Keeps connections open.
#[derive(Clone, Debug)]
pub struct Http {
    inner: HyperClient<HttpConnector, Full<Bytes>>,
}

/// A request.
#[derive(Debug)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: &'a [(&'static str, String)],
    /// JSON.
    pub body: Option<Bytes>,
    pub time_max: Duration,
}

/// An answer.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub headers: http::HeaderMap,
    /// Null if the body is no JSON.
    pub json: Value,
    /// The body as it came.
    pub body: Bytes,
}

impl Told {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why there was no answer.
#[derive(Debug)]
pub struct NoAnswer {
    /// No connection was made, so nothing was sent.
    pub never_sent: bool,
    pub detail: String,
}

impl Http {
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME_MAX));
        Self { inner: HyperClient::builder(TokioExecutor::new()).build(connector) }
    }

    /// Asks.
    ///
    /// # Errors
    /// There was no whole answer in time.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Told, NoAnswer> {
        let unknown = |detail: String| NoAnswer { never_sent: false, detail };
        let mut request = http::Request::builder().method(ask.method).uri(ask.url);
        for (name, value) in ask.headers {
            request = request.header(*name, value);
        }
        if ask.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(Full::new(ask.body.unwrap_or_default()))
            .map_err(|e| NoAnswer { never_sent: true, detail: format!("not a request: {e}") })?;
        let exchange = async {
            let response = self
                .inner
                .request(request)
                .await
                .map_err(|e| NoAnswer { never_sent: e.is_connect(), detail: whole(&e) })?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.map_err(|e| unknown(whole(&e)))?.to_bytes();
            let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            Ok(Told { status: parts.status.as_u16(), headers: parts.headers, json, body: bytes })
        };
        let late = unknown(format!("no answer in {} ms", ask.time_max.as_millis()));
        tokio::time::timeout(ask.time_max, exchange).await.unwrap_or(Err(late))
    }

    /// The JSON of a GET that was answered with 200.
    pub async fn get(&self, url: &str, time_max: Duration) -> Option<Value> {
        self.got(url, time_max).await.map(|told| told.json)
    }

    /// The text of a GET that was answered with 200.
    pub async fn text(&self, url: &str, time_max: Duration) -> Option<String> {
        self.got(url, time_max).await.map(|told| told.text())
    }

    async fn got(&self, url: &str, time_max: Duration) -> Option<Told> {
        let ask = Ask { method: "GET", url, headers: &[], body: None, time_max };
        self.ask(ask).await.ok().filter(|told| told.status == 200)
    }
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
