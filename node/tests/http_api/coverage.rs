//! Both directions at once: all that the contract lists occurs, and all that the router serves is listed.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use node::backend::{Applied, BackendError};
use node::http::output::error_kind;
use node::http::{HttpSettings, routes};
use proto::Numbered as _;
use serde_json::Value;
use timer_core::command::AttemptResult;
use timer_core::timer::ErrorKind;

use crate::contract::CONTRACT;
use crate::operations::died;
use crate::signing_secrets;
use crate::support::{Api, timer};

/// The changes, as method and what follows `/timers`; `x` is a pending timer.
const CHANGES: [&str; 6] = ["POST ", "PUT /x", "PATCH /x", "DELETE /x", "POST /x/fire", "POST /x/redrive"];

/// Reads of what is no timer, and what else takes no part in a shard.
const OF_THE_NODE: [&str; 3] = ["GET /api/v1/info", "GET /api/v1/cluster", "GET /api/v1/cluster/routing"];

const CLOCK: &str = "/api/v1/dev/clock";

const BATCH: &str = "POST /api/v1/groups/default/batch";

/// `line` with the path written out.
fn in_group(group: &str, line: &str) -> String {
    let (method, rest) = line.split_once(' ').unwrap();
    format!("{method} /api/v1/groups/{group}/timers{rest}")
}

