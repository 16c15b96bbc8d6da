//! Bodies: every fault is found, the schema outranks the limits, and what was read is what was sent.

use node::http::input::{Rules, Sent, Shape, When, fingerprint};
use node::http::{UrlCheck, duration};
use node::rfc3339;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use timer_core::command::patch::RetryPatch;
use timer_core::definition::{BodyMode, DeadOn, LatePolicy, Method, Payload};
use timer_core::time::{Millis, Span};

use crate::support::{Api, START, timer};

#[tokio::test]
async fn every_fault_is_listed() {
    let api = Api::new();
    let body = r#"{
        "executeAt": "2026-13-01T00:00:00Z", "callbackUrl": "ftp://r", "callbackMethod": "HEAD",
        "callbackHeaders": {"Host": "x", "x-a": 1, "x-b": "[redacted]"}, "callbackTimeout": "0s",
        "callbackBody": "none", "payloadBase64": "???", "contentType": "text/plain",
        "retryPolicy": {"maxAttempts": 0, "maxAttempts": 1, "backoffMultiplier": "2", "jitter": 1.5, "deadOn": [200], "tries": 3},
        "latePolicy": "skip", "labels": {"": "x", "k": null}, "colour": "red", "callbackUrl": "http://r"
    }"#;
    let answer = api.call("PUT a", body).await;
    assert_eq!(answer.problem(), (400, "INVALID_ARGUMENT"));
    let mut fields = answer.fields();
    fields.sort_unstable();
    let expected = [
        "callbackBody",
        "callbackHeaders.Host",
        "callbackHeaders.x-a",
        "callbackHeaders.x-b",
        "callbackMethod",
        "callbackTimeout",
        "callbackUrl",
        "callbackUrl",
        "colour",
        "executeAt",
        "graceWindow",
        "labels.",
        "labels.k",
        "payloadBase64",
        "retryPolicy.backoffMultiplier",
        "retryPolicy.deadOn",
        "retryPolicy.jitter",
        "retryPolicy.maxAttempts",
        "retryPolicy.maxAttempts",
        "retryPolicy.tries",
    ];
    assert_eq!(fields, expected);
    assert!(!api.has_record("a"));
}

