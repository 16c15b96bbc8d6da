//! The check against the contract bites: answers made wrong by hand are refused, each for its own reason. And the
//! contract itself is sound where no request shows it.

use axum::http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::contract::{Asked, CONTRACT};
use crate::schema::{self, Whose, resolve};
use crate::support::{Answer, Api, timer};

/// A request without a body.
fn asked(line: &str) -> Asked {
    let (method, path) = line.split_once(' ').unwrap();
    let path =
        if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/groups/default/timers/{path}") };
    Asked {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        uri: path.parse().unwrap(),
        content_type: None,
        body: Vec::new(),
    }
}

/// Why `answer` to `asked` is refused, once `spoil` is done to it; before that it is right.
fn refused(asked: &Asked, answer: &Answer, spoil: impl FnOnce(&mut Answer)) -> String {
    assert!(CONTRACT.verdict(asked, answer).is_ok(), "{:?}", CONTRACT.verdict(asked, answer));
    let mut spoilt = answer.clone();
    spoil(&mut spoilt);
    CONTRACT.verdict(asked, &spoilt).expect_err("it was not refused")
}

/// Does `change` to the body of an answer.
fn body(change: impl FnOnce(&mut Value)) -> impl FnOnce(&mut Answer) {
    |answer| {
        change(&mut answer.json);
        answer.bytes = serde_json::to_vec(&answer.json).unwrap();
    }
}

fn header(name: &'static str, value: Option<&'static str>) -> impl FnOnce(&mut Answer) {
    move |answer| match value {
        Some(value) => drop(answer.headers.insert(name, HeaderValue::from_static(value))),
        None => drop(answer.headers.remove(name)),
    }
}

