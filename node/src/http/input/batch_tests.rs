//! What an operation becomes: the request that it would be alone.

use http_body_util::BodyExt as _;

use super::*;
use crate::http::problem::Code;

fn read(json: &str) -> Result<Operation, Problem> {
    Operation::read(&Bytes::copy_from_slice(json.as_bytes()))
}

/// The operation's request: method and target, headers as `name: value`, and body.
async fn request(json: &str) -> (String, Vec<String>, String) {
    let request = read(json).unwrap().into_request("default").unwrap();
    let (parts, body) = request.into_parts();
    let headers = parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    let body = body.collect().await.unwrap().to_bytes();
    (format!("{} {}", parts.method, parts.uri), headers.collect(), String::from_utf8(body.to_vec()).unwrap())
}

fn faults(json: &str) -> Vec<String> {
    let errors = read(json).unwrap_err().errors;
    errors.into_iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect()
}

#[tokio::test]
async fn conditions_go_where_they_stand_alone_and_the_rest_is_the_body_to_the_byte() {
    let (target, headers, body) = request(
        r#"{"op":"put", "id":"a/b", "ifMatch":17, "ifGeneration":3, "ifInFlight":"refuse", "idempotencyKey":"k 1",
            "delay":"1s", "payload":{ "n": 1.50, "n":2 }, "labels":{"op":"x"}}"#,
    )
    .await;
    assert_eq!(target, "PUT /api/v1/groups/default/timers/a%2Fb?ifGeneration=3&ifInFlight=refuse");
    assert_eq!(headers, ["if-match: \"17\"", "idempotency-key: k 1"]);
    assert_eq!(body, r#"{"delay":"1s","payload":{ "n": 1.50, "n":2 },"labels":{"op":"x"}}"#);
}

#[tokio::test]
async fn every_operation_has_its_request() {
    for (json, expected) in [
        (r#"{"op":"create","delay":"1s"}"#, "POST /api/v1/groups/default/timers"),
        (r#"{"op":"create","id":"a"}"#, "POST /api/v1/groups/default/timers"),
        (r#"{"op":"get","id":"a","reveal":true}"#, "GET /api/v1/groups/default/timers/a?reveal=true"),
        (r#"{"op":"patch","id":"a"}"#, "PATCH /api/v1/groups/default/timers/a"),
        (r#"{"op":"delete","id":"a","purge":false}"#, "DELETE /api/v1/groups/default/timers/a?purge=false"),
        (r#"{"op":"fire","id":"a"}"#, "POST /api/v1/groups/default/timers/a/fire"),
        (r#"{"op":"redrive","id":"ü"}"#, "POST /api/v1/groups/default/timers/%C3%BC/redrive"),
    ] {
        assert_eq!(request(json).await.0, expected, "{json}");
    }
    assert_eq!(request(r#"{"op":"create","id":"a\"b"}"#).await.2, r#"{"id":"a\"b"}"#);
    assert_eq!(request(r#"{"op":"delete","id":"a"}"#).await.2, "");
    assert_eq!(request(r#"{"op":"put","id":"a","ifNoneMatch":"*"}"#).await.1, ["if-none-match: *"]);
}

#[test]
fn what_is_wrong_with_an_operation_is_said_of_its_fields() {
    assert_eq!(faults("7"), ["operation: must be a JSON object"]);
    assert_eq!(faults("{}"), ["op: is needed"]);
    assert_eq!(faults(r#"{"op":"get"}"#), ["id: is needed"]);
    assert_eq!(faults(r#"{"op":"get","id":""}"#).len(), 1);
    assert_eq!(
        faults(r#"{"op":"fire","id":"a","payload":1,"ifMatch":"5","ifGeneration":"3"}"#),
        [
            "ifGeneration: must be a whole number",
            "ifMatch: must be \"*\", not \"5\"",
            "payload: is not a known field of this operation",
        ]
    );
    assert_eq!(
        faults(r#"{"op":"put","id":"a","ifMatch":[]}"#),
        ["ifMatch: must be a version's number or \"*\""]
    );
    assert_eq!(
        faults(r#"{"op":"put","id":"a","idempotencyKey":"\n"}"#),
        ["idempotencyKey: must be printable ASCII"]
    );
    assert_eq!(faults(r#"{"op":"put","id":"a","id":"b"}"#), ["id: is given twice"]);
}

#[test]
fn a_body_is_an_object_of_at_most_a_thousand_operations() {
    let fault = |body: &str| {
        let problem = operations(&Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
        (problem.code, problem.detail)
    };
    let of = |n: usize| format!("{{\"operations\":[{}]}}", vec!["7"; n].join(","));
    assert_eq!(operations(&of(BATCH_OPERATIONS_MAX).into()).unwrap().len(), BATCH_OPERATIONS_MAX);
    assert!(operations(&of(0).into()).unwrap().is_empty());
    assert_eq!(
        fault(&of(BATCH_OPERATIONS_MAX + 1)),
        (Code::OutOfRange, "operations: must not be more than 1000".to_owned())
    );
    assert_eq!(fault("{}").1, "operations: is needed");
    assert_eq!(fault("[]").1, "body: must be a JSON object");
    assert_eq!(fault(r#"{"operations":{}}"#).0, Code::InvalidArgument);
    assert_eq!(fault(r#"{"operations":[],"x":1}"#).1, "x: is not a known field");
}
