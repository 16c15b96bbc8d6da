//! `GET /metrics`: all metrics in Prometheus' text format.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::http::HttpState;
use crate::observability::metrics::CONTENT_TYPE;

/// Handles the operation.
pub async fn metrics(State(state): State<HttpState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], state.backend.metrics())
}
