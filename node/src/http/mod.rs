//! The REST API, version 1, on top of [`Backend`]: routes here, one operation a file in [`handlers`].
//!
//! Deliberately absent: anything that knows of Raft, shards' leaders or storage. A request becomes one
//! command or one read of the backend, and its reply an answer.

pub mod body;
pub mod code;
pub mod conditional;
pub mod context;
pub mod cursor;
pub mod duration;
pub mod group_output;
pub mod handlers;
mod handshake;
pub mod history;
pub mod ids;
pub mod input;
pub mod limits;
pub mod operation;
pub mod output;
pub mod problem;
pub mod query;
pub mod secret_output;
pub mod server;
pub mod shell;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post, put};
use tokio::sync::Semaphore;

pub use input::{UrlCheck, UrlFault};
pub use server::{ServerBounds, serve_within};

use crate::backend::Backend;
use crate::environment::Entropy;
use handlers::{
    batch, cluster, create_signing_secret, create_timer, delete_group, delete_signing_secret, delete_timer,
    dev_clock, error_page, fire_timer, get_group, get_timer, health, info, list_attempts, list_groups,
    list_signing_secrets, list_timers, metrics, patch_group, patch_timer, pause_group, put_group, put_timer,
    redrive_timer, routing, test_callback, unknown,
};

/// What all requests share. Clones share it.
#[derive(Clone)]
pub struct HttpState {
    /// The cluster.
    pub backend: Arc<dyn Backend>,
    /// For ids.
    pub entropy: Arc<dyn Entropy>,
    /// Where callbacks may go.
    pub url_check: UrlCheck,
    /// Bounds.
    pub settings: HttpSettings,
    /// Batches at the same time.
    pub batches: Arc<Semaphore>,
    /// Pages of lists at the same time.
    pub lists: Arc<Semaphore>,
}

impl std::fmt::Debug for HttpState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpState").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Bounds of the HTTP layer that a node may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// How long a request waits for the cluster.
    pub deadline: Duration,
    /// Bytes of a request's body, which is a batch where there is more than [`limits::BODY_BYTES_MAX`].
    pub body_bytes_max: usize,
    /// How long a client may take to send a body.
    pub body_read_max: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            deadline: limits::DEADLINE_DEFAULT,
            body_bytes_max: limits::BATCH_BYTES_MAX_DEFAULT,
            body_read_max: limits::BODY_READ_MAX,
        }
    }
}

/// Every path that there is, with its methods: what api.yaml lists. Health and metrics stand at the root,
/// where operators' tools look, and under the base path.
#[must_use]
pub fn routes(manual_clock: bool) -> Vec<(&'static str, MethodRouter<HttpState>)> {
    let timer = put(put_timer::put_timer)
        .get(get_timer::get_timer)
        .patch(patch_timer::patch_timer)
        .delete(delete_timer::delete_timer);
    let group = put(put_group::put_group)
        .get(get_group::get_group)
        .patch(patch_group::patch_group)
        .delete(delete_group::delete_group);
    let secrets =
        post(create_signing_secret::create_signing_secret).get(list_signing_secrets::list_signing_secrets);
    let mut routes = vec![
        ("/api/v1/groups", get(list_groups::list_groups)),
        ("/api/v1/groups/{group}", group),
        ("/api/v1/groups/{group}/signing-secrets", secrets),
        ("/api/v1/groups/{group}/signing-secrets/{id}", delete(delete_signing_secret::delete_signing_secret)),
        ("/api/v1/groups/{group}/pause", post(pause_group::pause_group)),
        ("/api/v1/groups/{group}/resume", post(pause_group::resume_group)),
        ("/api/v1/groups/{group}/test-callback", post(test_callback::test_callback)),
        ("/api/v1/groups/{group}/timers", post(create_timer::create_timer).get(list_timers::list_timers)),
        ("/api/v1/groups/{group}/batch", post(batch::batch)),
        ("/api/v1/groups/{group}/timers/{id}", timer),
        ("/api/v1/groups/{group}/timers/{id}/attempts", get(list_attempts::list_attempts)),
        ("/api/v1/groups/{group}/timers/{id}/fire", post(fire_timer::fire_timer)),
        ("/api/v1/groups/{group}/timers/{id}/redrive", post(redrive_timer::redrive_timer)),
        ("/api/v1/info", get(info::info)),
        ("/api/v1/cluster", get(cluster::cluster)),
        ("/api/v1/cluster/routing", get(routing::routing)),
        ("/docs/errors/{code}", get(error_page::error_page)),
        ("/healthz", get(health::healthz)),
        ("/readyz", get(health::readyz)),
        ("/metrics", get(metrics::metrics)),
        ("/api/v1/healthz", get(health::healthz)),
        ("/api/v1/readyz", get(health::readyz)),
        ("/api/v1/metrics", get(metrics::metrics)),
    ];
    // Without a manual clock the route is unknown, for every method.
    if manual_clock {
        routes.push(("/api/v1/dev/clock", get(dev_clock::read).post(dev_clock::advance)));
    }
    routes
}

/// Serves [`routes`], and problems where there is none.
pub fn router(state: HttpState) -> Router {
    let mut router = Router::new();
    for (path, methods) in routes(state.backend.manual_clock().is_some()) {
        router = router.route(path, methods);
    }
    router
        .fallback(unknown::unknown_route)
        .method_not_allowed_fallback(unknown::unknown_method)
        .layer(from_fn_with_state(state.clone(), shell::wrap))
        .with_state(state)
}
