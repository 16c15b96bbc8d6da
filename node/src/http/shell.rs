//! The outermost layer: gives every request its id and its log span, catches panics, and writes problems
//! out with the id in them.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::HttpState;
use super::context::{self, RequestId, X_REQUEST_ID};
use super::operation;
use super::problem::Problem;

/// Runs `next` inside.
pub async fn wrap(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let id = context::request_id(request.headers(), state.entropy.as_ref());
    request.extensions_mut().insert(RequestId(id.clone()));
    let operation = operation::name(&request);
    let began = Instant::now();
    let span = tracing::info_span!(
        "http", request_id = %id, method = %request.method(), path = %request.uri().path(),
    );
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let response = answered.unwrap_or_else(|_| Problem::internal("a handler panicked").into_response());
    let mut response = finish(response, &id);
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), "answered"));
    state.backend.answered(operation, response.status().as_u16(), began.elapsed());
    // The id is checked or minted, so it is always a header's value.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// Writes out the problem that `response` carries, if it does, keeping headers such as `Allow`.
fn finish(mut response: Response, id: &str) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let mut written = problem.to_response(Some(id));
    for (name, value) in response.headers() {
        if !written.headers().contains_key(name) {
            written.headers_mut().insert(name.clone(), value.clone());
        }
    }
    written
}
