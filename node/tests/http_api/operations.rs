//! What each operation answers.

use std::time::Duration;

use serde_json::json;
use timer_core::command::AttemptResult;
use timer_core::timer::{ErrorKind, LastError};

use crate::support::{Api, START, timer};

/// The end of an attempt after which the timer is dead.
pub fn died() -> AttemptResult {
    let error = LastError {
        kind: ErrorKind::HttpStatus,
        newer_kind: None,
        status: Some(410),
        message: "the receiver answered 410".into(),
        at: START,
    };
    AttemptResult::Failed { error, retry_after: None, permanent: true }
}

#[tokio::test]
async fn a_new_timer_is_shown_with_every_default() {
    let api = Api::new();
    let put = api.call("PUT a", timer(r#", "payload": {"x": 1}"#)).await;
    let version = put.json["version"].clone();
    assert_eq!(put.status, 201);
    assert_eq!(put.header("etag"), format!("\"{version}\""));
    assert_eq!(put.header("location"), "/api/v1/groups/default/timers/a");
    assert_eq!(put.header("cache-control"), "no-store");
    let expected = json!({
        "group": "default", "id": "a", "shard": 3, "generation": version, "version": version,
        "state": "scheduled", "executeAt": "2026-11-25T10:01:00.000Z",
        "nextAttemptAt": "2026-11-25T10:01:00.000Z", "attempts": 0, "deferrals": 0,
        "createdAt": "2026-11-25T10:00:00.000Z", "updatedAt": "2026-11-25T10:00:00.000Z",
        "executedAt": null, "lastError": null, "attemptInFlight": "no",
        "callbackUrl": "http://r/x", "callbackMethod": "POST", "callbackHeaders": {},
        "callbackTimeout": "30s", "callbackBody": "envelope", "payload": {"x": 1},
        "retryPolicy": {
            "maxAttempts": 10, "maxDuration": "1d", "initialInterval": "1s", "backoffMultiplier": 2.0,
            "maxInterval": "1h", "jitter": 0.2, "deadOn": [400, 405, 410, 413, 414, 415, 422]
        },
        "latePolicy": "fire", "labels": {}
    });
    assert_eq!(put.json, expected);
    assert_eq!(api.call("GET a", "").await.json, expected);
}

#[tokio::test]
async fn a_put_replaces_by_a_new_generation() {
    let api = Api::new();
    let first = api.call("PUT a", timer("")).await;
    let second = api.call("PUT a", timer(r#", "labels": {"k": "v"}"#)).await;
    assert_eq!(second.status, 200);
    assert!(second.json["generation"].as_u64() > first.json["generation"].as_u64());
    assert_eq!(second.header("location"), "");
}

#[tokio::test]
async fn a_post_of_a_taken_id_is_refused_with_the_timer_unless_it_is_the_same() {
    let api = Api::new();
    let first = api.call("POST ", timer(r#", "id": "a""#)).await;
    let again = api.call("POST ", timer(r#", "id": "a""#)).await;
    assert_eq!((again.status.as_u16(), &again.json), (200, &first.json));
    let other = api.call("POST ", timer(r#", "id": "a", "payload": 1"#)).await;
    assert_eq!(other.problem(), (409, "TIMER_EXISTS"));
    assert_eq!(other.json["timer"]["id"], "a");
    assert_eq!(other.json["version"], first.json["version"]);
}

#[tokio::test]
async fn the_payload_comes_back_as_the_bytes_that_were_sent() {
    let api = Api::new();
    for payload in [
        r#"{ "b" :1.00, "a":[ ],"b":2e+03 }"#,
        "null",
        "-0.0",
        "12345678901234567890123456789",
        r#""\u0041\ud800\/""#,
        "[1,\n\t2]",
    ] {
        let put = api.call("PUT a", timer(&format!(", \"payload\":  {payload} "))).await;
        for answer in [put, api.call("GET a", "").await] {
            let text = String::from_utf8(answer.bytes).unwrap();
            assert!(text.ends_with(&format!(",\"payload\":{payload}}}")), "{text}");
        }
    }
}

#[tokio::test]
async fn a_binary_payload_comes_back_as_base64_with_its_type() {
    let api = Api::new();
    let more = r#", "payloadBase64": "AP8=", "contentType": "application/x-thing; v=\"1\"""#;
    let put = api.call("PUT a", timer(more)).await;
    assert_eq!(put.ok()["payloadBase64"], "AP8=");
    assert_eq!(put.json["contentType"], "application/x-thing; v=\"1\"");
    assert_eq!(put.json.get("payload"), None);
}

#[tokio::test]
async fn values_of_headers_are_hidden_unless_they_are_asked_for() {
    let api = Api::new();
    let more = r#", "callbackHeaders": {"Authorization": "Bearer s3cret", "x-b": "2"}"#;
    let put = api.call("PUT a", timer(more)).await;
    let hidden = json!({"authorization": "[redacted]", "x-b": "[redacted]"});
    assert_eq!(put.json["callbackHeaders"], hidden);
    let mut answers = vec![put];
    for line in ["GET a", "GET a?reveal=false", "POST a/fire", "DELETE a", "PATCH a"] {
        answers.push(api.call(line, "").await);
    }
    assert!(answers.iter().all(|answer| !String::from_utf8_lossy(&answer.bytes).contains("s3cret")));
    let shown = api.call("GET a?reveal=true", "").await;
    assert_eq!(shown.json["callbackHeaders"], json!({"authorization": "Bearer s3cret", "x-b": "2"}));
    assert_eq!(api.call("PUT a?reveal=true", timer("")).await.problem(), (400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn a_patch_merges_headers_and_labels_and_replaces_the_payload() {
    let api = Api::new();
    let more = r#", "payload": {"a": 1}, "callbackHeaders": {"x-a": "1", "x-b": "2"}, "labels": {"k": "1", "l": "2"}"#;
    let put = api.call("PUT a", timer(more)).await;
    let patch = r#"{"payload": {"b": 2}, "callbackHeaders": {"X-A": null, "x-c": "3"}, "labels": {"k": null, "m": "3"}}"#;
    let media = [("content-type", "application/merge-patch+json")];
    let patched = api.call_with("PATCH a", &media, patch).await;
    assert_eq!(patched.ok()["payload"], json!({"b": 2}));
    assert_eq!(patched.json["labels"], json!({"l": "2", "m": "3"}));
    assert!(patched.json["generation"].as_u64() > put.json["generation"].as_u64());
    let shown = api.call("GET a?reveal=true", "").await;
    assert_eq!(shown.json["callbackHeaders"], json!({"x-b": "2", "x-c": "3"}));
}

#[tokio::test]
async fn a_patch_of_labels_or_policies_is_a_new_version_only() {
    let api = Api::new();
    let put = api.call("PUT a", timer("")).await;
    for body in [
        r#"{"labels": {"k": "v"}}"#,
        r#"{"retryPolicy": {"maxAttempts": 3}}"#,
        r#"{"latePolicy": "skip", "graceWindow": "5m"}"#,
    ] {
        let patched = api.call("PATCH a", body).await;
        assert_eq!(patched.ok()["generation"], put.json["generation"], "{body}");
        assert_ne!(patched.json["version"], put.json["version"], "{body}");
    }
    let shown = api.call("GET a", "").await;
    assert_eq!((&shown.json["latePolicy"], &shown.json["graceWindow"]), (&json!("skip"), &json!("5m")));
}

#[tokio::test]
async fn a_null_in_a_patch_sets_back_or_removes() {
    let api = Api::new();
    let more = r#", "payload": 1, "callbackMethod": "PUT", "callbackTimeout": "5s", "callbackBody": "payload",
        "retryPolicy": {"maxAttempts": 3, "jitter": 0.5}, "latePolicy": "skip", "graceWindow": "1s""#;
    api.call("PUT a", timer(more)).await.ok();
    let one = api.call("PATCH a", r#"{"retryPolicy": {"maxAttempts": null}}"#).await;
    assert_eq!(
        (&one.json["retryPolicy"]["maxAttempts"], &one.json["retryPolicy"]["jitter"]),
        (&json!(10), &json!(0.5))
    );
    let patch = r#"{"payload": null, "callbackMethod": null, "callbackTimeout": null, "callbackBody": null,
        "retryPolicy": null, "latePolicy": null}"#;
    let patched = api.call("PATCH a", patch).await;
    let fresh = api.call("PUT b", timer("")).await;
    assert_eq!(patched.ok().get("payload"), None);
    for field in
        ["callbackMethod", "callbackTimeout", "callbackBody", "retryPolicy", "latePolicy", "graceWindow"]
    {
        assert_eq!(patched.json.get(field), fresh.json.get(field), "{field}");
    }
    for field in
        ["executeAt", "delay", "callbackUrl", "callbackHeaders", "labels", "graceWindow", "contentType"]
    {
        let refused = api.call("PATCH a", format!(r#"{{"{field}": null}}"#)).await;
        assert_eq!(refused.problem(), (400, "INVALID_ARGUMENT"), "{field}");
        assert!(refused.fields().contains(&field), "{field}");
    }
}

#[tokio::test]
async fn a_patch_that_makes_a_wrong_whole_is_refused() {
    let api = Api::new();
    api.call("PUT a", timer(r#", "payload": 1"#)).await.ok();
    let method = api.call("PATCH a", r#"{"callbackMethod": "GET"}"#).await;
    assert_eq!((method.problem(), method.fields()), ((400, "INVALID_ARGUMENT"), vec!["payload"]));
    let wait = api.call("PATCH a", r#"{"retryPolicy": {"maxInterval": "1ms"}}"#).await;
    assert_eq!((wait.problem(), wait.fields()), ((422, "OUT_OF_RANGE"), vec!["retryPolicy.maxInterval"]));
    let both = api.call("PATCH a", r#"{"callbackMethod": "GET", "payload": null}"#).await;
    assert_eq!(both.ok()["callbackMethod"], "GET");
}

#[tokio::test]
async fn a_delete_cancels_and_gives_the_same_answer_again() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    let first = api.call("DELETE a", "").await;
    assert_eq!(
        (first.ok()["state"].as_str(), first.json["attemptInFlight"].as_str()),
        (Some("cancelled"), Some("no"))
    );
    let again = api.call("DELETE a", "").await;
    assert_eq!((again.status, &again.json), (first.status, &first.json));
    assert_eq!(api.call("DELETE unknown", "").await.problem(), (404, "TIMER_NOT_FOUND"));
    assert_eq!(api.call("PUT a", timer("")).await.status, 201);
}

#[tokio::test]
async fn only_a_finished_timer_is_purged() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    let pending = api.call("DELETE a?purge=true", "").await;
    assert_eq!(pending.problem(), (409, "TIMER_NOT_FINISHED"));
    assert_eq!(pending.json["timer"]["state"], "scheduled");
    api.call("DELETE a", "").await.ok();
    assert_eq!(api.call("DELETE a?purge=true", "").await.ok()["state"], "cancelled");
    assert_eq!(api.call("GET a", "").await.problem(), (404, "TIMER_NOT_FOUND"));
    assert_eq!(api.call("DELETE a?purge=yes", "").await.problem(), (400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn a_finished_timer_is_not_changed() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    api.end_attempt("a", AttemptResult::Delivered);
    for (line, body) in
        [("PATCH a", r#"{"delay": "1s"}"#), ("DELETE a", ""), ("POST a/fire", ""), ("POST a/redrive", "")]
    {
        let refused = api.call(line, body).await;
        assert_eq!(refused.problem(), (409, "TIMER_FINISHED"), "{line}");
        assert_eq!(refused.json["timer"]["state"], "delivered", "{line}");
    }
}

#[tokio::test]
async fn a_dead_timer_shows_why_and_is_redriven() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    assert_eq!(api.call("POST a/redrive", "").await.problem(), (409, "TIMER_NOT_FINISHED"));
    api.end_attempt("a", died());
    let dead = api.call("GET a", "").await;
    assert_eq!(dead.ok()["state"], "dead");
    let error = json!({"kind": "HTTP_STATUS", "statusCode": 410, "message": "the receiver answered 410",
        "at": "2026-11-25T10:00:00.000Z"});
    assert_eq!((&dead.json["lastError"], &dead.json["nextAttemptAt"]), (&error, &json!(null)));
    let redriven = api.call("POST a/redrive", "{}").await;
    assert_eq!(redriven.ok()["state"], "retrying");
    assert_eq!(redriven.json["generation"], dead.json["generation"]);
    assert_eq!(redriven.json["nextAttemptAt"], "2026-11-25T10:00:00.000Z");
}

#[tokio::test]
async fn fire_makes_a_timer_due_now() {
    let api = Api::new();
    let put = api.call("PUT a", timer("")).await;
    let fired = api.call("POST a/fire", "").await;
    assert_eq!(fired.ok()["nextAttemptAt"], "2026-11-25T10:00:00.000Z");
    assert_eq!(fired.json["executeAt"], put.json["executeAt"]);
    assert_eq!(api.call("POST a/fire", r#"{"x": 1}"#).await.problem(), (400, "INVALID_ARGUMENT"));
    assert_eq!(api.call("POST unknown/fire", "").await.problem(), (404, "TIMER_NOT_FOUND"));
}

#[tokio::test]
async fn what_is_on_its_way_is_said_and_can_be_refused() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    api.begin_attempt("a", Duration::from_secs(30));
    assert_eq!(api.call("GET a", "").await.json["attemptInFlight"], "yes");
    for (line, body) in [
        ("PUT a?ifInFlight=refuse", timer(r#", "payload": 1"#)),
        ("PATCH a?ifInFlight=refuse", r#"{"delay": "9s"}"#.into()),
        ("DELETE a?ifInFlight=refuse", String::new()),
    ] {
        let refused = api.call(line, body).await;
        assert_eq!(refused.problem(), (409, "ATTEMPT_IN_FLIGHT"), "{line}");
        assert_eq!(refused.json["attemptInFlight"], "yes");
        assert_eq!(refused.json["attemptInFlightUntil"], "2026-11-25T10:00:30.250Z");
    }
    let deleted = api.call("DELETE a", "").await;
    assert_eq!(deleted.ok()["attemptInFlight"], "yes");
    assert_eq!(deleted.json["attemptInFlightUntil"], "2026-11-25T10:00:30.250Z");
    assert_eq!(api.call("DELETE a?ifInFlight=wait", "").await.problem(), (400, "INVALID_ARGUMENT"));
    assert_eq!(api.call("POST a/fire?ifInFlight=refuse", "").await.problem(), (400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn the_node_says_who_it_is_and_how_to_route() {
    let api = Api::new();
    let info = api.call("GET /api/v1/info", "").await;
    assert_eq!(info.ok()["name"], "durable-timer");
    assert_eq!(info.json["serverTime"], "2026-11-25T10:00:00.000Z");
    assert_eq!(info.json["limits"]["payloadBytesMax"], 262_144);
    assert_eq!(info.json["limits"]["horizonMax"], "3652d12h");
    let cluster = api.call("GET /api/v1/cluster", "").await;
    assert_eq!(cluster.ok()["nodes"][0]["httpUrl"], "http://127.0.0.1:7000");
    assert_eq!(
        (&cluster.json["healthy"], &cluster.json["shardsWithoutQuorum"]),
        (&json!(false), &json!([1]))
    );
    let routing = api.call("GET /api/v1/cluster/routing", "").await;
    let expected = json!({
        "algorithm": "sha256-mod/1", "clusterId": "c-1", "clusterShards": 2, "groups": {"default": 2},
        "shards": [
            {"shard": 0, "leader": 7, "httpUrl": "http://127.0.0.1:7000"},
            {"shard": 1, "leader": null, "httpUrl": null}
        ]
    });
    assert_eq!(routing.ok(), &expected);
}

#[tokio::test]
async fn a_head_is_answered_as_a_get_without_the_body() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    for path in ["a", "unknown", "/api/v1/info", "/metrics", "/docs/errors/TIMEOUT"] {
        let get = api.call(&format!("GET {path}"), "").await;
        let head = api.call(&format!("HEAD {path}"), "").await;
        assert_eq!((head.status, head.bytes.len(), head.operation), (get.status, 0, get.operation), "{path}");
        for name in ["etag", "content-type"] {
            assert_eq!(head.header(name), get.header(name), "{path}");
        }
    }
}

#[tokio::test]
async fn probes_and_metrics_answer_at_the_root_and_under_the_base_path() {
    let api = Api::new();
    for base in ["", "/api/v1"] {
        assert_eq!(api.call(&format!("GET {base}/healthz"), "").await.status, 200);
        assert_eq!(api.call(&format!("GET {base}/readyz"), "").await.ok()["ready"], true);
        assert_eq!(api.call(&format!("GET {base}/metrics"), "").await.bytes, b"# EOF\n");
    }
    api.set_ready(Some("starting"));
    let answer = api.call("GET /readyz", "").await;
    assert_eq!((answer.status.as_u16(), &answer.json), (503, &json!({"ready": false, "reason": "starting"})));
    assert_eq!(api.call("GET /healthz", "").await.status, 200);
}
