//! `POST /groups/{group}/timers/{id}/redrive`: give a dead timer a new life.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::command::{Command, Redrive};

use super::Change;
use crate::http::HttpState;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::query::IF_GENERATION;

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn redrive_timer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = Change::of(&parts, &[IF_GENERATION])?;
    body::read_none(&state, &parts.headers, body).await?;
    let command =
        Command::Redrive(Redrive { key: change.key.clone(), precondition: change.precondition.clone() });
    change.submit(&state, "redrive", None, command).await?.response()
}
