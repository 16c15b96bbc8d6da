//! `POST /groups/{group}/test-callback`: send a callback now, without a timer, and show what comes back.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::ids::TimerKey;

use super::create_timer::random_id;
use super::request_id;
use crate::http::HttpState;
use crate::http::body::{self, Media};
use crate::http::input::{Rules, Sent};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{context, history, ids};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn test_callback(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let group = ids::group(parts.uri.path())?;
    Query::parse(parts.uri.query(), &[])?;
    let bytes = body::read(&state, &parts.headers, body, Media::Json).await?;
    let now = state.backend.now();
    let sent = Sent::read_sample(&bytes, Rules { now, url_check: &state.url_check })?;
    // One that no timer has: whoever keeps fencing tokens by ids must not take this for one of theirs.
    let id = sent.id.clone().unwrap_or_else(|| format!("test-{}", random_id(state.entropy.as_ref())));
    let context = context::of_read(&state, &request_id(&parts), &parts.headers);
    let key = TimerKey::new(group, id);
    let tested = state.backend.test_callback(context, key, sent.definition(now)).await?;
    history::tested_response(&tested)
}
