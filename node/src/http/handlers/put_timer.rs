//! `PUT /groups/{group}/timers/{id}`: create or replace. The same definition again changes nothing.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::command::{Command, Fence, Put, PutMode};

use super::{CONDITIONS, Change};
use crate::http::HttpState;
use crate::http::body::{self, Media};
use crate::http::input::{Rules, Sent, Shape, fingerprint};
use crate::http::problem::Problem;

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn put_timer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = Change::of(&parts, &CONDITIONS)?;
    let bytes = body::read(&state, &parts.headers, body, Media::Json).await?;
    let now = state.backend.now();
    let sent = Sent::read(&bytes, Shape::Whole, Rules { now, url_check: &state.url_check })?;
    if sent.id.as_ref().is_some_and(|id| *id != change.key.id) {
        return Err(Problem::invalid("id", "must be the id in the path, or not be there"));
    }
    let fingerprint = fingerprint::of_sent(&sent);
    let command = Command::Put(Box::new(Put {
        key: change.key.clone(),
        definition: sent.definition(now),
        delay: sent.delay(),
        fingerprint,
        mode: PutMode::CreateOrReplace,
        precondition: change.precondition.clone(),
        fence: Fence::default(),
    }));
    change.submit(&state, "put", Some(fingerprint), command).await?.response()
}
