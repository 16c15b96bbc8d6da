//! `GET /groups/{group}/timers/{id}/attempts`: what came of the timer's last attempts, read linearizably.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::command::Refusal;

use super::{no_query, request_id};
use crate::http::problem::{self, Problem};
use crate::http::{HttpState, context, history, ids};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn list_attempts(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    no_query(&request)?;
    let (parts, _) = request.into_parts();
    let key = ids::timer_key(parts.uri.path())?;
    let context = context::of_read(&state, &request_id(&parts), &parts.headers);
    match state.backend.attempts(context, key.clone()).await? {
        Some(attempts) => history::history_response(&attempts),
        // Now the node knows the group.
        None => Err(problem::of_refusal(&Refusal::NotFound, state.backend.shard_of(&key))),
    }
}
