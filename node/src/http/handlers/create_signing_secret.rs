//! `POST /groups/{group}/signing-secrets`: make a secret, and show it this once. Answered when every shard signs with it.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use timer_core::command::AddSigningSecret;
use timer_core::group::Group;
use timer_core::limits::SECRET_BYTES;
use timer_core::secret::{SecretBytes, SigningSecret};
use timer_core::timer::RequestKey;

use super::REPLAYED;
use super::group_change::{self, GroupChange};
use crate::http::HttpState;
use crate::http::problem::{Code, Problem};
use crate::http::{body, output, secret_output};

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn create_signing_secret(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = GroupChange::unconditional(&parts)?;
    body::read_none(&state, &parts.headers, body).await?;
    let context = change.context(&state, "createSigningSecret", None);
    let key = context.request.clone();
    let mut secret = [0; SECRET_BYTES];
    state.entropy.fill(&mut secret);
    let add = AddSigningSecret {
        group: change.name,
        secret: SecretBytes::new(secret),
        shards: state.backend.cluster_shards(),
    };
    let done = group_change::done(state.backend.add_signing_secret(context, add).await?)?;
    let made = key.and_then(|key| made_by(&key, &done.group)).ok_or_else(|| {
        Problem::new(Code::SigningSecretNotFound, "the secret that this request made has been deleted since")
    })?;
    let mut response = output::json_response(StatusCode::CREATED, &secret_output::made(made))?;
    if done.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The secret that a request made, now or when it came first: its id is the version that is kept with the answer.
fn made_by<'a>(key: &RequestKey, group: &'a Group) -> Option<&'a SigningSecret> {
    let kept = group.answers.iter().find(|kept| kept.request.id == key.id)?;
    group.secrets.iter().find(|secret| secret.id == kept.version)
}
