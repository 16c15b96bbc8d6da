//! `GET /metrics`: all metrics in Prometheus' text format.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::http::HttpState;

/// Handles the operation.
pub async fn metrics(State(state): State<HttpState>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.backend.metrics())
}
