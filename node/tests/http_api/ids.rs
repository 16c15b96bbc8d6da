//! Ids come back from every call as the bytes that were sent, or are refused at create (case C30).

use axum::http::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::{Api, timer};

fn good_ids() -> Vec<String> {
    let fixed = [
        "a/b",
        "a%2Fb",
        "a b",
        "a+b",
        "a:b",
        "?x",
        "#x",
        "a&b=c",
        "é",
        "e\u{301}",
        "😀",
        "...",
        "\"",
        "\\",
        "timers",
        "fire",
        "a/fire",
        "%",
        "%zz",
        "default",
        "~",
        "\u{fffd}",
        "\u{202e}abc",
    ];
    fixed.into_iter().map(str::to_owned).chain(["é".repeat(127), "x".repeat(255)]).collect()
}

#[tokio::test]
async fn an_id_in_a_path_is_the_same_bytes_in_every_answer() {
    let api = Api::new();
    for id in good_ids() {
        let path = utf8_percent_encode(&id, NON_ALPHANUMERIC).to_string();
        let put = api.call(&format!("PUT {path}"), timer("")).await;
        assert_eq!(put.status, 201, "{id:?}: {put:?}");
        for line in [format!("GET {path}"), format!("PATCH {path}"), format!("POST {path}/fire")] {
            let body = if line.starts_with("PATCH") { "{}" } else { "" };
            assert_eq!(api.call(&line, body).await.ok()["id"], id.as_str(), "{line}");
        }
        let location = put.header("location").to_owned();
        assert_eq!(api.call(&format!("DELETE {location}"), "").await.ok()["id"], id.as_str());
        assert!(api.has_record(&id));
    }
}

#[tokio::test]
async fn an_id_in_a_body_is_found_at_its_location() {
    let api = Api::new();
    for id in good_ids() {
        let body = timer(&format!(r#", "id": {}"#, Value::from(id.as_str())));
        let created = api.call("POST ", body).await;
        assert_eq!(created.status, 201, "{id:?}: {created:?}");
        let location = created.header("location").to_owned();
        assert_eq!(api.call(&format!("GET {location}"), "").await.ok()["id"], id.as_str());
    }
}

#[tokio::test]
async fn what_can_not_be_an_id_is_refused_at_create() {
    let api = Api::new();
    for path in
        [".", "..", "%2e%2e", "%2E", "a%00b", "%0A", "%FF", "%C3%28", "%", "%4", &"%C3%A9".repeat(128)]
    {
        // Some of these are no URI for the client's library either, but are for others.
        let Ok(request) =
            Request::put(format!("/api/v1/groups/default/timers/{path}")).body(timer("").into())
        else {
            continue;
        };
        assert_eq!(api.send(request).await.problem(), (400, "INVALID_ARGUMENT"), "{path}");
    }
    for id in
        [json!(""), json!("."), json!(".."), json!("a\0"), json!("\u{7f}"), json!("é".repeat(128)), json!(7)]
    {
        let answer = api.call("POST ", timer(&format!(r#", "id": {id}"#))).await;
        assert_eq!((answer.problem(), answer.fields()), ((400, "INVALID_ARGUMENT"), vec!["id"]), "{id}");
    }
    // Half of a surrogate pair is no character.
    let answer = api.call("POST ", timer(r#", "id": "\ud800""#)).await;
    assert_eq!((answer.problem(), answer.fields()), ((400, "INVALID_ARGUMENT"), vec!["id"]));
    assert_eq!(api.call("PUT /api/v1/groups/default/timers/", timer("")).await.status, 404);
}

#[tokio::test]
async fn an_id_in_the_body_of_a_put_must_be_the_one_in_the_path() {
    let api = Api::new();
    assert_eq!(api.call("PUT a%2Fb", timer(r#", "id": "a/b""#)).await.status, 201);
    let other = api.call("PUT a%2Fb", timer(r#", "id": "a%2Fb""#)).await;
    assert_eq!((other.problem(), other.fields()), ((400, "INVALID_ARGUMENT"), vec!["id"]));
}

#[tokio::test]
async fn a_timer_without_an_id_gets_one_and_can_be_deleted_at_its_location() {
    let api = Api::new();
    let created = api.call("POST ", timer("")).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.json["id"].as_str().unwrap().len(), 26);
    assert_eq!(created.header("etag"), format!("\"{}\"", created.json["version"]));
    let location = created.header("location").to_owned();
    let deleted = api.call(&format!("DELETE {location}"), "").await;
    assert_eq!(deleted.ok()["state"], "cancelled");
    let other = api.call("POST ", timer("")).await;
    assert_ne!(created.json["id"], other.json["id"]);
}

#[tokio::test]
async fn groups_other_than_the_default_are_not_there() {
    let api = Api::new();
    for (group, problem) in [
        ("orders", (404, "GROUP_NOT_FOUND")),
        ("Orders", (400, "INVALID_ARGUMENT")),
        ("-a", (400, "INVALID_ARGUMENT")),
        ("%FF", (400, "INVALID_ARGUMENT")),
    ] {
        for line in
            [format!("PUT /api/v1/groups/{group}/timers/a"), format!("POST /api/v1/groups/{group}/timers")]
        {
            assert_eq!(api.call(&line, timer("")).await.problem(), problem, "{line}");
        }
    }
    let encoded = api.call("PUT /api/v1/groups/%64efault/timers/a", timer("")).await;
    assert_eq!(encoded.ok()["group"], "default");
}
