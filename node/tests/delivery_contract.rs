//! The callback as `api.yaml` describes it, held against the requests that the sender truly makes and against what
//! it makes of the answers that the contract shows.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on fails")]

mod delivery_support;
#[path = "http_api/schema.rs"]
mod schema;

use std::sync::LazyLock;

use delivery_support::*;
use node::delivery::{Attempt, SenderSettings};
use schema::{Whose, resolve};
use serde_json::{Value, json};
use timer_core::command::AttemptResult;
use timer_core::definition::{BodyMode, Payload};
use timer_core::secret::SecretBytes;

static CONTRACT: LazyLock<Value> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../api.yaml")).expect("api.yaml is YAML"));

/// The operation that the contract calls the callback.
fn callback() -> &'static Value {
    &CONTRACT["components"]["callbacks"]["Due"]["{$request.body#/callbackUrl}"]["post"]
}

/// What is wrong with `value` by `schema`, or nothing.
fn fault(schema: &Value, value: &Value) -> Option<String> {
    schema::fault(&schema::compile(&CONTRACT, schema, Whose::Answer), value)
}

/// What the contract says against a callback, or nothing.
fn objection(seen: &Seen) -> Option<String> {
    let mut listed = Vec::new();
    for parameter in callback()["parameters"].as_array().unwrap() {
        let parameter = resolve(&CONTRACT, parameter);
        let name = parameter["name"].as_str().unwrap().to_lowercase();
        let text = seen.headers.get(&name).map(|value| value.to_str().unwrap());
        if text.is_none() && parameter["required"] == json!(true) {
            return Some(format!("{name} is missing"));
        }
        if let Some(text) = text {
            let is_integer = resolve(&CONTRACT, &parameter["schema"])["type"] == "integer";
            let value = if is_integer { json!(text.parse::<u64>().unwrap()) } else { json!(text) };
            if let Some(fault) = fault(&parameter["schema"], &value) {
                return Some(format!("{name}: {fault}"));
            }
        }
        listed.push(name);
    }
    let ours = |name: &str| ["timer-", "webhook-", "trace"].iter().any(|prefix| name.starts_with(prefix));
    if let Some(name) = seen.headers.keys().find(|n| ours(n.as_str()) && !listed.contains(&n.to_string())) {
        return Some(format!("{name} is not listed"));
    }
    let json = seen.headers.get("content-type").is_some_and(|kind| kind == "application/json");
    let envelope = &callback()["requestBody"]["content"]["application/json"]["schema"];
    let body = if json { serde_json::from_slice(&seen.body).unwrap() } else { return None };
    fault(envelope, &body).map(|fault| format!("the body: {fault}"))
}

/// The request that `attempt` makes once `change` is done to it.
async fn seen(change: impl FnOnce(&mut Attempt)) -> Seen {
    let receiver = Receiver::start(|_| answer(204, &[], "")).await;
    let mut attempt = attempt(receiver.url());
    change(&mut attempt);
    sender(SenderSettings::default()).send(&attempt, always()).await.unwrap();
    let [seen] = receiver.seen().try_into().unwrap();
    seen
}

fn png() -> Payload {
    Payload::Binary { bytes: b"\x89PNG".as_slice().into(), content_type: "image/png".into() }
}

#[tokio::test]
async fn every_callback_is_one_that_the_contract_describes() {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let callbacks = [
        seen(|_| {}).await,
        seen(|attempt| attempt.timer.definition.payload = Payload::None).await,
        seen(|attempt| attempt.timer.definition.payload = png()).await,
        seen(|attempt| attempt.timer.key.id = "é/ ?".into()).await,
        seen(|attempt| {
            attempt.timer.definition.payload = png();
            attempt.timer.definition.callback.body = BodyMode::Payload;
        })
        .await,
        seen(|attempt| {
            (attempt.attempt, attempt.late_ms, attempt.manual) = (101, 86_400_000, true);
            attempt.fencing_token = u64::MAX >> 1;
            attempt.timer.deferrals = 1000;
            attempt.timer.traceparent = Some(traceparent.into());
        })
        .await,
        seen(|attempt| attempt.secrets = [1, 2, 3, 4, 5].map(|byte| SecretBytes::new([byte; 32])).to_vec())
            .await,
    ];
    for seen in &callbacks {
        assert_eq!(objection(seen), None, "{seen:?}");
    }
    assert_eq!(callbacks[5].headers["traceparent"], traceparent);
    assert_eq!(callbacks[5].headers["timer-manual"], "true");
    assert_eq!(callbacks[6].headers["webhook-signature"].to_str().unwrap().split(' ').count(), 5);
}

#[tokio::test]
async fn a_callback_that_the_contract_does_not_describe_is_found() {
    let right = seen(|_| {}).await;
    let spoilt = |change: fn(&mut Seen)| {
        let mut seen = right.clone();
        change(&mut seen);
        objection(&seen).expect("it was not found")
    };
    assert_eq!(spoilt(|seen| drop(seen.headers.remove("timer-attempt"))), "timer-attempt is missing");
    let other = |seen: &mut Seen| drop(seen.headers.insert("timer-colour", "red".parse().unwrap()));
    assert_eq!(spoilt(other), "timer-colour is not listed");
    let zero = |seen: &mut Seen| drop(seen.headers.insert("timer-attempt", "0".parse().unwrap()));
    assert!(spoilt(zero).starts_with("timer-attempt: "));
    assert!(spoilt(|seen| seen.body = r#"{"group":"default"}"#.into()).starts_with("the body: "));
}

#[tokio::test]
async fn the_answers_that_the_contract_shows_mean_what_it_says() {
    let content = &callback()["responses"]["2XX"]["content"]["application/json"];
    let examples = content["examples"].as_object().unwrap();
    for (name, example) in examples {
        assert_eq!(fault(&content["schema"], &example["value"]), None, "{name}");
        let body = example["value"].to_string();
        let receiver =
            Receiver::start(move |_| answer(200, &[("content-type", "application/json")], body.clone()))
                .await;
        let result =
            sender(SenderSettings::default()).send(&attempt(receiver.url()), always()).await.unwrap().result;
        let as_said = match name.as_str() {
            "delivered" => matches!(result, AttemptResult::Delivered),
            "again" => matches!(result, AttemptResult::DeliveredNext { payload: None, .. }),
            "failed" => matches!(result, AttemptResult::Failed { permanent: false, .. }),
            "notYet" => matches!(result, AttemptResult::Deferred { .. }),
            other => panic!("the example {other} is not known here"),
        };
        assert!(as_said, "{name}: {result:?}");
    }
    assert_eq!(examples.len(), 4);
}
