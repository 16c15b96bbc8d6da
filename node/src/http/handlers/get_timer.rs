//! `GET /groups/{group}/timers/{id}`: the timer, pending or finished, read linearizably.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use timer_core::command::Refusal;
use timer_core::timer::InFlight;

use super::request_id;
use crate::http::HttpState;
use crate::http::output::{self, Reveal};
use crate::http::problem::{self, Problem};
use crate::http::query::{Query, REVEAL};
use crate::http::{conditional, context, ids};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn get_timer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let key = ids::timer_key(parts.uri.path())?;
    let query = Query::parse(parts.uri.query(), &[REVEAL])?;
    let reveal = if query.flag(REVEAL)? { Reveal::Yes } else { Reveal::No };
    let context = context::of_read(&state, &request_id(&parts), &parts.headers);
    let found = state.backend.get(context, key.clone()).await?;
    // Now the node knows the group.
    let shard = state.backend.shard_of(&key);
    let Some(view) = found else {
        return Err(problem::of_refusal(&Refusal::NotFound, shard));
    };
    let version = view.timer.version;
    // `attemptInFlight` changes without the version: only its usual value may be taken from a cache.
    if view.attempt_in_flight == InFlight::No && conditional::not_modified(&parts.headers, version)? {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().insert(header::ETAG, output::etag(version)?);
        return Ok(response);
    }
    output::timer_response(StatusCode::OK, &view.timer, shard, view.attempt_in_flight, reveal)
}