#[tokio::test]
async fn what_breaks_the_schema_is_400() {
    let api = Api::new();
    for (body, field) in [
        ("", "body"),
        ("[]", "body"),
        ("nonsense", "body"),
        (r#"{"delay": "1s""#, "body"),
        (r#"{"delay": "1s"} x"#, "body"),
        (&timer(r#", "id": "\u0000""#), "id"),
        (&timer(r#", "callbackTimeout": 5"#), "callbackTimeout"),
        (&timer(r#", "callbackTimeout": null"#), "callbackTimeout"),
        (&timer(r#", "callbackMethod": "post""#), "callbackMethod"),
        (&timer(r#", "callbackMethod": "GET", "payload": 1"#), "payload"),
        (&timer(r#", "payload": 1, "payloadBase64": "AA==", "contentType": "a/b""#), "payloadBase64"),
        (&timer(r#", "payloadBase64": "AA==""#), "contentType"),
        (&timer(r#", "contentType": "a/b""#), "contentType"),
        (&timer(r#", "payloadBase64": "AA==", "contentType": "text""#), "contentType"),
        (&timer(r#", "payloadBase64": "AA", "contentType": "a/b""#), "payloadBase64"),
        (&timer(r#", "retryPolicy": {"maxAttempts": 1.5}"#), "retryPolicy.maxAttempts"),
        (&timer(r#", "retryPolicy": {"maxAttempts": 1e1}"#), "retryPolicy.maxAttempts"),
        (&timer(r#", "retryPolicy": []"#), "retryPolicy"),
        (&timer(r#", "retryPolicy": {"deadOn": "5xx"}"#), "retryPolicy.deadOn"),
        (&timer(r#", "graceWindow": "1s""#), "graceWindow"),
        (&timer(r#", "latePolicy": "fire", "graceWindow": "1s""#), "graceWindow"),
        (&timer(r#", "labels": {"k": 1}"#), "labels.k"),
        (&timer(r#", "callbackHeaders": {"Timer-Id": "x"}"#), "callbackHeaders.Timer-Id"),
        (&timer(r#", "callbackHeaders": {"webhook-x": "x"}"#), "callbackHeaders.webhook-x"),
        (&timer(r#", "callbackHeaders": {"X-A": "1", "x-a": "1"}"#), "callbackHeaders.x-a"),
        (&timer(r#", "ID": "x""#), "ID"),
    ] {
        let answer = api.call("PUT a", body.to_owned()).await;
        assert_eq!((answer.problem(), answer.fields()), ((400, "INVALID_ARGUMENT"), vec![field]), "{body}");
    }
}

#[tokio::test]
async fn what_breaks_a_limit_is_422() {
    let api = Api::new();
    let long_url = format!(r#"{{"delay": "1s", "callbackUrl": "http://r/{}"}}"#, "a".repeat(2048));
    let many = |name: &str, n: usize| {
        let members: Vec<_> = (0..n).map(|n| format!(r#""k{n}": "v""#)).collect();
        timer(&format!(r#", "{name}": {{{}}}"#, members.join(",")))
    };
    let deep = format!(r#", "payload": {}{}"#, "[".repeat(101), "]".repeat(101));
    for (body, field) in [
        (long_url, "callbackUrl"),
        (timer(r#", "callbackTimeout": "301s""#), "callbackTimeout"),
        (timer(r#", "callbackTimeout": "999ms""#), "callbackTimeout"),
        (timer(r#", "retryPolicy": {"maxAttempts": 101}"#), "retryPolicy.maxAttempts"),
        (timer(r#", "retryPolicy": {"maxAttempts": -1}"#), "retryPolicy.maxAttempts"),
        (timer(r#", "retryPolicy": {"maxAttempts": 99999999999999999999}"#), "retryPolicy.maxAttempts"),
        (timer(r#", "retryPolicy": {"backoffMultiplier": 0.999}"#), "retryPolicy.backoffMultiplier"),
        (timer(r#", "retryPolicy": {"backoffMultiplier": 1.0005}"#), "retryPolicy.backoffMultiplier"),
        (timer(r#", "retryPolicy": {"jitter": -0.1}"#), "retryPolicy.jitter"),
        (timer(r#", "retryPolicy": {"initialInterval": "2h"}"#), "retryPolicy.maxInterval"),
        (timer(r#", "retryPolicy": {"deadOn": [600]}"#), "retryPolicy.deadOn"),
        (many("labels", 17), "labels"),
        (many("callbackHeaders", 21), "callbackHeaders"),
        (timer(&format!(r#", "labels": {{"k": "{}"}}"#, "v".repeat(64))), "labels.k"),
        (timer(&deep), "payload"),
    ] {
        let answer = api.call("PUT a", body.clone()).await;
        assert_eq!((answer.problem(), answer.fields()), ((422, "OUT_OF_RANGE"), vec![field]), "{body}");
    }
    assert_eq!(api.call("PUT a", many("labels", 16)).await.status, 201);
    assert_eq!(api.call("PUT a", many("callbackHeaders", 20)).await.status, 200);
}

#[tokio::test]
async fn the_schema_outranks_the_limits_and_both_are_listed() {
    let api = Api::new();
    let answer = api.call("PUT a", timer(r#", "callbackTimeout": "301s", "colour": 1"#)).await;
    assert_eq!(answer.problem(), (400, "INVALID_ARGUMENT"));
    assert_eq!(answer.fields(), ["callbackTimeout", "colour"]);
}

#[tokio::test]
async fn a_payload_of_the_largest_size_is_taken_and_one_byte_more_is_not() {
    let api = Api::new();
    let payload = |bytes: usize| timer(&format!(r#", "payload": "{}""#, "x".repeat(bytes - 2)));
    assert_eq!(api.call("PUT a", payload(262_144)).await.status, 201);
    let answer = api.call("PUT a", payload(262_145)).await;
    assert_eq!((answer.problem(), answer.fields()), ((413, "PAYLOAD_TOO_LARGE"), vec!["payload"]));
    let patch = format!(r#"{{"payload": "{}"}}"#, "x".repeat(262_143));
    assert_eq!(api.call("PATCH a", patch).await.problem(), (413, "PAYLOAD_TOO_LARGE"));
}

#[tokio::test]
async fn a_blocked_address_has_its_own_code() {
    let api = Api::new();
    let answer = api.call("PUT a", r#"{"delay": "1s", "callbackUrl": "http://blocked/"}"#).await;
    assert_eq!((answer.problem(), answer.fields()), ((422, "BLOCKED_ADDRESS"), vec!["callbackUrl"]));
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_refused() {
    let api = Api::new();
    let body = b"{\"delay\": \"1s\", \"callbackUrl\": \"http://r\", \"payload\": \"\xff\"}".to_vec();
    for line in ["PUT a", "POST ", "PATCH a"] {
        let answer = api.call(line, body.clone()).await;
        assert_eq!((answer.problem(), answer.fields()), ((400, "INVALID_ARGUMENT"), vec!["body"]), "{line}");
    }
}

#[test]
fn the_fingerprint_of_a_definition_stays_what_it_was() {
    let body = r#"{"executeAt": "2026-12-01T08:00:00Z", "callbackUrl": "https://r/x", "callbackMethod": "PUT",
        "callbackHeaders": {"B": "2", "A": "1"}, "callbackTimeout": "5s", "callbackBody": "payload",
        "payload": {"k": 1}, "retryPolicy": {"maxAttempts": 3, "deadOn": "4xx"}, "latePolicy": "skip",
        "graceWindow": "1m", "labels": {"k": "v"}}"#;
    let rules = Rules { now: START, url_check: &UrlCheck::new(|_| Ok(())) };
    let hash = fingerprint::of_sent(&Sent::read(body.as_bytes(), Shape::Whole, rules).unwrap()).0;
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "a265c4e72786c59eb51097b207c46d03");
}

/// `sent` as a client would write it.
fn render(sent: &Sent) -> String {
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let span = |span: Span| json!(duration::format(span));
    let milli = |n: u32| json!(f64::from(n) / 1000.0);
    set("id", sent.id.clone().map(Value::from));
    match sent.when {
        Some(When::At(at)) => set("executeAt", Some(json!(rfc3339::format(at)))),
        Some(When::After(delay)) => set("delay", Some(span(delay))),
        None => {}
    }
    set("callbackUrl", sent.url.clone().map(Value::from));
    set("callbackMethod", sent.method.map(|method| json!(format!("{method:?}").to_uppercase())));
    let headers: Map<_, _> = sent.headers.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    set("callbackHeaders", (!headers.is_empty()).then_some(Value::Object(headers)));
    set("callbackTimeout", sent.timeout.map(span));
    set("callbackBody", sent.body.map(|body| json!(format!("{body:?}").to_lowercase())));
    if let Some(Payload::Binary { bytes, content_type }) = &sent.payload {
        use base64::Engine as _;
        set("payloadBase64", Some(json!(base64::engine::general_purpose::STANDARD.encode(bytes))));
        set("contentType", Some(json!(content_type)));
    }
    let mut policy = Map::new();
    let mut retry = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            policy.insert(name.to_owned(), value);
        }
    };
    retry("maxAttempts", sent.retry.attempts_max.map(Value::from));
    retry("maxDuration", sent.retry.duration_max.map(span));
    retry("initialInterval", sent.retry.initial_interval.map(span));
    retry("backoffMultiplier", sent.retry.multiplier_milli.map(milli));
    retry("maxInterval", sent.retry.interval_max.map(span));
    retry("jitter", sent.retry.jitter_milli.map(milli));
    retry(
        "deadOn",
        sent.retry.dead_on.as_ref().map(|dead_on| match dead_on {
            DeadOn::Codes(codes) => json!(codes),
            DeadOn::All4xx => json!("4xx"),
        }),
    );
    set("retryPolicy", (!policy.is_empty()).then_some(Value::Object(policy)));
    match sent.late {
        Some(LatePolicy::Fire) => set("latePolicy", Some(json!("fire"))),
        Some(LatePolicy::Skip { grace_window }) => {
            set("latePolicy", Some(json!("skip")));
            set("graceWindow", Some(span(grace_window)));
        }
        None => {}
    }
    set("labels", (!sent.labels.is_empty()).then(|| json!(sent.labels)));
    let mut text = Value::Object(body).to_string();
    if let Some(Payload::Json(bytes)) = &sent.payload {
        text.pop();
        text.push_str(&format!(", \"payload\": {}}}", std::str::from_utf8(bytes).unwrap()));
    }
    text
}

fn retry_patches() -> impl Strategy<Value = RetryPatch> {
    let span = |max: u64| proptest::option::of((1..=max).prop_map(Span));
    let codes = proptest::collection::btree_set(300_u16..600, 0..20);
    let dead_on =
        prop_oneof![codes.prop_map(|c| DeadOn::Codes(c.into_iter().collect())), Just(DeadOn::All4xx)];
    (
        proptest::option::of(1_u32..=100),
        span(31_536_000_000),
        // Below the default of the longest wait, so that each may stand alone.
        span(3_600_000),
        proptest::option::of(1000_u32..=100_000),
        proptest::option::of((3_600_000_u64..=604_800_000).prop_map(Span)),
        proptest::option::of(0_u32..=1000),
        proptest::option::of(dead_on),
    )
        .prop_map(
            |(
                attempts_max,
                duration_max,
                initial_interval,
                multiplier_milli,
                interval_max,
                jitter_milli,
                dead_on,
            )| {
                RetryPatch {
                    attempts_max,
                    duration_max,
                    initial_interval,
                    multiplier_milli,
                    interval_max,
                    jitter_milli,
                    dead_on,
                }
            },
        )
}

fn payloads() -> impl Strategy<Value = Payload> {
    let json = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        ".*".prop_map(|text| Value::from(text).to_string()),
        proptest::collection::vec(any::<bool>(), 0..5).prop_map(|list| format!("{list:?}")),
        Just(r#"{ "a" : null }"#.to_owned()),
    ];
    let binary = (proptest::collection::vec(any::<u8>(), 0..50), "[a-z]{1,9}/[a-z+.]{1,9}");
    prop_oneof![
        json.prop_map(|text| Payload::Json(text.into_bytes().into())),
        binary.prop_map(|(bytes, content_type)| Payload::Binary { bytes: bytes.into(), content_type }),
    ]
}

fn definitions() -> impl Strategy<Value = Sent> {
    let when = prop_oneof![
        (0..START.0 + 315_576_000_000).prop_map(|ms| When::At(Millis(ms))),
        (0..=315_576_000_000_u64).prop_map(|ms| When::After(Span(ms))),
    ];
    let methods = prop_oneof![Just(Method::Post), Just(Method::Put), Just(Method::Patch)];
    let headers = proptest::collection::btree_map("x-[a-z0-9]{1,8}", "[!-Z^-~]{1,20}", 0..5)
        .prop_map(|map| map.into_iter().map(|(k, v)| (k, Some(v))).collect::<Vec<_>>());
    let labels = proptest::collection::btree_map(
        "\\PC{1,10}",
        proptest::option::of("\\PC{0,10}").prop_filter("set", Option::is_some),
        0..5,
    );
    let late = prop_oneof![
        Just(LatePolicy::Fire),
        (0..=315_576_000_000_u64).prop_map(|ms| LatePolicy::Skip { grace_window: Span(ms) }),
    ];
    (
        (proptest::option::of("[!-~é😀]{3,20}"), when, "https?://[a-z]{1,9}/[a-z]{0,9}"),
        (proptest::option::of(methods), headers, proptest::option::of((1000_u64..=300_000).prop_map(Span))),
        proptest::option::of(prop_oneof![Just(BodyMode::Envelope), Just(BodyMode::Payload)]),
        proptest::option::of(payloads()),
        retry_patches(),
        (proptest::option::of(late), labels),
    )
        .prop_map(
            |((id, when, url), (method, headers, timeout), body, payload, retry, (late, labels))| Sent {
                id,
                when: Some(when),
                url: Some(url),
                method,
                headers,
                timeout,
                body,
                payload,
                retry,
                late,
                labels,
            },
        )
}

proptest! {
    #[test]
    fn a_definition_written_out_and_read_again_is_the_same(sent in definitions()) {
        let check = UrlCheck::new(|_| Ok(()));
        let rules = Rules { now: START, url_check: &check };
        let text = render(&sent);
        let again = Sent::read(text.as_bytes(), Shape::Whole, rules);
        prop_assert!(again.is_ok(), "{}: {:?}", text, again);
        let again = again.unwrap();
        prop_assert_eq!(fingerprint::of_sent(&again).0, fingerprint::of_sent(&sent).0);
        prop_assert_eq!(again.definition(START).retry, sent.definition(START).retry);
        prop_assert_eq!(Sent { headers: vec![], ..again }, Sent { headers: vec![], ..sent });
    }
}
