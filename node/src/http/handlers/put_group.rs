//! `PUT /groups/{group}`: make a group, or give it these settings. Answered when all its shards have them.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::command::PutGroup;
use timer_core::group::GroupSettings;

use super::group_change::GroupChange;
use crate::http::HttpState;
use crate::http::body::{self, Media};
use crate::http::input::Shape;
use crate::http::input::group::SentGroup;
use crate::http::problem::Problem;

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn put_group(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = GroupChange::of(&parts)?;
    let bytes = body::read(&state, &parts.headers, body, Media::Json).await?;
    let cluster_shards = state.backend.cluster_shards();
    let sent = SentGroup::read(&bytes, Shape::Whole, cluster_shards)?;
    let put = PutGroup {
        name: change.name.clone(),
        settings: sent.onto(GroupSettings { shards: cluster_shards, ..GroupSettings::default() }),
        keeps_shards: sent.shards.is_none(),
        precondition: change.precondition.clone(),
    };
    let context = change.context(&state, "putGroup", Some(&sent));
    change.put(&state, context, put).await
}
