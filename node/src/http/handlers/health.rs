//! `GET /healthz`: the process answers. `GET /readyz`: it should get requests.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::http::HttpState;
use crate::http::output;
use crate::http::problem::Problem;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Handles `GET /healthz`. Probes may add a query; it says nothing.
///
/// # Errors
/// The problem that is answered.
pub async fn healthz() -> Result<Response, Problem> {
    output::json_response(StatusCode::OK, &Health { status: "ok" })
}

/// Handles `GET /readyz`: 503 with the reason while the node should get no requests. Not a problem document,
/// as nothing was asked for that failed.
///
/// # Errors
/// The problem that is answered.
pub async fn readyz(State(state): State<HttpState>) -> Result<Response, Problem> {
    let (status, reason) = match state.backend.ready() {
        Ok(()) => (StatusCode::OK, None),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, Some(reason)),
    };
    output::json_response(status, &Readiness { ready: reason.is_none(), reason })
}
