//! A group as the API shows it.

use axum::http::{StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use timer_core::group::Group;
use timer_core::time::Millis;

use super::duration;
use super::output::{etag, json_response};
use super::problem::Problem;
use crate::rfc3339;

/// A group's members in their order on the wire.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupBody<'a> {
    name: &'a str,
    generation: u64,
    version: u64,
    shards: u16,
    retention: String,
    dead_retention: String,
    retain_payload: bool,
    max_horizon: String,
    max_pending: Option<u64>,
    paused_at: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

/// `group` for the wire.
#[must_use]
pub fn body(group: &Group) -> GroupBody<'_> {
    let settings = &group.settings;
    // `default` was there before there was a time.
    let time = |at: Millis| (at > Millis(0)).then(|| rfc3339::format(at));
    GroupBody {
        name: &group.name,
        generation: group.generation.0,
        version: group.version.0,
        shards: settings.shards,
        retention: duration::format(settings.retention),
        dead_retention: duration::format(settings.dead_retention),
        retain_payload: settings.retain_payload,
        max_horizon: duration::format(settings.horizon_max),
        max_pending: settings.pending_max,
        paused_at: group.paused_at.map(rfc3339::format),
        created_at: time(group.created_at),
        updated_at: time(group.updated_at),
    }
}

/// The answer that shows `group`, with its `ETag`.
///
/// # Errors
/// `INTERNAL` if it can't be written as JSON.
pub fn response(status: StatusCode, group: &Group) -> Result<Response, Problem> {
    let mut response = json_response(status, &body(group))?;
    response.headers_mut().insert(header::ETAG, etag(group.version)?);
    Ok(response)
}
