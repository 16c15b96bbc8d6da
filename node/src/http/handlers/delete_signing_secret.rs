//! `DELETE /groups/{group}/signing-secrets/{id}`: no callback is signed with it from the answer on.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use timer_core::command::RemoveSigningSecret;

use super::group_change::{self, GroupChange};
use crate::http::HttpState;
use crate::http::problem::{self, Problem};
use crate::http::{body, ids};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn delete_signing_secret(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = GroupChange::unconditional(&parts)?;
    body::read_none(&state, &parts.headers, body).await?;
    let id = ids::signing_secret(parts.uri.path()).ok_or_else(problem::of_unknown_secret)?;
    // The request's fingerprint has to say which.
    let operation = format!("deleteSigningSecret {}", ids::signing_secret_id(id));
    let context = change.context(&state, &operation, None);
    let remove = RemoveSigningSecret { group: change.name, id };
    group_change::done(state.backend.remove_signing_secret(context, remove).await?)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