/// A body with `more` that the change `line` takes, where it takes one.
fn body(line: &str, more: &str) -> String {
    match line.split_once(' ').unwrap() {
        ("PUT", _) => timer(more),
        ("POST", "") => timer(&format!(r#", "id": "x"{more}"#)),
        ("PATCH", _) => format!(r#"{{"labels": {{"k": "v"}}{more}}}"#),
        _ => String::new(),
    }
}

fn never() -> Body {
    Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>())
}

/// With a pending timer `x`.
async fn fresh() -> Api {
    let api = Api::new();
    api.call("PUT x", timer("")).await.ok();
    api
}

async fn what_succeeds() -> Api {
    let api = Api::new();
    for _ in 0..2 {
        for line in ["PUT /x", "POST "] {
            api.call(&in_group("default", line), timer(r#", "id": "x""#)).await.ok();
        }
    }
    api.call("POST ", timer("")).await.ok();
    let read = api.call("GET x", "").await;
    assert_eq!(api.call_with("GET x", &[("if-none-match", read.header("etag"))], "").await.status, 304);
    for line in ["PATCH /x", "POST /x/fire"] {
        api.call(&in_group("default", line), body(line, "")).await.ok();
    }
    api.end_attempt("x", died());
    for line in ["POST x/redrive", "DELETE x"] {
        api.call(line, "").await.ok();
    }
    api
}

async fn what_breaks_the_schema_or_a_limit() -> Api {
    let api = fresh().await;
    for line in CHANGES.into_iter().chain(["GET /x"]) {
        let here = in_group("default", line);
        assert_eq!(api.call(&format!("{here}?unknown=1"), "").await.status, 400, "{line}");
        let elsewhere = api.call(&in_group("other", line), body(line, "")).await;
        assert_eq!(elsewhere.problem(), (404, "GROUP_NOT_FOUND"), "{line}");
    }
    for line in CHANGES {
        let here = in_group("default", line);
        for (name, value, status) in [("content-length", "1048577", 413), ("content-type", "text/plain", 415)]
        {
            assert_eq!(api.call_with(&here, &[(name, value)], body(line, "")).await.status, status, "{line}");
        }
    }
    for line in &CHANGES[..3] {
        let here = in_group("default", line);
        let late = api.call(&here, body(line, r#", "callbackTimeout": "1h""#)).await;
        assert_eq!(late.problem(), (422, "OUT_OF_RANGE"), "{line}");
        let url = r#"{"callbackUrl": "http://blocked/"}"#;
        let whole = r#"{"callbackUrl": "http://blocked/", "delay": "1s"}"#;
        let blocked = api.call(&here, if line.starts_with("PATCH") { url } else { whole }).await;
        assert_eq!(blocked.problem(), (422, "BLOCKED_ADDRESS"), "{line}");
    }
    api
}

async fn what_the_timer_does_not_allow() -> Api {
    let api = fresh().await;
    for line in ["GET /y", "PATCH /y", "DELETE /y", "POST /y/fire", "POST /y/redrive"] {
        let missing = api.call(&in_group("default", line), body(line, "")).await;
        assert_eq!(missing.problem(), (404, "TIMER_NOT_FOUND"), "{line}");
    }
    for line in CHANGES {
        let condition = if line == "POST " { ("if-none-match", "*") } else { ("if-match", "\"1\"") };
        let refused = api.call_with(&in_group("default", line), &[condition], body(line, "")).await;
        assert_eq!(refused.problem(), (412, "VERSION_MISMATCH"), "{line}");
    }
    let taken = api.call("POST ", body("POST ", r#", "payload": 1"#)).await;
    assert_eq!(taken.problem(), (409, "TIMER_EXISTS"));
    for line in ["DELETE x?purge=true", "POST x/redrive"] {
        assert_eq!(api.call(line, "").await.problem(), (409, "TIMER_NOT_FINISHED"), "{line}");
    }
    api.begin_attempt("x", Duration::from_secs(30));
    for line in ["PUT /x", "PATCH /x", "DELETE /x"] {
        let here = format!("{}?ifInFlight=refuse", in_group("default", line));
        let refused = api.call(&here, body(line, r#", "callbackTimeout": "2s""#)).await;
        assert_eq!(refused.problem(), (409, "ATTEMPT_IN_FLIGHT"), "{line}");
    }
    api.end_attempt("x", AttemptResult::Delivered);
    for line in ["PATCH /x", "DELETE /x", "POST /x/fire", "POST /x/redrive"] {
        let refused = api.call(&in_group("default", line), body(line, "")).await;
        assert_eq!(refused.problem(), (409, "TIMER_FINISHED"), "{line}");
    }
    api
}

async fn what_repeats_a_key_for_something_else() -> Api {
    let api = Api::new();
    let key = [("idempotency-key", "k")];
    api.call_with("PUT x", &key, timer("")).await.ok();
    for line in CHANGES {
        let reused = api.call_with(&in_group("default", line), &key, body(line, r#", "payload": 1"#)).await;
        assert_eq!(reused.problem(), (422, "IDEMPOTENCY_KEY_REUSED"), "{line}");
    }
    api
}

async fn what_the_cluster_can_not_do() -> Api {
    let api = fresh().await;
    let (reason, retry_after) = ("a test".to_owned(), Duration::from_secs(1));
    let outcome = Applied::Unknown;
    let internal = BackendError::Internal(reason.clone());
    let of_a_shard = [
        internal.clone(),
        BackendError::Unavailable { shard: 3, outcome, reason: reason.clone(), retry_after },
        BackendError::Overloaded { reason, retry_after },
        BackendError::TimedOut { outcome, waited: retry_after },
    ];
    for line in CHANGES.into_iter().chain(["GET /x", "GET ", "GET /x/attempts"]) {
        for error in &of_a_shard {
            api.fail_next(error.clone());
            let failed = api.call(&in_group("default", line), body(line, "")).await;
            assert!(failed.status.is_server_error(), "{line}: {error:?}");
        }
    }
    // What needs no more room is done on a full disk too.
    for line in &CHANGES[..3] {
        api.fail_next(BackendError::DiskFull);
        let full = api.call(&in_group("default", line), body(line, "")).await;
        assert_eq!(full.problem(), (507, "DISK_FULL"), "{line}");
    }
    let clock = [format!("GET {CLOCK}"), format!("POST {CLOCK}")];
    let probes = ["GET /readyz", "GET /metrics"].into_iter().chain(clock.iter().map(String::as_str));
    for line in OF_THE_NODE.into_iter().chain(probes) {
        api.fail_next(internal.clone());
        assert_eq!(api.call(line, "{}").await.problem(), (500, "INTERNAL"), "{line}");
    }
    api
}

async fn what_a_batch_answers() -> Api {
    let api = Api::new();
    api.call(BATCH, r#"{"operations": [{"op": "get", "id": "x"}]}"#).await.ok();
    assert_eq!(api.call(BATCH, "{}").await.problem(), (400, "INVALID_ARGUMENT"));
    let elsewhere = api.call("POST /api/v1/groups/other/batch", r#"{"operations": []}"#).await;
    assert_eq!(elsewhere.problem(), (404, "GROUP_NOT_FOUND"));
    let long = api.call_with(BATCH, &[("content-length", "25165825")], "{}").await;
    assert_eq!(long.problem(), (413, "PAYLOAD_TOO_LARGE"));
    let text = api.call_with(BATCH, &[("content-type", "text/plain")], "{}").await;
    assert_eq!(text.problem(), (415, "UNSUPPORTED_MEDIA_TYPE"));
    let operations = vec![r#"{"op": "get", "id": "x"}"#; 1_001].join(",");
    let many = api.call(BATCH, format!(r#"{{"operations": [{operations}]}}"#)).await;
    assert_eq!(many.problem(), (422, "OUT_OF_RANGE"));
    assert_eq!(api.call(BATCH, never()).await.problem(), (504, "TIMEOUT"));
    let _place = api.batches.clone().try_acquire_owned().unwrap();
    assert_eq!(api.call(BATCH, "{}").await.problem(), (503, "OVERLOADED"));
    api
}

async fn what_a_list_answers() -> Api {
    let api = fresh().await;
    api.call("GET ", "").await.ok();
    for (query, status, code) in [
        ("?orderBy=x", 400, "INVALID_ARGUMENT"),
        ("?cursor=x", 400, "CURSOR_INVALID"),
        ("?limit=0", 422, "OUT_OF_RANGE"),
    ] {
        let here = in_group("default", &format!("GET {query}"));
        assert_eq!(api.call(&here, "").await.problem(), (status, code), "{query}");
    }
    assert_eq!(api.call(&in_group("other", "GET "), "").await.problem(), (404, "GROUP_NOT_FOUND"));
    api
}

/// What changes a group, and a body that it takes.
const GROUP_CHANGES: [(&str, &str); 3] = [("PUT", "{}"), ("PATCH", "{}"), ("DELETE", "")];

async fn what_a_group_answers() -> Api {
    let api = Api::new();
    let group = |method: &str| format!("{method} /api/v1/groups/a");
    for (method, body) in GROUP_CHANGES.into_iter().chain([("GET", "")]) {
        if method != "PUT" {
            assert_eq!(api.call(&group(method), body).await.problem(), (404, "GROUP_NOT_FOUND"), "{method}");
        }
        let bad = api.call(&format!("{}?unknown=1", group(method)), body).await;
        assert_eq!(bad.problem(), (400, "INVALID_ARGUMENT"), "{method}");
    }
    let key = [("idempotency-key", "k")];
    assert_eq!(api.call_with(&group("PUT"), &key, "{}").await.status, 201);
    api.call(&group("PUT"), r#"{"retention": "2h"}"#).await.ok();
    api.call(&group("PATCH"), r#"{"retention": "3h"}"#).await.ok();
    let read = api.call(&group("GET"), "").await;
    let known = [("if-none-match", read.header("etag"))];
    assert_eq!(api.call_with(&group("GET"), &known, "").await.status, 304);
    for (method, body) in GROUP_CHANGES {
        let reused =
            api.call_with(&group(method), &key, if body.is_empty() { "" } else { r#"{"shards": 8}"# }).await;
        assert_eq!(reused.problem(), (422, "IDEMPOTENCY_KEY_REUSED"), "{method}");
        let stale = api.call_with(&group(method), &[("if-match", "\"7\"")], body).await;
        assert_eq!(stale.problem(), (412, "VERSION_MISMATCH"), "{method}");
        for (name, value, status) in [("content-length", "1048577", 413), ("content-type", "text/plain", 415)]
        {
            assert_eq!(
                api.call_with(&group(method), &[(name, value)], body).await.status,
                status,
                "{method}"
            );
        }
        if method != "DELETE" {
            let far = api.call(&group(method), r#"{"retention": "1s"}"#).await;
            assert_eq!(far.problem(), (422, "OUT_OF_RANGE"), "{method}");
        }
    }
    api.call(&in_group("a", "PUT /x"), timer("")).await.ok();
    assert_eq!(api.call(&group("DELETE"), "").await.problem(), (409, "GROUP_NOT_EMPTY"));
    api.call(&in_group("a", "DELETE /x"), "").await.ok();
    api.call(&in_group("a", "DELETE /x?purge=true"), "").await.ok();
    assert_eq!(api.call(&group("DELETE"), "").await.status, 204);
    let groups = "GET /api/v1/groups";
    api.call(groups, "").await.ok();
    for (query, status, code) in [
        ("?x=1", 400, "INVALID_ARGUMENT"),
        ("?cursor=x", 400, "CURSOR_INVALID"),
        ("?limit=0", 422, "OUT_OF_RANGE"),
    ] {
        assert_eq!(api.call(&format!("{groups}{query}"), "").await.problem(), (status, code), "{query}");
    }
    api
}

async fn what_a_group_can_not_do() -> Api {
    let api = Api::new();
    let (reason, retry_after, outcome) = ("a test".to_owned(), Duration::from_secs(1), Applied::Unknown);
    let lines = GROUP_CHANGES
        .into_iter()
        .chain([("GET", "")])
        .map(|(method, body)| (format!("{method} /api/v1/groups/a"), body));
    for (line, body) in lines.chain([("GET /api/v1/groups".to_owned(), "")]) {
        for error in [
            BackendError::Internal(reason.clone()),
            BackendError::Unavailable { shard: 3, outcome, reason: reason.clone(), retry_after },
            BackendError::Overloaded { reason: reason.clone(), retry_after },
            BackendError::TimedOut { outcome, waited: retry_after },
        ] {
            api.fail_next(error.clone());
            assert!(api.call(&line, body).await.status.is_server_error(), "{line}: {error:?}");
        }
        if line.starts_with("PUT") || line.starts_with("PATCH") {
            api.fail_next(BackendError::DiskFull);
            assert_eq!(api.call(&line, body).await.problem(), (507, "DISK_FULL"), "{line}");
        }
    }
    api.use_up_groups();
    assert_eq!(api.call("PUT /api/v1/groups/more", "{}").await.problem(), (429, "QUOTA_EXCEEDED"));
    api
}

async fn what_a_quota_does_not_allow() -> Api {
    let api = fresh().await;
    api.call("PUT y", timer("")).await.ok();
    api.end_attempt("y", died());
    api.call("PATCH /api/v1/groups/default", r#"{"maxPending": 1}"#).await.ok();
    for line in ["PUT z", "POST ", "POST y/redrive"] {
        let full = api.call(line, if line.ends_with("redrive") { String::new() } else { timer("") }).await;
        assert_eq!(full.problem(), (429, "QUOTA_EXCEEDED"), "{line}");
    }
    api
}

async fn what_a_history_answers() -> Api {
    let api = fresh().await;
    let attempts = |group: &str, rest: &str| in_group(group, &format!("GET {rest}"));
    api.call(&attempts("default", "/x/attempts"), "").await.ok();
    let unknown = api.call(&attempts("default", "/x/attempts?limit=1"), "").await;
    assert_eq!(unknown.problem(), (400, "INVALID_ARGUMENT"));
    let missing = api.call(&attempts("default", "/y/attempts"), "").await;
    assert_eq!(missing.problem(), (404, "TIMER_NOT_FOUND"));
    let elsewhere = api.call(&attempts("other", "/x/attempts"), "").await;
    assert_eq!(elsewhere.problem(), (404, "GROUP_NOT_FOUND"));
    api
}

async fn what_the_node_says_of_itself() -> Api {
    let api = Api::new();
    for line in OF_THE_NODE {
        api.call(line, "").await.ok();
        assert_eq!(api.call(&format!("{line}?x=1"), "").await.status, 400, "{line}");
    }
    for line in ["GET /healthz", "GET /metrics", "GET /readyz", "GET /docs/errors/TIMEOUT"] {
        assert_eq!(api.call(line, "").await.status, 200, "{line}");
    }
    api.set_ready(Some("draining"));
    assert_eq!(api.call("GET /readyz", "").await.status, 503);
    assert_eq!(api.call("GET /docs/errors/NONE", "").await.problem(), (404, "ROUTE_NOT_FOUND"));
    api
}

async fn what_the_clock_answers() -> [Api; 2] {
    let (manual, by_itself) = (Api::new(), Api::with(false, HttpSettings::default()));
    let (get, post) = (format!("GET {CLOCK}"), format!("POST {CLOCK}"));
    manual.call(&get, "").await.ok();
    manual.call(&post, r#"{"by": "1s"}"#).await.ok();
    assert_eq!(manual.call(&format!("{get}?x=1"), "").await.status, 400);
    assert_eq!(manual.call(&post, "{}").await.status, 400);
    assert_eq!(manual.call(&post, r#"{"to": "1999-01-01T00:00:00Z"}"#).await.status, 422);
    assert_eq!(manual.call_with(&post, &[("content-length", "1048577")], "{}").await.status, 413);
    assert_eq!(manual.call_with(&post, &[("content-type", "text/plain")], "{}").await.status, 415);
    assert_eq!(manual.call(&post, never()).await.status, 504);
    for line in [get, post] {
        assert_eq!(by_itself.call(&line, "{}").await.status, 404, "{line}");
    }
    [manual, by_itself]
}

// Paused, so that the time for a body that never comes is over at once.
#[tokio::test(start_paused = true)]
async fn every_operation_status_and_code_of_the_contract_occurs() {
    let mut apis = vec![
        what_succeeds().await,
        what_breaks_the_schema_or_a_limit().await,
        what_the_timer_does_not_allow().await,
        what_repeats_a_key_for_something_else().await,
        what_the_cluster_can_not_do().await,
        what_a_batch_answers().await,
        what_a_list_answers().await,
        what_a_group_answers().await,
        what_a_group_can_not_do().await,
        signing_secrets::what_they_answer().await,
        signing_secrets::what_they_can_not_do().await,
        what_a_quota_does_not_allow().await,
        what_a_history_answers().await,
        what_the_node_says_of_itself().await,
    ];
    apis.extend(what_the_clock_answers().await);
    let seen: BTreeSet<_> = apis.iter().flat_map(|api| std::mem::take(&mut *api.seen.lock())).collect();
    let never: Vec<_> = CONTRACT.combinations().difference(&seen).cloned().collect();
    assert!(never.is_empty(), "listed in api.yaml, but never answered: {never:#?}");
}

#[test]
fn every_kind_of_failure_is_listed_and_explained_and_no_other() {
    let schema = &CONTRACT.root["components"]["schemas"]["ErrorKind"];
    let listed: BTreeSet<_> = schema["enum"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let known: BTreeSet<_> = ErrorKind::EVERY.iter().map(|kind| error_kind(*kind)).collect();
    assert_eq!(listed, known);
    let explained = schema["description"].as_str().unwrap();
    for kind in known {
        assert!(explained.contains(&format!("`{kind}`")), "{kind}");
    }
}

#[tokio::test]
async fn the_router_has_the_paths_and_the_methods_of_the_contract_and_no_others() {
    let served: BTreeSet<_> = routes(true).into_iter().map(|(path, _)| path.to_owned()).collect();
    let listed: BTreeSet<_> = CONTRACT.paths.iter().map(|path| path.template.clone()).collect();
    assert_eq!(served, listed);
    let api = Api::new();
    for template in served {
        let path = template.replace("{group}", "default").replace("{id}", "x").replace("{code}", "TIMEOUT");
        // The answer lists the methods in `Allow`, which the contract is held against as with every answer.
        let refused = api.call(&format!("BREW {path}"), "").await;
        assert_eq!(refused.problem(), (405, "METHOD_NOT_ALLOWED"), "{path}");
    }
}
