//! Many operations in one request: each is what it would be alone, and fails alone.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use node::backend::{Applied, BackendError};
use node::http::HttpSettings;
use node::http::limits::BATCH_READ_MAX;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::operations::died;
use crate::support::{Answer, Api};

const BATCH: &str = "POST /api/v1/groups/default/batch";

/// A `put` or `create` with `more` members.
fn with_definition(op: &str, more: Value) -> Value {
    let mut all = json!({"op": op, "delay": "1m", "callbackUrl": "http://r/x"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

async fn batch(api: &Api, headers: &[(&str, &str)], operations: Value) -> Answer {
    api.call_with(BATCH, headers, json!({ "operations": operations }).to_string()).await
}

/// The results, each as its status and what stands in it: a timer's state, or a problem's code.
fn results(answer: &Answer) -> Vec<(u64, &str)> {
    let results = answer.ok()["results"].as_array().unwrap();
    let what = |result: &Value| match (result["timer"]["state"].as_str(), result["problem"]["code"].as_str())
    {
        (Some(state), None) => state.to_owned(),
        (None, Some(code)) => code.to_owned(),
        both => panic!("{both:?} of {result}"),
    };
    results.iter().map(|result| (result["status"].as_u64().unwrap(), leak(what(result)))).collect()
}

/// Tests are short.
fn leak(text: String) -> &'static str {
    text.leak()
}

#[tokio::test]
async fn each_operation_is_answered_in_its_place_as_it_would_be_alone() {
    let api = Api::new();
    let answer = batch(
        &api,
        &[],
        json!([
            with_definition("put", json!({"id": "a"})),
            with_definition("put", json!({"id": "a"})),
            with_definition("create", json!({"id": "a", "payload": 1})),
            with_definition("create", json!({})),
            {"op": "patch", "id": "a", "labels": {"k": "v"}},
            {"op": "get", "id": "a"},
            {"op": "get", "id": "b"},
            {"op": "fire", "id": "a"},
            {"op": "redrive", "id": "a"},
            {"op": "delete", "id": "a"},
            {"op": "delete", "id": "a", "purge": true},
            {"op": "get", "id": "a"},
        ]),
    )
    .await;
    assert_eq!(
        results(&answer),
        [
            (201, "scheduled"),
            (200, "scheduled"),
            (409, "TIMER_EXISTS"),
            (201, "scheduled"),
            (200, "scheduled"),
            (200, "scheduled"),
            (404, "TIMER_NOT_FOUND"),
            (200, "scheduled"),
            (409, "TIMER_NOT_FINISHED"),
            (200, "cancelled"),
            (200, "cancelled"),
            (404, "TIMER_NOT_FOUND"),
        ]
    );
    assert_eq!(answer.json["results"][5]["timer"]["labels"], json!({"k": "v"}));
    assert_eq!(answer.json["results"][5]["timer"]["attemptInFlight"], "no");
    assert!(api.has_record(answer.json["results"][3]["timer"]["id"].as_str().unwrap()));
}

#[tokio::test]
async fn a_dead_timer_is_redriven() {
    let api = Api::new();
    batch(&api, &[], json!([with_definition("put", json!({"id": "a"}))])).await.ok();
    api.end_attempt("a", died());
    assert_eq!(results(&batch(&api, &[], json!([{"op": "redrive", "id": "a"}])).await), [(200, "retrying")]);
}

#[tokio::test]
async fn an_operation_that_is_wrong_fails_alone_with_its_own_faults() {
    let api = Api::new();
    let answer = batch(
        &api,
        &[("x-request-id", "r-1")],
        json!([
            with_definition("put", json!({"id": "a", "callbackTimeout": "1h"})),
            {"op": "put", "id": "b"},
            with_definition("put", json!({})),
            {"op": "fire", "id": "c", "reveal": true},
            with_definition("put", json!({"id": "d"})),
        ]),
    )
    .await;
    let wrong = (400, "INVALID_ARGUMENT");
    assert_eq!(results(&answer), [(422, "OUT_OF_RANGE"), wrong, wrong, wrong, (201, "scheduled")]);
    let problem = |n: usize| &answer.json["results"][n]["problem"];
    assert_eq!(problem(0)["errors"][0]["field"], "callbackTimeout");
    assert_eq!(problem(1)["errors"].as_array().unwrap().len(), 2, "callbackUrl, and executeAt or delay");
    assert_eq!(problem(2)["errors"][0], json!({"field": "id", "message": "is needed"}));
    assert_eq!(problem(3)["errors"][0]["field"], "reveal");
    assert!((0..4).all(|n| problem(n)["requestId"] == "r-1"));
}

#[tokio::test]
async fn conditions_hold_for_their_operation() {
    let api = Api::new();
    let first = batch(&api, &[], json!([with_definition("put", json!({"id": "a"}))])).await;
    let version = first.ok()["results"][0]["timer"]["version"].as_u64().unwrap();
    api.begin_attempt("b", Duration::from_secs(30));
    let answer = batch(
        &api,
        &[],
        json!([
            with_definition("put", json!({"id": "a", "ifNoneMatch": "*", "payload": 1})),
            {"op": "patch", "id": "a", "ifMatch": version + 1, "labels": {"k": "v"}},
            {"op": "patch", "id": "a", "ifMatch": version, "labels": {"k": "v"}},
            {"op": "fire", "id": "a", "ifGeneration": version + 1},
            with_definition("put", json!({"id": "b", "ifMatch": "*"})),
            with_definition("put", json!({"id": "b"})),
            {"op": "delete", "id": "b", "ifInFlight": "refuse"},
        ]),
    )
    .await;
    let mismatch = (412, "VERSION_MISMATCH");
    assert_eq!(
        results(&answer),
        [
            mismatch,
            mismatch,
            (200, "scheduled"),
            mismatch,
            mismatch,
            (201, "scheduled"),
            (409, "ATTEMPT_IN_FLIGHT")
        ]
    );
}

#[tokio::test]
async fn ids_come_back_as_they_were_sent() {
    let api = Api::new();
    let ids = ["a/b", "a%2Fb", "?x", "a+b", " ", "ü\"😀", "#"];
    let puts: Vec<_> = ids.iter().map(|id| with_definition("put", json!({"id": id}))).collect();
    batch(&api, &[], json!(puts)).await.ok();
    let gets: Vec<_> = ids.iter().map(|id| json!({"op": "get", "id": id})).collect();
    let answer = batch(&api, &[], json!(gets)).await;
    for (result, id) in answer.ok()["results"].as_array().unwrap().iter().zip(ids) {
        assert_eq!(result["timer"]["id"], id);
    }
}

#[tokio::test]
async fn the_same_batch_with_its_key_does_nothing_again() {
    let api = Api::new();
    let key = [("idempotency-key", "k")];
    let operations = json!([
        with_definition("put", json!({"id": "a"})),
        {"op": "fire", "id": "a"},
        with_definition("create", json!({})),
        with_definition("create", json!({})),
        with_definition("create", json!({"idempotencyKey": "own"})),
    ]);
    let first = batch(&api, &key, operations.clone()).await;
    let again = batch(&api, &key, operations).await;
    let (first, again) = (&first.ok()["results"], &again.ok()["results"]);
    for n in 0..5 {
        assert_eq!((first[n].get("replayed"), &again[n]["replayed"]), (None, &json!(true)));
        assert_eq!(again[n]["status"], first[n]["status"]);
        for member in ["id", "generation", "version"] {
            assert_eq!(again[n]["timer"][member], first[n]["timer"][member], "{n}");
        }
    }
    assert_ne!(first[2]["timer"]["id"], first[3]["timer"]["id"], "each has a key of its own");
    let alone = api.call_with("POST ", &[("idempotency-key", "own")], crate::support::timer("")).await;
    assert_eq!(alone.ok()["id"], first[4]["timer"]["id"], "an operation's own key is as that of a request");
}

#[tokio::test]
async fn what_the_cluster_can_not_do_is_said_of_the_operation() {
    let api = Api::new();
    let retry_after = Duration::from_millis(1_500);
    let reason = "a test".to_owned();
    api.fail_next(BackendError::Unavailable { shard: 3, outcome: Applied::Unknown, reason, retry_after });
    let put = |id: &str| with_definition("put", json!({"id": id}));
    let answer = batch(&api, &[], json!([put("a"), put("b"), {"op": "get", "id": "panic"}])).await;
    assert_eq!(results(&answer), [(503, "SHARD_UNAVAILABLE"), (201, "scheduled"), (500, "INTERNAL")]);
    let failed = &answer.json["results"][0];
    assert_eq!((&failed["retryAfter"], &failed["problem"]["outcome"]), (&json!(2), &json!("unknown")));
}

#[tokio::test]
async fn what_has_not_begun_when_the_time_is_over_was_not_done() {
    let api = Api::with(true, HttpSettings { deadline: Duration::ZERO, ..HttpSettings::default() });
    let answer = batch(&api, &[], json!([with_definition("put", json!({"id": "a"}))])).await;
    assert_eq!(results(&answer), [(504, "TIMEOUT")]);
    assert_eq!(answer.json["results"][0]["problem"]["outcome"], "notApplied");
    assert!(!api.has_record("a"));
}

#[tokio::test]
async fn a_place_is_free_again_when_the_answer_has_gone_out() {
    let api = Api::new();
    for _ in 0..3 {
        assert_eq!(batch(&api, &[], json!([])).await.ok(), &json!({"results": []}));
    }
    assert_eq!(api.batches.acquire().await.unwrap().num_permits(), 1);
}

// Paused, so that the time for an answer that nobody reads is over at once.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_does_not_keep_its_place_for_ever() {
    let api = Api::new();
    let request =
        Request::post("/api/v1/groups/default/batch").body(Body::from(r#"{"operations": []}"#)).unwrap();
    let unread = api.router.clone().oneshot(request).await.unwrap();
    assert_eq!((unread.status(), api.batches.available_permits()), (200.try_into().unwrap(), 0));
    // The time of the batch itself, and then that for its answer.
    tokio::time::sleep(HttpSettings::default().deadline + BATCH_READ_MAX).await;
    batch(&api, &[], json!([])).await.ok();
    drop(unread);
}

// Paused, so that the body comes slower than a batch's time is long.
#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slowly_takes_nothing_off_the_time_of_its_operations() {
    let api = Api::new();
    let body = json!({"operations": [with_definition("put", json!({"id": "a"}))]}).to_string();
    let slowly = futures_util::stream::once(async move {
        tokio::time::sleep(HttpSettings::default().deadline * 2).await;
        Ok::<_, std::io::Error>(body)
    });
    assert_eq!(results(&api.call(BATCH, Body::from_stream(slowly)).await), [(201, "scheduled")]);
}

#[tokio::test]
async fn conditions_over_a_whole_batch_are_refused() {
    let api = Api::new();
    let answer = batch(&api, &[("if-match", "*")], json!([])).await;
    assert_eq!((answer.problem(), answer.fields()), ((400, "INVALID_ARGUMENT"), vec!["if-match"]));
}
