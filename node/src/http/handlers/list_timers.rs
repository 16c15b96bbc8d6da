//! `GET /groups/{group}/timers`: a page of the group's timers in the order of their ids or times.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use timer_core::list::Place;

use super::request_id;
use crate::backend::{BackendError, Listed};
use crate::http::HttpState;
use crate::http::input::list;
use crate::http::limits::{LIST_BYTES_MAX, LIST_RETRY_AFTER};
use crate::http::output::{self, Reveal};
use crate::http::problem::Problem;
use crate::http::{context, cursor, ids};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn list_timers(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let page = list::page(ids::group(parts.uri.path())?, parts.uri.query())?;
    // Until there is a place, nothing lies in memory.
    let place = tokio::time::timeout(state.settings.deadline, state.lists.clone().acquire_owned()).await;
    let Ok(Ok(_place)) = place else { return Err(too_many()) };
    let context = context::of_read(&state, &request_id(&parts), &parts.headers);
    let listed = state.backend.list(context, page.query.clone(), page.limit, LIST_BYTES_MAX).await?;
    let reveal = if page.reveal { Reveal::Yes } else { Reveal::No };
    Ok(output::json_bytes(StatusCode::OK, body(&state, &page, &listed, reveal)?))
}

fn body(state: &HttpState, page: &list::Page, listed: &Listed, reveal: Reveal) -> Result<Vec<u8>, Problem> {
    let mut json = b"{\"timers\":[".to_vec();
    for (n, view) in listed.timers.iter().enumerate() {
        if n > 0 {
            json.push(b',');
        }
        let shard = state.backend.shard_of(&view.timer.key);
        json.extend(output::timer_json(&view.timer, shard, Some(view.attempt_in_flight), reveal)?);
    }
    json.extend_from_slice(b"],\"nextCursor\":");
    match listed.timers.last().filter(|_| listed.more) {
        Some(last) => {
            // Of letters, digits, `-` and `_`.
            let cursor = cursor::encode(&page.query, &Place::of(&last.timer));
            json.extend_from_slice(format!("\"{cursor}\"").as_bytes());
        }
        None => json.extend_from_slice(b"null"),
    }
    json.push(b'}');
    Ok(json)
}

fn too_many() -> Problem {
    let reason = "there were too many lists at once for all of the request's time".to_owned();
    BackendError::Overloaded { reason, retry_after: LIST_RETRY_AFTER }.into()
}
