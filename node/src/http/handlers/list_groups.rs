//! `GET /groups`: a page of the groups in the order of their names.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::request_id;
use crate::http::HttpState;
use crate::http::group_output::{self, GroupBody};
use crate::http::input::group::page;
use crate::http::problem::Problem;
use crate::http::{context, cursor, output};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    groups: Vec<GroupBody<'a>>,
    next_cursor: Option<String>,
}

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn list_groups(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let page = page(parts.uri.query())?;
    let context = context::of_read(&state, &request_id(&parts), &parts.headers);
    // One more than is shown tells whether there are more.
    let found = state.backend.groups(context, page.after, page.limit + 1).await?;
    let (shown, more) = found.split_at(found.len().min(page.limit));
    let last = shown.last().filter(|_| !more.is_empty());
    let body = Body {
        groups: shown.iter().map(group_output::body).collect(),
        next_cursor: last.map(|group| cursor::of_group(&group.name)),
    };
    output::json_response(StatusCode::OK, &body)
}
