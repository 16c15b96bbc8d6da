//! What the client sends for each operation, and what it makes of the answers.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use durable_timer::model::cluster::ClockAdvance;
use durable_timer::{
    AttemptOutcome, BatchOperation, CallOptions, Client, Error, InFlight, ListOptions, ListOrder, Outcome,
    State, TimerInput, TimerName, TimerPatch, Trigger,
};
use http::Method;
use serde_json::json;
use support::{FakeServer, Step, problem, timer};

fn client(server: &FakeServer) -> Client {
    Client::builder().endpoint(&server.url).build().unwrap()
}

fn name() -> TimerName {
    TimerName::new("default", "a/b?c d")
}

const PATH: &str = "/api/v1/groups/default/timers/a%2Fb%3Fc%20d";

fn ok_json(body: &serde_json::Value) -> Step {
    Step::Answer(200, vec![("content-type", "application/json".into())], body.to_string())
}

#[tokio::test]
async fn put_sends_the_definition_to_the_encoded_path() {
    let server = FakeServer::start([timer(201, &json!({}))]).await;
    let input =
        TimerInput::after(Duration::from_millis(1500), "http://h/").json_payload(&json!({"x": 1})).unwrap();
    let answer = client(&server).put(&name(), &input, &CallOptions::default()).await.unwrap();

    let seen = server.only();
    assert_eq!((seen.method.clone(), seen.target.as_str()), (Method::PUT, PATH));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.json(), json!({"delay": "1s500ms", "callbackUrl": "http://h/", "payload": {"x": 1}}));
    assert_eq!(seen.header("idempotency-key").unwrap().len(), 32);
    assert!(answer.created && !answer.replayed);
    assert_eq!((answer.tries, answer.request_id.as_deref()), (1, Some("r1")));
    assert_eq!(answer.value.payload.unwrap().get(), r#"{"hello":"world"}"#);
    assert!(String::from_utf8_lossy(&answer.body).contains("aFieldOfTomorrow"));
}

#[tokio::test]
async fn conditions_travel_as_headers_and_query_parameters() {
    let server = FakeServer::start([timer(200, &json!({})), timer(200, &json!({}))]).await;
    let client = client(&server);
    let options = CallOptions {
        idempotency_key: Some("my key".into()),
        if_version: Some(4097),
        if_generation: Some(4096),
        refuse_in_flight: true,
        purge: true,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        request_id: Some("req-1".into()),
        ..CallOptions::default()
    };
    client.delete(&name(), &options).await.unwrap();
    let create = CallOptions { if_absent: true, ..CallOptions::default() };
    client.create("default", &TimerInput::at("2031-01-01T00:00:00Z", "http://h/"), &create).await.unwrap();

    let seen = server.seen();
    assert_eq!(seen[0].target, format!("{PATH}?ifGeneration=4096&ifInFlight=refuse&purge=true"));
    assert_eq!(seen[0].header("if-match"), Some("\"4097\""));
    assert_eq!(seen[0].header("idempotency-key"), Some("my key"));
    assert_eq!(seen[0].header("x-request-id"), Some("req-1"));
    assert!(seen[0].header("traceparent").is_some());
    assert!(seen[0].body.is_empty() && seen[0].header("content-type").is_none());
    assert_eq!(seen[1].target, "/api/v1/groups/default/timers");
    assert_eq!(seen[1].header("if-none-match"), Some("*"));
}

#[tokio::test]
async fn each_change_of_a_timer_has_its_method_and_path() {
    let server = FakeServer::start(vec![timer(200, &json!({"attemptInFlight": "possible"})); 3]).await;
    let client = client(&server);
    let patch = TimerPatch { delay: Some("1h".into()), ..TimerPatch::default() };
    let patched = client.patch(&name(), &patch, &CallOptions::default()).await.unwrap();
    client.fire(&name(), &CallOptions::default()).await.unwrap();
    client.redrive(&name(), &CallOptions::default()).await.unwrap();

    assert_eq!(patched.value.attempt_in_flight, Some(InFlight::Possible));
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(|s| format!("{} {}", s.method, s.target)).collect();
    assert_eq!(lines, [format!("PATCH {PATH}"), format!("POST {PATH}/fire"), format!("POST {PATH}/redrive")]);
    let mut keys: Vec<_> = seen.iter().map(|s| s.header("idempotency-key").unwrap()).collect();
    keys.dedup();
    assert_eq!(keys.len(), 3, "each call has a key of its own");
}

