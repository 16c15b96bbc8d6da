//! The HTTP server of `timerctl listen`: takes a request, tells of it, answers as told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use durable_timer::receiver::CallbackHeaders;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::record::Record;
use crate::args::ListenArgs;
use crate::clock;

/// Bytes of a body: more than the largest payload in an envelope.
const BODY_BYTES_MAX: usize = 1 << 20;

struct Shared {
    args: ListenArgs,
    callbacks: AtomicU64,
    records: mpsc::Sender<Record>,
}

/// Serves until `stopped` is true; requests that have been taken are answered before it returns.
pub async fn serve(
    listener: TcpListener,
    args: ListenArgs,
    records: mpsc::Sender<Record>,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let shared = Arc::new(Shared { args, callbacks: AtomicU64::new(0), records });
    let router = Router::new().fallback(receive).with_state(shared);
    let stop = async move {
        // It is the same when whoever could stop us is gone.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let received_at = clock::now();
    let (parts, body) = request.into_parts();
    let callback = CallbackHeaders::parse(&parts.headers);
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    // What is no callback uses none of the failures that were asked for.
    let number = if callback.is_ok() { shared.callbacks.fetch_add(1, Ordering::Relaxed) } else { u64::MAX };
    if let Some(delay) = shared.args.delay {
        tokio::time::sleep(delay).await;
    }
    let response = answer(&shared.args, number);
    let record = Record {
        received_at,
        callback,
        request: format!("{} {}", parts.method, parts.uri),
        body: body.into(),
        answered: response.status().as_u16(),
    };
    // Nobody prints any more once the listener ends.
    let _ = shared.records.send(record).await;
    response
}

/// The answer to the callback `number`, from 0.
fn answer(args: &ListenArgs, number: u64) -> Response {
    if number < args.fail_first {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let status = StatusCode::from_u16(args.status).unwrap_or(StatusCode::OK);
    let Some(body) = &args.body else { return status.into_response() };
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
    let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    (status, [(header::CONTENT_TYPE, kind)], Body::from(body.clone())).into_response()
}
