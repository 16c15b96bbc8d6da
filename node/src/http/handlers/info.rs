//! `GET /info`: what this server is, and its limits, so that a client need not find them out by errors.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use timer_core::limits as core;

use super::no_query;
use crate::http::HttpState;
use crate::http::duration;
use crate::http::limits;
use crate::http::output;
use crate::http::problem::Problem;
use crate::payload_depth::PAYLOAD_DEPTH_MAX;
use crate::rfc3339;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    name: &'static str,
    version: &'static str,
    api_version: &'static str,
    server_time: String,
    cluster_id: String,
    cluster_name: String,
    node_id: u64,
    node_name: String,
    limits: Limits,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    request_body_bytes_max: usize,
    batch_operations_max: usize,
    batch_body_bytes_max: usize,
    payload_bytes_max: usize,
    payload_depth_max: usize,
    timer_id_bytes_max: usize,
    group_name_bytes_max: usize,
    callback_url_bytes_max: usize,
    callback_headers_max: usize,
    callback_headers_bytes_max: usize,
    callback_timeout_min: String,
    callback_timeout_max: String,
    labels_max: usize,
    label_bytes_max: usize,
    retry_attempts_max: u32,
    retry_interval_max: String,
    retry_duration_max: String,
    deferrals_max: u32,
    horizon_max: String,
    idempotency_key_bytes_max: usize,
    idempotency_keys_kept: usize,
    idempotency_key_age_max: String,
}

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn info(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    no_query(&request)?;
    let view = state.backend.cluster().await;
    let info = Info {
        name: "durable-timer",
        version: env!("CARGO_PKG_VERSION"),
        api_version: "v1",
        server_time: rfc3339::format(state.backend.now()),
        cluster_id: view.cluster_id,
        cluster_name: view.cluster_name,
        node_id: view.node_id,
        node_name: view.node_name,
        limits: limits_of(&state),
    };
    output::json_response(StatusCode::OK, &info)
}

fn limits_of(state: &HttpState) -> Limits {
    Limits {
        request_body_bytes_max: limits::BODY_BYTES_MAX.min(state.settings.body_bytes_max),
        batch_operations_max: limits::BATCH_OPERATIONS_MAX,
        batch_body_bytes_max: state.settings.body_bytes_max,
        payload_bytes_max: core::PAYLOAD_BYTES_MAX,
        payload_depth_max: PAYLOAD_DEPTH_MAX,
        timer_id_bytes_max: core::TIMER_ID_BYTES_MAX,
        group_name_bytes_max: core::GROUP_NAME_BYTES_MAX,
        callback_url_bytes_max: core::URL_BYTES_MAX,
        callback_headers_max: core::HEADERS_MAX,
        callback_headers_bytes_max: core::HEADERS_BYTES_MAX,
        callback_timeout_min: duration::format(core::CALLBACK_TIMEOUT_MIN),
        callback_timeout_max: duration::format(core::CALLBACK_TIMEOUT_MAX),
        labels_max: core::LABELS_MAX,
        label_bytes_max: core::LABEL_BYTES_MAX,
        retry_attempts_max: core::ATTEMPTS_MAX,
        retry_interval_max: duration::format(core::RETRY_INTERVAL_MAX),
        retry_duration_max: duration::format(core::RETRY_DURATION_MAX),
        deferrals_max: core::DEFERRALS_MAX,
        horizon_max: duration::format(core::HORIZON_MAX),
        idempotency_key_bytes_max: core::REQUEST_ID_BYTES_MAX,
        idempotency_keys_kept: core::KEPT_ANSWERS_MAX,
        idempotency_key_age_max: duration::format(core::KEPT_ANSWER_AGE_MAX),
    }
}
