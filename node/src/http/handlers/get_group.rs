//! `GET /groups/{group}`: a group and its settings, read linearizably.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::request_id;
use crate::http::HttpState;
use crate::http::problem::{self, Problem};
use crate::http::{conditional, context, group_output, ids, output};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn get_group(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    super::no_query(&request)?;
    let (parts, _) = request.into_parts();
    let name = ids::group(parts.uri.path())?;
    let context = context::of_read(&state, &request_id(&parts), &parts.headers);
    let found = state.backend.group(context, name).await?;
    let group = found.ok_or_else(problem::of_unknown_group)?;
    if conditional::not_modified(&parts.headers, group.version)? {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().insert(header::ETAG, output::etag(group.version)?);
        return Ok(response);
    }
    group_output::response(StatusCode::OK, &group)
}
