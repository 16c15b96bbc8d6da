//! `POST /groups/{group}/timers/{id}/fire`: deliver a pending timer now instead of at its time.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::command::{Command, Fire};

use super::Change;
use crate::http::HttpState;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::query::IF_GENERATION;

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn fire_timer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = Change::of(&parts, &[IF_GENERATION])?;
    body::read_none(&state, &parts.headers, body).await?;
    let command = Command::Fire(Fire { key: change.key.clone(), precondition: change.precondition.clone() });
    change.submit(&state, "fire", None, command).await?.response()
}
