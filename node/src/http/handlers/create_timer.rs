//! `POST /groups/{group}/timers`: create only. Without an id one is made, from the `Idempotency-Key` if there
//! is one, so that a repeated request meets the same timer.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::command::{Command, Fence, Put, PutMode};
use timer_core::ids::TimerKey;

use super::Change;
use crate::environment::Entropy;
use crate::http::HttpState;
use crate::http::body::{self, Media};
use crate::http::input::{Rules, Sent, Shape, fingerprint};
use crate::http::problem::Problem;
use crate::http::{context, ids};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn create_timer(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let group = ids::group(parts.uri.path())?;
    let idempotency_key = context::idempotency_key(&parts.headers)?;
    let bytes = body::read(&state, &parts.headers, body, Media::Json).await?;
    let now = state.backend.now();
    let sent = Sent::read(&bytes, Shape::Whole, Rules { now, url_check: &state.url_check })?;
    let id = sent.id.clone().unwrap_or_else(|| match &idempotency_key {
        Some(key) => fingerprint::derived_id(&group, key),
        None => random_id(state.entropy.as_ref()),
    });
    let change = Change::of_key(&parts, TimerKey::new(group, id), &[])?;
    if change.precondition.present || !change.precondition.versions.is_empty() {
        return Err(Problem::invalid("If-Match", "can't hold when a timer is created"));
    }
    let fingerprint = fingerprint::of_sent(&sent);
    let command = Command::Put(Box::new(Put {
        key: change.key.clone(),
        definition: sent.definition(now),
        delay: sent.delay(),
        fingerprint,
        mode: PutMode::CreateOnly,
        precondition: change.precondition.clone(),
        fence: Fence::default(),
    }));
    change.submit(&state, "create", Some(fingerprint), command).await?.response()
}

/// An id that nobody else has.
pub(super) fn random_id(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 17];
    entropy.fill(&mut bytes);
    fingerprint::id_of_bytes(&bytes)
}
