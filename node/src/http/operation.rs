//! Names a request's operation as api.yaml does, for metrics: a bounded set, whatever clients send.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;

/// Of a request that no route takes.
const UNKNOWN: &str = "unknown";

/// The `operationId`, or `unknown`.
pub fn name(request: &Request) -> &'static str {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return UNKNOWN };
    let path = path.as_str().strip_prefix("/api/v1").unwrap_or(path.as_str());
    // The router answers a HEAD by what serves GET.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    match (method, path) {
        (&Method::GET, "/groups") => "listGroups",
        (&Method::PUT, "/groups/{group}") => "putGroup",
        (&Method::GET, "/groups/{group}") => "getGroup",
        (&Method::PATCH, "/groups/{group}") => "patchGroup",
        (&Method::DELETE, "/groups/{group}") => "deleteGroup",
        (&Method::POST, "/groups/{group}/signing-secrets") => "createSigningSecret",
        (&Method::GET, "/groups/{group}/signing-secrets") => "listSigningSecrets",
        (&Method::DELETE, "/groups/{group}/signing-secrets/{id}") => "deleteSigningSecret",
        (&Method::POST, "/groups/{group}/pause") => "pauseGroup",
        (&Method::POST, "/groups/{group}/resume") => "resumeGroup",
        (&Method::POST, "/groups/{group}/test-callback") => "testCallback",
        (&Method::POST, "/groups/{group}/timers") => "createTimer",
        (&Method::GET, "/groups/{group}/timers") => "listTimers",
        (&Method::POST, "/groups/{group}/batch") => "batchTimers",
        (&Method::PUT, "/groups/{group}/timers/{id}") => "putTimer",
        (&Method::GET, "/groups/{group}/timers/{id}") => "getTimer",
        (&Method::PATCH, "/groups/{group}/timers/{id}") => "patchTimer",
        (&Method::DELETE, "/groups/{group}/timers/{id}") => "deleteTimer",
        (&Method::GET, "/groups/{group}/timers/{id}/attempts") => "listAttempts",
        (&Method::POST, "/groups/{group}/timers/{id}/fire") => "fireTimer",
        (&Method::POST, "/groups/{group}/timers/{id}/redrive") => "redriveTimer",
        (&Method::GET, "/info") => "getInfo",
        (&Method::GET, "/cluster") => "getCluster",
        (&Method::GET, "/cluster/routing") => "getRouting",
        (&Method::GET, "/dev/clock") => "getClock",
        (&Method::POST, "/dev/clock") => "advanceClock",
        (&Method::GET, "/healthz") => "getHealth",
        (&Method::GET, "/readyz") => "getReadiness",
        (&Method::GET, "/metrics") => "getMetrics",
        (&Method::GET, "/docs/errors/{code}") => "getErrorPage",
        _ => UNKNOWN,
    }
}
