//! A plain HTTP client: one request, one answer, no retries of its own.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::receiver::now_ms;

/// Keeps connections open.
#[derive(Clone)]
pub struct Client {
    inner: HyperClient<HttpConnector, Full<Bytes>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    /// Null if the body is no JSON.
    pub json: Value,
    pub text: String,
}

impl Client {
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(1)));
        Self { inner: HyperClient::builder(TokioExecutor::new()).build(connector) }
    }

    /// `Err`: no answer, for whatever reason; whether it had an effect is not known.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(bytes)).unwrap();
        let exchange = async {
            let response = self.inner.request(request).await.map_err(|e| e.to_string())?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
            let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, json, text })
        };
        tokio::time::timeout(Duration::from_secs(30), exchange)
            .await
            .unwrap_or(Err("no answer in 30 s".into()))
    }
}

/// Asks until `found` gives something; panics with `what` after `wait`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    wait: Duration,
    mut found: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + wait;
    loop {
        if let Some(value) = found().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {wait:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sleeps until the wall clock, which the nodes share with the tests, shows `at_ms`.
pub async fn sleep_until(at_ms: u64) {
    tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()))).await;
}
