//! Every change may be repeated.

use crate::support::{Api, timer};

#[tokio::test]
async fn the_same_definition_again_changes_nothing() {
    let api = Api::new();
    let body = timer(r#", "payload": {"a": 1}, "callbackHeaders": {"x-a": "1", "x-b": "2"}"#);
    let first = api.call("PUT a", body).await;
    api.clock.advance(timer_core::time::Span(5000));
    // Another order, other white space, another spelling of the same span.
    let same = r#"{ "callbackHeaders": {"X-B": "2", "X-A": "1"}, "payload":{"a": 1},
        "callbackUrl": "http://r/x", "delay": "60s" }"#;
    let again = api.call("PUT a", same).await;
    assert_eq!((again.status.as_u16(), &again.json), (200, &first.json));
    let other = api.call("PUT a", same.replace("{\"a\": 1}", "{\"a\":1}")).await;
    assert_ne!(other.ok()["generation"], first.json["generation"], "the payload counts by its bytes");
}

#[tokio::test]
async fn a_default_that_is_written_out_is_another_definition() {
    let api = Api::new();
    let first = api.call("PUT a", timer("")).await;
    let written = api.call("PUT a", timer(r#", "callbackMethod": "POST""#)).await;
    assert_ne!(written.ok()["generation"], first.json["generation"]);
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer() {
    let api = Api::new();
    let key = [("idempotency-key", "k 1")];
    let first = api.call_with("PUT a", &key, timer("")).await;
    api.call("PATCH a", r#"{"payload": 2}"#).await.ok();
    let again = api.call_with("PUT a", &key, timer("")).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.json["generation"], first.json["generation"]);
    assert_eq!(again.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn a_key_with_another_request_is_refused() {
    let api = Api::new();
    let key = [("idempotency-key", "k1")];
    let tag = api.call_with("PUT a", &key, timer("")).await.header("etag").to_owned();
    let others = [
        api.call_with("PUT a", &key, timer(r#", "payload": 1"#)).await,
        api.call_with("PUT a", &[key[0], ("if-match", &tag)], timer("")).await,
        api.call_with("DELETE a", &key, "").await,
        api.call_with("POST a/fire", &key, "").await,
        api.call_with("PATCH a", &key, "{}").await,
    ];
    for other in others {
        assert_eq!(other.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    }
    assert_eq!(api.call("GET a", "").await.header("etag"), tag);
}

#[tokio::test]
async fn a_repeated_post_without_an_id_meets_the_same_timer() {
    let api = Api::new();
    let key = [("idempotency-key", "order-1")];
    let first = api.call_with("POST ", &key, timer("")).await;
    let again = api.call_with("POST ", &key, timer("")).await;
    assert_eq!((again.status.as_u16(), &again.json), (201, &first.json));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(
        api.call_with("POST ", &key, timer(r#", "payload": 1"#)).await.problem(),
        (422, "IDEMPOTENCY_KEY_REUSED")
    );
    let other = api.call_with("POST ", &[("idempotency-key", "order-2")], timer("")).await;
    assert_ne!(other.json["id"], first.json["id"]);
}

#[tokio::test]
async fn a_repeated_fire_or_patch_takes_effect_once() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    for (line, body) in [("POST a/fire", ""), ("PATCH a", r#"{"delay": "5m"}"#)] {
        let key = [("idempotency-key", line)];
        let first = api.call_with(line, &key, body).await;
        api.clock.advance(timer_core::time::Span(1000));
        let again = api.call_with(line, &key, body).await;
        assert_eq!(again.ok(), first.ok(), "{line}");
        assert_eq!(api.record("a").version.0, first.json["version"].as_u64().unwrap());
    }
}

#[tokio::test]
async fn a_request_without_a_key_gets_one_for_the_forwarder() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    let first = api.last_context().request.unwrap();
    api.call("PUT a", timer("")).await.ok();
    let second = api.last_context().request.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn what_belongs_to_the_request_is_passed_on() {
    let api = Api::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("x-request-id", "r-1"), ("traceparent", trace), ("idempotency-key", "k")];
    let answer = api.call_with("PUT a", &headers, timer("")).await;
    assert_eq!(answer.header("x-request-id"), "r-1");
    let context = api.last_context();
    assert_eq!((context.request_id.as_str(), context.traceparent.as_deref()), ("r-1", Some(trace)));
    assert_eq!(context.request.unwrap().id, "k");
    assert_eq!(api.record("a").traceparent.as_deref(), Some(trace));
    let odd = [("x-request-id", "a b"), ("traceparent", "00-0-0-0")];
    let answer = api.call_with("DELETE a", &odd, "").await;
    assert_eq!(answer.header("x-request-id").len(), 32);
    assert_eq!(api.last_context().traceparent, None);
}
