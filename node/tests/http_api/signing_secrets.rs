//! Signing secrets of groups: shown once, listed by their ids, and nowhere else. What they do to callbacks is the
//! test `signatures`, of a real process.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use node::backend::{Applied, BackendError};
use serde_json::json;

use crate::support::{Answer, Api, timer};

const SECRETS: &str = "/api/v1/groups/orders/signing-secrets";

/// With a group `orders`.
async fn orders() -> Api {
    let api = Api::new();
    api.call("PUT /api/v1/groups/orders", "{}").await.ok();
    api
}

async fn make(api: &Api) -> Answer {
    let made = api.call(&format!("POST {SECRETS}"), "").await;
    assert_eq!(made.status, 201, "{:?}", made.json);
    made
}

async fn ids(api: &Api) -> Vec<String> {
    let listed = api.call(&format!("GET {SECRETS}"), "").await;
    let secrets = listed.ok()["signingSecrets"].as_array().unwrap();
    secrets.iter().map(|secret| secret["id"].as_str().unwrap().to_owned()).collect()
}

fn id(made: &Answer) -> String {
    made.json["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_secret_is_made_listed_and_deleted() {
    let api = orders().await;
    assert!(ids(&api).await.is_empty());
    let (old, new) = (make(&api).await, make(&api).await);
    let secret = old.json["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap();
    assert_eq!(STANDARD.decode(secret).unwrap().len(), 32);
    assert_ne!(old.json["secret"], new.json["secret"]);
    assert_eq!(old.json["createdAt"], "2026-11-25T10:00:00.000Z");
    assert_eq!(ids(&api).await, [id(&old), id(&new)], "the oldest first");
    let delete = format!("DELETE {SECRETS}/{}", id(&old));
    assert_eq!(api.call(&delete, "").await.status, 204);
    assert_eq!(ids(&api).await, [id(&new)]);
    assert_eq!(api.call(&delete, "").await.problem(), (404, "SIGNING_SECRET_NOT_FOUND"));
    for other in ["x", "7", "sec_", "sec_01", "%", "sec_99"] {
        let missing = api.call(&format!("DELETE {SECRETS}/{other}"), "").await;
        assert_eq!(missing.problem(), (404, "SIGNING_SECRET_NOT_FOUND"), "{other}");
    }
}

#[tokio::test]
async fn a_repeated_request_shows_the_secret_that_the_first_one_made() {
    let api = orders().await;
    let (key, line) = ([("idempotency-key", "k")], format!("POST {SECRETS}"));
    let first = api.call_with(&line, &key, "").await;
    make(&api).await;
    let again = api.call_with(&line, &key, "").await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.json, first.json);
    assert_eq!(ids(&api).await.len(), 2);
    let delete = format!("DELETE {SECRETS}/{}", id(&first));
    let of_delete = [("idempotency-key", "d")];
    for _ in 0..2 {
        assert_eq!(api.call_with(&delete, &of_delete, "").await.status, 204);
    }
    let other = format!("DELETE {SECRETS}/sec_7");
    assert_eq!(api.call_with(&other, &of_delete, "").await.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(api.call_with(&line, &key, "").await.problem(), (404, "SIGNING_SECRET_NOT_FOUND"));
}

#[tokio::test]
async fn a_group_has_five_secrets_at_the_most_and_keeps_them_when_its_settings_change() {
    let api = orders().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(id(&make(&api).await));
    }
    let more = api.call(&format!("POST {SECRETS}"), "").await;
    assert_eq!((more.problem(), more.fields()), ((422, "OUT_OF_RANGE"), vec!["signingSecrets"]));
    for (method, body) in [("PUT", r#"{"retention": "2h"}"#), ("PATCH", r#"{"maxPending": 7}"#)] {
        api.call(&format!("{method} /api/v1/groups/orders"), body).await.ok();
        assert_eq!(ids(&api).await, all, "{method}");
    }
    assert_eq!(api.call("DELETE /api/v1/groups/orders", "").await.status, 204);
    api.call("PUT /api/v1/groups/orders", "{}").await.ok();
    assert!(ids(&api).await.is_empty(), "it is another group");
}

#[tokio::test]
async fn the_default_group_can_sign_too_and_stays_what_it_was() {
    let api = Api::new();
    let before = api.call("GET /api/v1/groups/default", "").await;
    api.call("POST /api/v1/groups/default/signing-secrets", "").await.ok();
    let after = api.call("GET /api/v1/groups/default", "").await;
    for name in ["generation", "shards", "retention", "maxPending"] {
        assert_eq!(after.ok()[name], before.ok()[name], "{name}");
    }
    assert_ne!(after.json["version"], before.json["version"]);
}

#[tokio::test]
async fn what_has_no_meaning_for_a_secret_is_refused() {
    let api = orders().await;
    let made = id(&make(&api).await);
    for line in [format!("POST {SECRETS}"), format!("DELETE {SECRETS}/{made}")] {
        for condition in [("if-match", "\"7\""), ("if-match", "*"), ("if-none-match", "*")] {
            let refused = api.call_with(&line, &[condition], "").await;
            assert_eq!(refused.problem(), (400, "INVALID_ARGUMENT"), "{line} {condition:?}");
        }
        let body = api.call(&line, r#"{"secret": "own"}"#).await;
        assert_eq!(body.problem(), (400, "INVALID_ARGUMENT"), "{line}");
    }
    assert_eq!(ids(&api).await, [made]);
}

#[tokio::test]
async fn no_other_answer_shows_a_secret() {
    let api = orders().await;
    let made = make(&api).await;
    let text = made.json["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap().to_owned();
    api.call("PUT /api/v1/groups/orders/timers/x", timer("")).await.ok();
    let reads = [
        "GET /api/v1/groups",
        "GET /api/v1/groups/orders",
        "PUT /api/v1/groups/orders",
        "PATCH /api/v1/groups/orders",
        "DELETE /api/v1/groups/orders",
        "GET /api/v1/groups/orders/signing-secrets",
        "GET /api/v1/groups/orders/timers",
        "GET /api/v1/groups/orders/timers/x?reveal=true",
        "GET /api/v1/groups/orders/timers/x/attempts",
        "GET /api/v1/info",
        "GET /api/v1/cluster",
        "GET /api/v1/cluster/routing",
        "GET /metrics",
    ];
    for line in reads {
        let body = if line.starts_with("PUT") || line.starts_with("PATCH") {
            json!({}).to_string()
        } else {
            String::new()
        };
        let answer = api.call(line, body).await;
        let shown = format!("{}{:?}", String::from_utf8_lossy(&answer.bytes), answer.headers);
        assert!(!shown.contains(&text), "{line}: {shown}");
    }
}

/// What reads or changes them, as method and what follows `/signing-secrets`.
const LINES: [&str; 3] = ["POST ", "GET ", "DELETE /sec_7"];

fn of(group: &str, line: &str) -> String {
    let (method, rest) = line.split_once(' ').unwrap();
    format!("{method} /api/v1/groups/{group}/signing-secrets{rest}")
}

/// What `coverage` looks for.
pub async fn what_they_answer() -> Api {
    let api = Api::new();
    for line in LINES {
        assert_eq!(api.call(&of("a", line), "").await.problem(), (404, "GROUP_NOT_FOUND"), "{line}");
        let unknown = api.call(&of("a", &format!("{line}?x=1")), "").await;
        assert_eq!(unknown.problem(), (400, "INVALID_ARGUMENT"), "{line}");
    }
    api.call("PUT /api/v1/groups/a", "{}").await.ok();
    let key = [("idempotency-key", "k")];
    let made = api.call_with(&of("a", "POST "), &key, "").await;
    let id = made.ok()["id"].as_str().unwrap().to_owned();
    api.call(&of("a", "GET "), "").await.ok();
    for line in ["POST ", "DELETE /sec_7"] {
        for (name, value, status) in [("content-length", "1048577", 413), ("content-type", "text/plain", 415)]
        {
            let refused = api.call_with(&of("a", line), &[(name, value)], "").await;
            assert_eq!(refused.status, status, "{line}");
        }
    }
    let missing = api.call(&of("a", "DELETE /sec_7"), "").await;
    assert_eq!(missing.problem(), (404, "SIGNING_SECRET_NOT_FOUND"));
    let reused = api.call_with(&of("a", "DELETE /sec_7"), &key, "").await;
    assert_eq!(reused.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(api.call(&of("a", &format!("DELETE /{id}")), "").await.status, 204);
    let gone = api.call_with(&of("a", "POST "), &key, "").await;
    assert_eq!(gone.problem(), (404, "SIGNING_SECRET_NOT_FOUND"));
    let put = [("idempotency-key", "p")];
    api.call_with("PUT /api/v1/groups/a", &put, r#"{"maxPending": 9}"#).await.ok();
    let reused = api.call_with(&of("a", "POST "), &put, "").await;
    assert_eq!(reused.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    for _ in 0..5 {
        api.call(&of("a", "POST "), "").await.ok();
    }
    assert_eq!(api.call(&of("a", "POST "), "").await.problem(), (422, "OUT_OF_RANGE"));
    api
}

/// The same, of a cluster that fails.
pub async fn what_they_can_not_do() -> Api {
    let api = Api::new();
    let (reason, retry_after, outcome) = ("a test".to_owned(), Duration::from_secs(1), Applied::Unknown);
    for line in LINES {
        for error in [
            BackendError::Internal(reason.clone()),
            BackendError::Unavailable { shard: 3, outcome, reason: reason.clone(), retry_after },
            BackendError::Overloaded { reason: reason.clone(), retry_after },
            BackendError::TimedOut { outcome, waited: retry_after },
        ] {
            api.fail_next(error.clone());
            let failed = api.call(&of("default", line), "").await;
            assert!(failed.status.is_server_error(), "{line}: {error:?}");
        }
    }
    api.fail_next(BackendError::DiskFull);
    assert_eq!(api.call(&of("default", "POST "), "").await.problem(), (507, "DISK_FULL"));
    // `default` needs a record for its first.
    api.use_up_groups();
    assert_eq!(api.call(&of("default", "POST "), "").await.problem(), (429, "QUOTA_EXCEEDED"));
    api
}
