//! Sends one request over one connection and reads the whole answer. Connections are pooled and shared.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use super::trust::tls_fault;
use crate::error::Failure;
use crate::limits::{ANSWER_BYTES_MAX, CONNECT_MAX, IDLE_MAX};

/// A pool of connections.
#[derive(Debug)]
pub struct Transport {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Received {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Transport {
    /// A pool that trusts `roots` for https.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(connector);
        Ok(Self { pool })
    }

    /// Sends `request` and reads the answer. The caller bounds the time, and knows the endpoint.
    ///
    /// # Errors
    /// When there is no answer, or not the whole of it.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Received, Failure> {
        let response = self.pool.request(request).await.map_err(|error| {
            let reason = root_cause(&error);
            match tls_fault(&error) {
                Some(fault) if error.is_connect() => Failure::Tls { endpoint: String::new(), fault },
                _ if error.is_connect() => Failure::Connect(reason),
                _ => Failure::Lost(reason),
            }
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Failure::Lost(error.to_string()))?.to_bytes();
        Ok(Received { status: parts.status, headers: parts.headers, body })
    }
}

/// The innermost of an error's causes: "client error (Connect)" says nothing, "connection refused" does.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
