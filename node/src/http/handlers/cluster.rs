//! `GET /cluster`: members and shards as this node sees them, and which shards lack a quorum.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::no_query;
use crate::backend::ClusterView;
use crate::http::HttpState;
use crate::http::output;
use crate::http::problem::Problem;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(flatten)]
    view: ClusterView,
    healthy: bool,
    shards_without_quorum: Vec<u16>,
}

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn cluster(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    no_query(&request)?;
    let view = state.backend.cluster().await;
    let shards_without_quorum: Vec<u16> =
        view.shards.iter().filter(|shard| !shard.healthy).map(|shard| shard.shard).collect();
    // A node that waits for its peers knows no shard yet.
    let known = !view.shards.is_empty();
    let healthy = known && shards_without_quorum.is_empty() && view.nodes.iter().all(|node| node.reachable);
    output::json_response(StatusCode::OK, &Body { view, healthy, shards_without_quorum })
}