#[tokio::test]
async fn reads_carry_no_key() {
    let server = FakeServer::start([timer(200, &json!({"state": "of tomorrow"}))]).await;
    let options = CallOptions { reveal: true, ..CallOptions::default() };
    let answer = client(&server).get(&name(), &options).await.unwrap();
    assert_eq!(answer.value.state, State::Unknown);
    let seen = server.only();
    assert_eq!((seen.method.clone(), seen.target.clone()), (Method::GET, format!("{PATH}?reveal=true")));
    assert_eq!(seen.header("idempotency-key"), None);
}

#[tokio::test]
async fn the_cluster_its_routing_and_its_clock_are_read() {
    let server = FakeServer::start([
        ok_json(&json!({
            "name": "durable-timer", "version": "0.1.0", "apiVersion": "v1", "limits": {},
            "serverTime": "2026-11-25T10:00:00.000Z", "clusterId": "c", "clusterName": "dev",
            "nodeId": 1, "nodeName": "n1",
        })),
        ok_json(&json!({
            "clusterId": "c", "clusterName": "dev", "nodeId": 1, "nodeName": "n1",
            "nodes": [{"id": 1, "name": "n1", "peerAddress": "h:1", "httpUrl": "http://h:2",
                       "version": null, "reachable": true, "clockOffsetMs": -3}],
            "shards": [{"shard": 0, "leader": null, "term": 2, "voters": [1], "appliedIndex": 9, "healthy": false}],
            "healthy": false, "shardsWithoutQuorum": [0],
        })),
        ok_json(&json!({
            "algorithm": "sha256-mod/1", "clusterId": "c", "clusterShards": 1, "groups": {"default": 1},
            "shards": [{"shard": 0, "leader": 1, "httpUrl": "http://h:2"}],
        })),
        ok_json(&json!({"now": "2026-11-25T10:00:00.000Z"})),
        ok_json(&json!({"now": "2026-12-25T10:00:00.000Z"})),
    ])
    .await;
    let client = client(&server);
    assert_eq!(client.info().await.unwrap().value.node_name, "n1");
    let cluster = client.cluster().await.unwrap().value;
    assert_eq!((cluster.nodes[0].clock_offset_ms, cluster.shards[0].leader), (Some(-3), None));
    assert_eq!(client.routing().await.unwrap().value.shards[0].leader, Some(1));
    assert_eq!(client.clock().await.unwrap().value.now, "2026-11-25T10:00:00.000Z");
    let advanced = client.advance_clock(&ClockAdvance::By("30d".into())).await.unwrap();
    assert_eq!(advanced.value.now, "2026-12-25T10:00:00.000Z");
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(|s| format!("{} {}", s.method, s.target)).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v1/info",
            "GET /api/v1/cluster",
            "GET /api/v1/cluster/routing",
            "GET /api/v1/dev/clock",
            "POST /api/v1/dev/clock"
        ]
    );
    assert_eq!(seen[4].json(), json!({"by": "30d"}));
}

