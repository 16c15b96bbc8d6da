//! `GET /groups/{group}/signing-secrets`: which secrets a group's callbacks are signed with, but not the secrets.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::request_id;
use crate::http::HttpState;
use crate::http::problem::{self, Problem};
use crate::http::secret_output::{self, SecretBody};
use crate::http::{context, ids, output};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    signing_secrets: Vec<SecretBody>,
}

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn list_signing_secrets(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    super::no_query(&request)?;
    let (parts, _) = request.into_parts();
    let name = ids::group(parts.uri.path())?;
    let context = context::of_read(&state, &request_id(&parts), &parts.headers);
    let found = state.backend.group(context, name).await?;
    let group = found.ok_or_else(problem::of_unknown_group)?;
    let body = Body { signing_secrets: group.secrets.iter().map(secret_output::listed).collect() };
    output::json_response(StatusCode::OK, &body)
}
