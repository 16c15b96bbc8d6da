//! Conditional requests: a condition holds, or nothing happens.

use crate::support::{Api, timer};

#[tokio::test]
async fn a_put_with_if_none_match_creates_only() {
    let api = Api::new();
    let only = [("if-none-match", "*")];
    assert_eq!(api.call_with("PUT a", &only, timer("")).await.status, 201);
    let refused = api.call_with("PUT a", &only, timer(r#", "payload": 1"#)).await;
    assert_eq!(refused.problem(), (412, "VERSION_MISMATCH"));
    assert_eq!(refused.json["version"], api.call("GET a", "").await.json["version"]);
    api.call("DELETE a", "").await.ok();
    assert_eq!(api.call_with("PUT a", &only, timer("")).await.status, 201);
}

#[tokio::test]
async fn if_match_replaces_one_version_only() {
    let api = Api::new();
    let tag = api.call("PUT a", timer("")).await.header("etag").to_owned();
    let list = format!("\"1\", {tag}");
    let second = api.call_with("PUT a", &[("if-match", &list)], timer(r#", "payload": 1"#)).await;
    assert_eq!(second.status, 200);
    for line in ["PUT a", "PATCH a", "DELETE a", "POST a/fire", "POST a/redrive"] {
        let body = match line {
            "PUT a" => timer(r#", "payload": 2"#),
            "PATCH a" => r#"{"payload": 2}"#.to_owned(),
            _ => String::new(),
        };
        let refused = api.call_with(line, &[("if-match", &tag)], body).await;
        assert_eq!(refused.problem(), (412, "VERSION_MISMATCH"), "{line}");
    }
    assert_eq!(api.call("GET a", "").await.header("etag"), second.header("etag"));
    let any = api.call_with("PUT unknown", &[("if-match", "*")], timer("")).await;
    assert_eq!(any.problem(), (412, "VERSION_MISMATCH"));
    assert!(!api.has_record("unknown"));
}

#[tokio::test]
async fn a_condition_that_can_not_be_understood_is_refused() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    for (name, value) in [
        ("if-match", "W/\"1\""),
        ("if-match", "1"),
        ("if-match", ""),
        ("if-none-match", "\"1\""),
        ("idempotency-key", ""),
        ("idempotency-key", "\u{e9}"),
        ("idempotency-key", &"x".repeat(256)),
    ] {
        let refused = api.call_with("DELETE a", &[(name, value)], "").await;
        assert_eq!(refused.problem(), (400, "INVALID_ARGUMENT"), "{name}: {value}");
        assert_eq!(refused.fields()[0].to_lowercase(), name);
    }
    let created = api.call_with("POST ", &[("if-match", "*")], timer("")).await;
    assert_eq!(created.problem(), (400, "INVALID_ARGUMENT"));
    assert_eq!(api.call("GET a", "").await.json["state"], "scheduled");
}

#[tokio::test]
async fn if_generation_guards_against_a_replaced_definition() {
    let api = Api::new();
    let first = api.call("PUT a", timer("")).await.json["generation"].clone();
    let second = api.call("PUT a", timer(r#", "payload": 1"#)).await.json["generation"].clone();
    for line in ["PATCH a", "DELETE a", "POST a/fire"] {
        let refused = api.call(&format!("{line}?ifGeneration={first}"), "{}").await;
        assert_eq!(refused.problem(), (412, "VERSION_MISMATCH"), "{line}");
    }
    assert_eq!(api.call(&format!("DELETE a?ifGeneration={second}"), "").await.status, 200);
}

#[tokio::test]
async fn query_parameters_that_are_not_known_are_refused() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    for (line, field) in [
        ("DELETE a?ifgeneration=1", "ifgeneration"),
        ("DELETE a?ifGeneration=x", "ifGeneration"),
        ("DELETE a?ifGeneration=+1", "ifGeneration"),
        ("DELETE a?ifGeneration=1&ifGeneration=1", "ifGeneration"),
        ("DELETE a?purge", "purge"),
        ("GET a?purge=true", "purge"),
        ("GET a?x=%FF", "x"),
        ("GET /api/v1/info?x=1", "x"),
    ] {
        let refused = api.call(line, "").await;
        assert_eq!((refused.problem(), refused.fields()), ((400, "INVALID_ARGUMENT"), vec![field]), "{line}");
    }
    assert_eq!(api.call("GET a", "").await.json["state"], "scheduled");
}

#[tokio::test]
async fn a_read_of_a_known_version_has_no_body() {
    let api = Api::new();
    let tag = api.call("PUT a", timer("")).await.header("etag").to_owned();
    let same = api.call_with("GET a", &[("if-none-match", &tag)], "").await;
    assert_eq!((same.status.as_u16(), same.bytes.len(), same.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(api.call_with("GET a", &[("if-none-match", "\"1\"")], "").await.status, 200);
    api.begin_attempt("a", std::time::Duration::from_secs(1));
    assert_eq!(api.call_with("GET a", &[("if-none-match", &tag)], "").await.status, 200);
}