#[tokio::test]
async fn a_token_goes_along_with_every_request() {
    let server = FakeServer::start([timer(200, &json!({}))]).await;
    let client = Client::builder().endpoint(&server.url).token("t0ken").build().unwrap();
    client.get(&name(), &CallOptions::default()).await.unwrap();
    assert_eq!(server.only().header("authorization"), Some("Bearer t0ken"));
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_shows_every_fault() {
    let errors = json!({"errors": [{"field": "callbackUrl", "message": "is needed"}]});
    let server = FakeServer::start([problem(400, "INVALID_ARGUMENT", None, &errors)]).await;
    let input = TimerInput::after(Duration::ZERO, "");
    let error = client(&server).put(&name(), &input, &CallOptions::default()).await.unwrap_err();
    let Error::Refused(problem) = &error else { panic!("{error:?}") };
    assert_eq!(
        (problem.code.as_str(), problem.errors[0].field.as_str()),
        ("INVALID_ARGUMENT", "callbackUrl")
    );
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(error.to_string(), "INVALID_ARGUMENT (400): what is wrong");
    server.only();
}

#[tokio::test]
async fn after_a_fault_of_the_server_the_effect_of_a_change_is_unknown() {
    let server = FakeServer::start(vec![problem(500, "INTERNAL", None, &json!({})); 2]).await;
    let client = client(&server);
    let error = client.fire(&name(), &CallOptions::default()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    let error = client.get(&name(), &CallOptions::default()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
}

#[tokio::test]
async fn an_answer_of_something_else_is_told_apart() {
    let page = Step::Answer(404, vec![], "<html>\nnothing here".into());
    let server = FakeServer::start([page, ok_json(&json!({"hello": 1}))]).await;
    let client = client(&server);
    for expected in ["status 404", "status 200"] {
        let error = client.get(&name(), &CallOptions::default()).await.unwrap_err();
        assert!(matches!(error, Error::Answer { .. }), "{error:?}");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn what_no_header_can_hold_is_refused_before_it_is_sent() {
    let server = FakeServer::start([]).await;
    let options = CallOptions { idempotency_key: Some("a\nb".into()), ..CallOptions::default() };
    let error = client(&server).fire(&name(), &options).await.unwrap_err();
    assert!(matches!(error, Error::Request(_)), "{error:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_batch_has_each_operation_as_it_would_be_alone_and_gives_each_result() {
    let results = json!({"results": [
        {"status": 201, "replayed": true, "timer": support::timer_json(&json!({}))},
        {"status": 503, "retryAfter": 2, "problem": {"status": 503, "code": "SHARD_UNAVAILABLE", "outcome": "notApplied"}},
        {"status": 404, "problem": {"status": 404, "code": "TIMER_NOT_FOUND"}},
    ]});
    let server = FakeServer::start([ok_json(&results)]).await;
    let none = CallOptions::default();
    let conditions = CallOptions {
        idempotency_key: Some("own".into()),
        if_version: Some(4097),
        if_generation: Some(4096),
        refuse_in_flight: true,
        purge: true,
        ..CallOptions::default()
    };
    let payload = serde_json::value::RawValue::from_string(r#"{"n": 1.50, "n":2}"#.into()).unwrap();
    let input =
        TimerInput { payload: Some(payload), ..TimerInput::after(Duration::from_secs(60), "http://h/") };
    let operations = [
        BatchOperation::put("a/b", &input, &none).unwrap(),
        BatchOperation::create(&TimerInput::after(Duration::from_secs(60), "http://h/"), &none).unwrap(),
        BatchOperation::delete("a", &conditions).unwrap(),
        BatchOperation::from_json(r#"{"op":"get", "id":"a"}"#).unwrap(),
    ];
    let options = CallOptions { idempotency_key: Some("k".into()), if_version: Some(7), ..none };
    let answer = client(&server).batch("default", &operations, &options).await.unwrap();

    let seen = server.only();
    assert_eq!((seen.method.clone(), seen.target.as_str()), (Method::POST, "/api/v1/groups/default/batch"));
    assert_eq!((seen.header("idempotency-key"), seen.header("if-match")), (Some("k"), None));
    let sent = String::from_utf8_lossy(&seen.body);
    assert!(sent.contains(r#""payload":{"n": 1.50, "n":2}"#), "to the byte: {sent}");
    assert_eq!(seen.json()["operations"][0]["id"], "a/b");
    assert_eq!(
        seen.json()["operations"][1],
        json!({"op": "create", "delay": "1m", "callbackUrl": "http://h/"})
    );
    assert_eq!(
        seen.json()["operations"][2],
        json!({"op": "delete", "id": "a", "ifMatch": 4097, "ifGeneration": 4096, "ifInFlight": "refuse",
            "purge": true, "idempotencyKey": "own"})
    );
    let [done, open, missing] = answer.value.results.as_slice() else { panic!("{answer:?}") };
    assert!(done.replayed && done.timer.is_some() && !done.is_worth_a_repeat());
    assert!(open.is_worth_a_repeat() && open.retry_after == Some(2));
    assert_eq!(missing.problem.as_ref().unwrap().code, "TIMER_NOT_FOUND");
}

#[tokio::test]
async fn attempts_are_read_with_what_a_later_server_may_say() {
    let body = json!({"attempts": [
        {"generation": 4096, "number": 2, "trigger": "hope", "counted": false, "outcome": "vanished",
            "scheduledAt": "2031-01-01T00:00:00.000Z", "startedAt": "2031-01-01T00:00:00.001Z", "duration": "0s"},
        {"generation": 4096, "number": 1, "trigger": "redrive", "counted": true, "outcome": "deferred",
            "scheduledAt": "2031-01-01T00:00:00.000Z", "startedAt": "2031-01-01T00:00:00.001Z", "duration": "3ms",
            "nextExecuteAt": "2031-01-01T01:00:00.000Z", "statusCode": 200, "answer": "{}", "answerTruncated": true},
    ]});
    let server = FakeServer::start([ok_json(&body)]).await;
    // None of it belongs to this call.
    let options = CallOptions { reveal: true, purge: true, if_generation: Some(1), ..CallOptions::default() };
    let answer = client(&server).attempts(&TimerName::new("g", "a/b"), &options).await.unwrap();
    assert_eq!(server.only().target, "/api/v1/groups/g/timers/a%2Fb/attempts");
    let [unknown, deferred] = answer.value.attempts.as_slice() else { panic!("{answer:?}") };
    assert_eq!((unknown.trigger, unknown.outcome), (Trigger::Unknown, AttemptOutcome::Unknown));
    assert!(!unknown.counted && unknown.answer.is_none() && !unknown.answer_truncated);
    assert_eq!((deferred.trigger, deferred.outcome), (Trigger::Redrive, AttemptOutcome::Deferred));
    assert_eq!((deferred.answer.as_deref(), deferred.answer_truncated), (Some("{}"), true));
    assert_eq!(deferred.next_execute_at.as_deref(), Some("2031-01-01T01:00:00.000Z"));
}

#[tokio::test]
async fn a_list_is_asked_for_by_its_filters_and_read_page_by_page() {
    let page = json!({"timers": [], "nextCursor": "AQ-_"});
    let server =
        FakeServer::start([ok_json(&page), ok_json(&json!({"timers": [], "nextCursor": null}))]).await;
    let client = client(&server);
    let first = client.list("default", &ListOptions::default(), &CallOptions::default()).await.unwrap();
    let list = ListOptions {
        states: vec![State::Scheduled, State::Dead],
        id_prefix: Some("a/b&c".into()),
        execute_after: Some("2031-01-01T00:00:00+01:00".into()),
        execute_before: Some("2032-01-01T00:00:00Z".into()),
        order_by: Some(ListOrder::ExecuteAt),
        limit: Some(7),
        cursor: first.value.next_cursor,
    };
    let reveal = CallOptions { reveal: true, ..CallOptions::default() };
    let last = client.list("default", &list, &reveal).await.unwrap();
    assert_eq!(last.value.next_cursor, None);

    let seen = server.seen();
    assert_eq!(seen[0].target, "/api/v1/groups/default/timers");
    let query = "state=scheduled%2Cdead&idPrefix=a%2Fb%26c&executeAfter=2031-01-01T00%3A00%3A00%2B01%3A00\
                 &executeBefore=2032-01-01T00%3A00%3A00Z&orderBy=executeAt&limit=7&cursor=AQ-_&reveal=true";
    assert_eq!(seen[1].target, format!("/api/v1/groups/default/timers?{query}"));
}

#[tokio::test]
async fn a_signing_secret_is_shown_by_its_field_and_in_no_debug_output() {
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDb1F4rxWXhPg=";
    let made = json!({"id": "sec_7", "secret": secret, "createdAt": "2026-12-01T09:00:00.000Z"});
    let list = json!({"signingSecrets": [{"id": "sec_7", "createdAt": "2026-12-01T09:00:00.000Z"}]});
    let gone = Step::Answer(204, vec![], String::new());
    let server = FakeServer::start([ok_json(&made), ok_json(&list), gone]).await;
    let (client, options) = (client(&server), CallOptions::default());
    let answer = client.create_signing_secret("orders", &options).await.unwrap();
    assert_eq!(answer.value.secret, secret);
    let text = format!("{answer:?}");
    assert!(text.contains("sec_7") && !text.contains("C2FVsBQI"), "{text}");
    let listed = client.signing_secrets("orders", &options).await.unwrap().value.signing_secrets;
    assert_eq!(listed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["sec_7"]);
    client.delete_signing_secret("orders", "sec_7", &options).await.unwrap();
    let lines: Vec<_> = server.seen().iter().map(|s| format!("{} {}", s.method, s.target)).collect();
    let path = "/api/v1/groups/orders/signing-secrets";
    assert_eq!(lines, [format!("POST {path}"), format!("GET {path}"), format!("DELETE {path}/sec_7")]);
}