async fn created() -> (Api, Answer) {
    let api = Api::new();
    let answer = api.call("PUT a", timer(r#", "payload": {"any": "thing"}"#)).await;
    (api, answer)
}

/// The request that made the timer, with a `body`.
fn put(body: &str) -> Asked {
    Asked { body: body.as_bytes().to_vec(), ..asked("PUT a") }
}

#[tokio::test]
async fn an_answer_that_breaks_the_contract_is_refused_with_the_place_and_the_reason() {
    let (api, answer) = created().await;
    let read = api.call("GET a", "").await;
    let get = asked("GET a");
    type Spoil = Box<dyn FnOnce(&mut Answer)>;
    let cases: [(Spoil, &str); 11] = [
        (
            Box::new(|answer| answer.status = StatusCode::ACCEPTED),
            "answered 202, but the status is not listed",
        ),
        (Box::new(body(|json| json["colour"] = json!("red"))), "at #: Additional properties"),
        (Box::new(body(|json| json["retryPolicy"]["tries"] = json!(1))), "at #/retryPolicy: Additional"),
        (Box::new(body(|json| json["version"] = json!("7"))), "at #/version: \"7\" is not of type"),
        (Box::new(body(|json| json["lastError"] = json!(7))), "at #/lastError: 7 is not of types"),
        (Box::new(body(|json| json["executeAt"] = json!("tomorrow"))), "at #/executeAt: "),
        (
            Box::new(body(|json| drop(json.as_object_mut().unwrap().remove("state")))),
            "at #: \"state\" is a req",
        ),
        (Box::new(|answer| answer.bytes.truncate(9)), "the body is not JSON"),
        (Box::new(header("content-type", Some("text/html"))), "the content type \"text/html\" is not listed"),
        (Box::new(header("etag", None)), "the header ETag is missing"),
        (Box::new(|answer| answer.operation = "unknown"), "metrics call the operation unknown"),
    ];
    for (spoil, reason) in cases {
        let breach = refused(&get, &read, spoil);
        let place = "getTimer (GET /api/v1/groups/default/timers/a) answered ";
        assert!(breach.starts_with(place) && breach.contains(reason), "{breach}");
    }
    let breach = refused(&put(&timer("")), &answer, header("location", None));
    assert!(breach.contains("putTimer") && breach.contains("the header Location is missing"), "{breach}");
    let breach = refused(&get, &read, header("x-request-id", Some("a b")));
    assert!(breach.contains("the header X-Request-Id is wrong at #: \"a b\" does not match"), "{breach}");
}

#[tokio::test]
async fn a_problem_of_another_code_is_refused() {
    let api = Api::new();
    let missing = api.call("DELETE a", "").await;
    let delete = asked("DELETE a");
    let breach = refused(&delete, &missing, body(|json| json["code"] = json!("ROUTE_NOT_FOUND")));
    assert!(breach.contains("at #/code: ROUTE_NOT_FOUND is none of this status's codes"), "{breach}");
    let breach = refused(&delete, &missing, body(|json| json["code"] = json!("NO_SUCH_CODE")));
    assert!(breach.contains("at #/code: \"NO_SUCH_CODE\" is not one of"), "{breach}");
    let breach = refused(&delete, &missing, body(|json| json["status"] = json!(410)));
    assert!(breach.contains("at #/status: 410 is another status"), "{breach}");
    let breach = refused(&delete, &missing, body(|json| json["timer"] = json!({"id": "a"})));
    assert!(breach.contains("at #/timer: "), "{breach}");
}

#[tokio::test]
async fn only_the_right_problem_stands_where_there_is_no_operation() {
    let api = Api::new();
    let unknown = api.call("GET /api/v2/info", "").await;
    let breach = refused(&asked("GET /api/v2/info"), &unknown, |answer| answer.status = StatusCode::GONE);
    assert!(breach.contains("answered 410, but 404 ROUTE_NOT_FOUND is what"), "{breach}");
    let method = api.call("DELETE /api/v1/info", "").await;
    for allow in ["GET", "GET,HEAD,POST", ""] {
        let breach = refused(&asked("DELETE /api/v1/info"), &method, header("allow", Some(allow)));
        assert!(breach.contains("Allow is \"") && breach.contains("must be {\"GET\", \"HEAD\"}"), "{breach}");
    }
    let code = body(|json| json["code"] = json!("ROUTE_NOT_FOUND"));
    let breach = refused(&asked("DELETE /api/v1/info"), &method, code);
    assert!(breach.contains("at #/code: it must be METHOD_NOT_ALLOWED"), "{breach}");
    // Only the paths of the manual clock may be missing.
    assert!(CONTRACT.verdict(&asked("DELETE /api/v1/info"), &unknown).is_err());
    assert!(CONTRACT.verdict(&asked("DELETE /api/v1/dev/clock"), &unknown).is_ok());
}

#[tokio::test]
async fn a_request_that_the_contract_forbids_must_not_have_been_taken() {
    let (api, answer) = created().await;
    for (body, reason) in [
        (timer(r#", "colour": "red""#), "refused at #: Additional properties"),
        (timer(r#", "callbackMethod": "HEAD""#), "refused at #/callbackMethod: "),
        (timer(r#", "payloadBase64": "AP8", "contentType": "a/b""#), "refused at #/payloadBase64: "),
        (timer(r#", "labels": null"#), "refused at #/labels: "),
        ("{".to_owned(), "the request's body is not JSON"),
    ] {
        assert!(CONTRACT.verdict(&put(&timer("")), &answer).is_ok());
        let breach = CONTRACT.verdict(&put(&body), &answer).unwrap_err();
        assert!(breach.contains(reason), "{breach}");
    }
    for media in ["text/plain", "application/merge-patch+json"] {
        let asked = Asked { content_type: Some(media.to_owned()), ..put(&timer("")) };
        let breach = CONTRACT.verdict(&asked, &answer).unwrap_err();
        assert!(breach.contains("media type") && breach.contains("is not listed"), "{breach}");
    }
    let parameter =
        Asked { uri: "/api/v1/groups/default/timers/a?purge=true".parse().unwrap(), ..put(&timer("")) };
    assert!(
        CONTRACT
            .verdict(&parameter, &answer)
            .unwrap_err()
            .contains("the query parameter purge is not listed")
    );
    let fired = api.call("POST a/fire", "{}").await;
    let with_body = Asked { body: b"{\"x\": 1}".to_vec(), ..asked("POST a/fire") };
    assert!(CONTRACT.verdict(&with_body, &fired).unwrap_err().contains("the operation takes no body"));
}

/// Does `visit` to every value of the contract.
fn walk<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Object(members) => members.values().for_each(|value| walk(value, visit)),
        Value::Array(items) => items.iter().for_each(|value| walk(value, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_example_of_the_contract_fits_its_schema() {
    let root = &CONTRACT.root;
    let mut examples = 0;
    walk(root, &mut |described| {
        let Some(schema) = described.get("schema") else { return };
        let named =
            described.get("examples").and_then(Value::as_object).into_iter().flat_map(|map| map.values());
        let named = named.map(|example| &resolve(root, example)["value"]);
        for example in named.chain(described.get("example")) {
            let validator = schema::compile(root, schema, Whose::Answer);
            assert_eq!(schema::fault(&validator, example), None, "{example}");
            examples += 1;
        }
    });
    assert!(examples > 15, "only {examples} examples were found");
}

#[test]
fn no_text_of_the_contract_has_swallowed_what_stands_below_it() {
    walk(&CONTRACT.root, &mut |value| {
        let text = value.as_str().unwrap_or_default();
        assert!(!text.contains("$ref:") && !text.contains("schema:"), "{text}");
    });
}
