//! `DELETE /groups/{group}`: delete a group that holds no timers.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use timer_core::group::{DEFAULT_GROUP, GroupCounts};

use super::group_change::GroupChange;
use crate::backend::GroupDeleted;
use crate::http::HttpState;
use crate::http::body;
use crate::http::problem::{self, Code, Problem};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn delete_group(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = GroupChange::of(&parts)?;
    body::read_none(&state, &parts.headers, body).await?;
    if change.name == DEFAULT_GROUP {
        return Err(Problem::invalid("group", "must not be default: that group is always there"));
    }
    let context = change.context(&state, "deleteGroup", None);
    match state.backend.delete_group(context, change.name, change.precondition).await? {
        GroupDeleted::Deleted => Ok(StatusCode::NO_CONTENT.into_response()),
        GroupDeleted::NotEmpty(counts) => Err(not_empty(counts)),
        GroupDeleted::Refused(refusal) => Err(problem::of_group_refusal(&refusal)),
    }
}

fn not_empty(counts: GroupCounts) -> Problem {
    let (pending, finished) = (counts.pending(), counts.total() - counts.pending());
    let detail = format!(
        "the group holds {pending} pending timers, and {finished} finished ones that are kept for its retention; \
         nothing changed"
    );
    Problem::new(Code::GroupNotEmpty, detail)
}
