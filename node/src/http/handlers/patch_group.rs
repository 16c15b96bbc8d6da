//! `PATCH /groups/{group}`: change some of a group's settings. Answered when all its shards have them.

use axum::extract::{Request, State};
use axum::response::Response;
use timer_core::command::{Precondition, PutGroup, Refusal};

use super::group_change::GroupChange;
use crate::http::HttpState;
use crate::http::body::{self, Media};
use crate::http::input::Shape;
use crate::http::input::group::SentGroup;
use crate::http::problem::Code;
use crate::http::problem::{self, Problem};

/// Times that the group is read again because somebody else has changed it meanwhile.
const TRIES_MAX: u32 = 5;

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn patch_group(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let change = GroupChange::of(&parts)?;
    let bytes = body::read(&state, &parts.headers, body, Media::MergePatch).await?;
    let sent = SentGroup::read(&bytes, Shape::Patch, state.backend.cluster_shards())?;
    let asked = &change.precondition.versions;
    for _ in 0..TRIES_MAX {
        let context = change.context(&state, "patchGroup", Some(&sent));
        let found = state.backend.group(context.clone(), change.name.clone()).await?;
        let group = found.ok_or_else(problem::of_unknown_group)?;
        if !asked.is_empty() && !asked.contains(&group.version) {
            return Err(problem::of_group_refusal(&Refusal::VersionMismatch(Some(group.version))));
        }
        let put = PutGroup {
            name: change.name.clone(),
            settings: sent.onto(group.settings),
            keeps_shards: false,
            precondition: Precondition { versions: vec![group.version], ..change.precondition.clone() },
        };
        match change.put(&state, context, put).await {
            Err(problem) if problem.code == Code::VersionMismatch && asked.is_empty() => {}
            answered => return answered,
        }
    }
    Err(Problem::internal("the group changes all the time"))
}
