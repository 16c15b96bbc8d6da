//! `PATCH /groups/{group}/timers/{id}`: change some of a pending timer by a JSON merge patch. Rules that need
//! the fields which the patch does not name are checked where it is applied.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::command::Command;

use super::{CONDITIONS, Change};
use crate::http::HttpState;
use crate::http::body::{self, Media};
use crate::http::input::{Rules, Sent, Shape, fingerprint};
use crate::http::problem::Problem;

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn patch_timer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = Change::of(&parts, &CONDITIONS)?;
    let bytes = body::read(&state, &parts.headers, body, Media::MergePatch).await?;
    let now = state.backend.now();
    let sent = Sent::read(&bytes, Shape::Patch, Rules { now, url_check: &state.url_check })?;
    let fingerprint = fingerprint::of_sent(&sent);
    let patch = sent.patch(change.key.clone(), change.precondition.clone());
    change.submit(&state, "patch", Some(fingerprint), Command::Patch(Box::new(patch))).await?.response()
}
