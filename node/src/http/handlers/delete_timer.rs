//! `DELETE /groups/{group}/timers/{id}`: cancel a pending timer; with `?purge=true` erase a finished one.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::command::{Command, Delete, Fence};

use super::Change;
use crate::http::HttpState;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::query::{IF_GENERATION, IF_IN_FLIGHT, PURGE};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn delete_timer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = Change::of(&parts, &[PURGE, IF_GENERATION, IF_IN_FLIGHT])?;
    let purge = change.query.flag(PURGE)?;
    body::read_none(&state, &parts.headers, body).await?;
    let command = Command::Delete(Delete {
        key: change.key.clone(),
        purge,
        precondition: change.precondition.clone(),
        fence: Fence::default(),
    });
    let operation = if purge { "purge" } else { "delete" };
    change.submit(&state, operation, None, command).await?.response()
}
