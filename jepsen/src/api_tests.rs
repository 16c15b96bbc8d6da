//! Requests and answers as the API has them.

use super::*;
use crate::bounds::retry_policy;

fn told(status: u16, json: Value) -> Result<Told, NoAnswer> {
    let body = json.to_string().into();
    Ok(Told { status, headers: http::HeaderMap::new(), json, body })
}

#[test]
fn a_create_names_all_that_the_history_names_and_its_condition() {
    let definition = Definition {
        execute_at_ms: 1_767_225_600_007,
        payload: 7,
        label: 3,
        callback_timeout_ms: Some(CALLBACK_TIMEOUT_MS),
        retry: Some(retry_policy()),
    };
    let request = request("t-1", &Action::Create { definition }, Some("k1"));
    assert_eq!((request.method, request.path.as_str()), ("PUT", "/api/v1/groups/default/timers/t-1"));
    assert_eq!(request.headers, [("idempotency-key", "k1".to_owned()), ("if-none-match", "*".to_owned())]);
    let body = request.body.unwrap();
    assert_eq!(body["executeAt"], "2026-01-01T00:00:00.007Z");
    assert_eq!((body["payload"].as_u64(), body["labels"]["l"].as_str()), (Some(7), Some("3")));
    assert_eq!(body["retryPolicy"]["deadOn"], json!([410]));
}

#[test]
fn a_purge_and_a_compare_and_set_are_on_the_wire() {
    let purge = request("t", &Action::Delete { if_match: Some(9), purge: true }, None);
    assert_eq!((purge.method, purge.path.ends_with("?purge=true")), ("DELETE", true));
    assert_eq!(purge.headers, [("if-match", "\"9\"".to_owned())]);
    let patch = Patch { label: Some(5), ..Patch::default() };
    let patch = request("t", &Action::Patch { patch, if_match: None }, None);
    assert_eq!(patch.body, Some(json!({"labels": {"l": "5"}})));
}

#[test]
fn what_is_not_known_to_have_failed_is_unknown() {
    let never = NoAnswer { never_sent: true, detail: "refused".into() };
    assert!(matches!(outcome(Err(never)), Outcome::Refused(Refusal { status: 0, .. })));
    let lost = NoAnswer { never_sent: false, detail: "reset".into() };
    assert!(matches!(outcome(Err(lost)), Outcome::Unknown { .. }));
    let problem = |what: &str| json!({"code": "SHARD_UNAVAILABLE", "outcome": what});
    assert!(matches!(outcome(told(503, problem("notApplied"))), Outcome::Refused(_)));
    assert!(matches!(outcome(told(503, problem("unknown"))), Outcome::Unknown { .. }));
    assert!(matches!(outcome(told(500, json!({"code": "INTERNAL"}))), Outcome::Unknown { .. }));
    assert!(matches!(outcome(told(200, json!({}))), Outcome::Unknown { .. }));
}

#[test]
fn an_answer_shows_the_timer_and_a_refusal_the_one_in_its_way() {
    let timer = json!({
        "generation": 40, "version": 50, "state": "retrying", "executeAt": "2026-01-01T00:00:00.007Z",
        "attempts": 2, "attemptInFlight": "possible", "attemptInFlightUntil": "2026-01-01T00:00:02.007Z",
        "labels": {"l": "4"}, "payload": 6,
    });
    let Outcome::Ok(answer) = outcome(told(200, timer.clone())) else { panic!("not an answer") };
    assert_eq!((answer.generation, answer.version, answer.attempts), (40, 50, 2));
    assert_eq!((answer.state, answer.in_flight), (State::Retrying, InFlight::Possible));
    assert_eq!((answer.payload, answer.label), (Some(6), 4));
    assert_eq!(answer.in_flight_until_ms, Some(1_767_225_602_007));
    let problem = json!({"code": "TIMER_FINISHED", "version": 50, "timer": timer});
    let Outcome::Refused(refusal) = outcome(told(409, problem)) else { panic!("not a refusal") };
    assert_eq!((refusal.code.as_str(), refusal.version), ("TIMER_FINISHED", Some(50)));
    assert_eq!(refusal.timer.unwrap().status, 409);
}
