//! `POST /groups/{group}/pause` and `/resume`: hold the callbacks of a group back, and let them go on.

use axum::extract::{Request, State};
use axum::response::Response;

use super::group_change::GroupChange;
use crate::http::HttpState;
use crate::http::body;
use crate::http::problem::Problem;

/// Pauses: no attempt starts once it is answered.
///
/// # Errors
/// The problem that is answered.
pub async fn pause_group(state: State<HttpState>, request: Request) -> Result<Response, Problem> {
    set_paused(state, request, true).await
}

/// Resumes: what is due goes out, a few at first.
///
/// # Errors
/// The problem that is answered.
pub async fn resume_group(state: State<HttpState>, request: Request) -> Result<Response, Problem> {
    set_paused(state, request, false).await
}

async fn set_paused(
    State(state): State<HttpState>,
    request: Request,
    paused: bool,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = GroupChange::of(&parts)?;
    body::read_none(&state, &parts.headers, body).await?;
    let operation = if paused { "pauseGroup" } else { "resumeGroup" };
    let context = change.context(&state, operation, None);
    let (name, precondition) = (change.name.clone(), change.precondition.clone());
    change.answer(state.backend.pause_group(context, name, paused, precondition).await?)
}
