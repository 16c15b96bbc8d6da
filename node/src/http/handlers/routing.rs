//! `GET /cluster/routing`: what a client needs to compute a timer's shard and to go straight to its leader.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::no_query;
use crate::backend::{ClusterView, ShardView};
use crate::http::HttpState;
use crate::http::output;
use crate::http::problem::Problem;

/// Names the function from group and id to shard; another function gets another name.
const ALGORITHM: &str = "sha256-mod/1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Routing {
    algorithm: &'static str,
    cluster_id: String,
    cluster_shards: usize,
    groups: BTreeMap<&'static str, usize>,
    shards: Vec<Leader>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Leader {
    shard: u16,
    leader: Option<u64>,
    http_url: Option<String>,
}

/// Handles the operation.
///
/// # Errors
/// The problem that is answered.
pub async fn routing(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    no_query(&request)?;
    let view = state.backend.cluster().await;
    let shards: Vec<Leader> = view.shards.iter().map(|shard| leader(&view, shard)).collect();
    let routing = Routing {
        algorithm: ALGORITHM,
        cluster_shards: shards.len(),
        groups: BTreeMap::from([("default", shards.len())]),
        shards,
        cluster_id: view.cluster_id,
    };
    output::json_response(StatusCode::OK, &routing)
}

fn leader(view: &ClusterView, shard: &ShardView) -> Leader {
    let node = view.nodes.iter().find(|node| Some(node.id) == shard.leader);
    Leader { shard: shard.shard, leader: shard.leader, http_url: node.map(|node| node.http_url.clone()) }
}
