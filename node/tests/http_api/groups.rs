//! Groups: what their settings do to timers, how they are changed, and when they may be deleted. How copies get to shards is
//! the cluster's affair, and that of real processes.

use std::time::Duration;

use serde_json::json;
use timer_core::command::AttemptResult;

use crate::support::{Api, timer};

const GROUP: &str = "/api/v1/groups/orders";

/// With a group `orders` that is as usual.
async fn orders() -> Api {
    let api = Api::new();
    assert_eq!(api.call(&format!("PUT {GROUP}"), "{}").await.status, 201);
    api
}

fn of(line: &str) -> String {
    let (method, rest) = line.split_once(' ').unwrap();
    format!("{method} {GROUP}/timers{rest}")
}

#[tokio::test]
async fn a_group_is_made_read_changed_and_deleted() {
    let api = Api::new();
    let line = |method: &str| format!("{method} {GROUP}");
    assert_eq!(api.call(&line("GET"), "").await.problem(), (404, "GROUP_NOT_FOUND"));
    let made = api.call(&line("PUT"), r#"{"retention": "2h", "maxPending": 5}"#).await;
    assert_eq!((made.status.as_u16(), made.header("location")), (201, GROUP));
    let read = api.call(&line("GET"), "").await;
    assert_eq!((read.ok(), read.header("etag")), (&made.json, made.header("etag")));
    assert_eq!(read.json["shards"], 8, "all of the cluster's");
    let same = api.call(&line("PUT"), r#"{"retention": "120m", "maxPending": 5}"#).await;
    assert_eq!((same.status.as_u16(), &same.json), (200, &made.json), "the same settings change nothing");
    let patched = api.call(&line("PATCH"), r#"{"maxPending": null, "maxHorizon": "30d"}"#).await;
    let expected = json!({"retention": "2h", "maxPending": null, "maxHorizon": "30d"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&patched.ok()[name], value, "{name}");
    }
    assert_eq!(patched.json["generation"], made.json["generation"]);
    assert!(patched.json["version"].as_u64() > made.json["version"].as_u64());
    assert_eq!(api.call(&line("DELETE"), "").await.status, 204);
    assert_eq!(api.call(&line("GET"), "").await.problem(), (404, "GROUP_NOT_FOUND"));
    let again = api.call(&line("PUT"), "{}").await;
    assert_eq!(again.status, 201);
    assert!(
        again.json["generation"].as_u64() > patched.json["version"].as_u64(),
        "another group of this name"
    );
}

#[tokio::test]
async fn the_default_group_is_there_from_the_start_and_can_be_changed() {
    let api = Api::new();
    let line = |method: &str| format!("{method} /api/v1/groups/default");
    let read = api.call(&line("GET"), "").await;
    assert_eq!((&read.ok()["createdAt"], &read.json["deadRetention"]), (&json!(null), &json!("30d")));
    let etag = read.header("etag").to_owned();
    let condition = [("if-match", etag.as_str())];
    let changed = api.call_with(&line("PATCH"), &condition, r#"{"retention": "1h"}"#).await;
    assert_eq!(
        (changed.ok()["retention"].as_str(), &changed.json["generation"]),
        (Some("1h"), &read.json["generation"])
    );
    let late = api.call_with(&line("PATCH"), &condition, "{}").await;
    assert_eq!(late.problem(), (412, "VERSION_MISMATCH"));
    assert_eq!(api.call(&line("DELETE"), "").await.problem(), (400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn conditions_and_keys_hold_for_groups() {
    let api = orders().await;
    let line = |method: &str| format!("{method} {GROUP}");
    let create = [("if-none-match", "*")];
    assert_eq!(api.call_with(&line("PUT"), &create, "{}").await.problem(), (412, "VERSION_MISMATCH"));
    let stale = [("if-match", "\"7\"")];
    for (method, body) in [("PUT", "{}"), ("PATCH", "{}"), ("DELETE", "")] {
        let refused = api.call_with(&line(method), &stale, body).await;
        assert_eq!(refused.problem(), (412, "VERSION_MISMATCH"), "{method}");
    }
    let key = [("idempotency-key", "k")];
    let first = api.call_with(&line("PUT"), &key, r#"{"maxPending": 1}"#).await;
    api.call(&line("PUT"), r#"{"maxPending": 2}"#).await.ok();
    let again = api.call_with(&line("PUT"), &key, r#"{"maxPending": 1}"#).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (first.status, "true"));
    assert_eq!(again.json["maxPending"], 2, "as it is now");
    let other = api.call_with(&line("PUT"), &key, r#"{"maxPending": 3}"#).await;
    assert_eq!(other.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    let key = [("idempotency-key", "d")];
    assert_eq!(api.call_with(&line("DELETE"), &key, "").await.status, 204);
    assert_eq!(api.call_with(&line("DELETE"), &key, "").await.status, 204, "its first answer again");
    assert_eq!(api.call(&line("DELETE"), "").await.problem(), (404, "GROUP_NOT_FOUND"));
}

#[tokio::test]
async fn shards_are_fixed_and_settings_have_bounds() {
    let api = Api::new();
    let line = |method: &str| format!("{method} {GROUP}");
    for body in
        [r#"{"shards": 9}"#, r#"{"retention": "59m"}"#, r#"{"maxHorizon": "4000d"}"#, r#"{"shards": 0}"#]
    {
        assert_eq!(api.call(&line("PUT"), body).await.problem(), (422, "OUT_OF_RANGE"), "{body}");
    }
    api.call(&line("PUT"), r#"{"shards": 2}"#).await.ok();
    for (method, body) in [("PUT", r#"{"shards": 3}"#), ("PATCH", r#"{"shards": 3}"#)] {
        let refused = api.call(&line(method), body).await;
        assert_eq!(refused.problem(), (422, "OUT_OF_RANGE"), "{method}");
        assert_eq!(refused.json["errors"][0]["field"], "shards");
    }
    assert_eq!(api.call(&line("PUT"), "{}").await.ok()["shards"], 2, "it may be left out");
    assert_eq!(api.call(&line("PATCH"), r#"{"shards": 2}"#).await.status, 200);
}

#[tokio::test]
async fn timers_of_two_groups_have_nothing_to_do_with_each_other() {
    let api = orders().await;
    let here = api.call(&of("PUT /x"), timer("")).await;
    assert_eq!((here.status.as_u16(), &here.json["group"]), (201, &json!("orders")));
    assert_eq!(api.call("GET x", "").await.problem(), (404, "TIMER_NOT_FOUND"));
    api.call("PUT x", timer(r#", "payload": 1"#)).await.ok();
    assert_eq!(api.call(&of("GET /x"), "").await.ok()["payload"], json!(null));
    let listed = api.call(&of("GET "), "").await;
    assert_eq!(listed.ok()["timers"].as_array().map(Vec::len), Some(1));
    let batch = r#"{"operations": [{"op": "get", "id": "x"}]}"#;
    let read = api.call(&format!("POST {GROUP}/batch"), batch).await;
    assert_eq!(read.ok()["results"][0]["timer"]["group"], "orders");
}

#[tokio::test]
async fn a_group_that_holds_timers_is_not_deleted_and_goes_on() {
    let api = orders().await;
    api.call(&of("PUT /x"), timer("")).await.ok();
    api.call(&of("PUT /y"), timer("")).await.ok();
    api.call(&of("DELETE /y"), "").await.ok();
    let refused = api.call(&format!("DELETE {GROUP}"), "").await;
    assert_eq!(refused.problem(), (409, "GROUP_NOT_EMPTY"));
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(detail.contains("1 pending") && detail.contains("1 finished"), "{detail}");
    assert_eq!(api.call(&of("PUT /z"), timer("")).await.status, 201, "it takes timers as before");
    for id in ["x", "z"] {
        api.call(&of(&format!("DELETE /{id}")), "").await.ok();
    }
    for id in ["x", "y", "z"] {
        api.call(&of(&format!("DELETE /{id}?purge=true")), "").await.ok();
    }
    assert_eq!(api.call(&format!("DELETE {GROUP}"), "").await.status, 204);
    for line in ["PUT /x", "GET /x", "DELETE /x"] {
        let gone = api.call(&of(line), if line.starts_with("PUT") { timer("") } else { String::new() }).await;
        assert_eq!(gone.problem(), (404, "GROUP_NOT_FOUND"), "{line}");
    }
}

#[tokio::test]
async fn a_quota_bounds_what_is_pending() {
    let api = Api::new();
    // One of eight shards: its part of 8 is 1.
    api.call(&format!("PUT {GROUP}"), r#"{"maxPending": 8}"#).await.ok();
    api.call(&of("PUT /x"), timer("")).await.ok();
    for line in ["PUT /y", "POST "] {
        let full = api.call(&of(line), timer(if line == "POST " { r#", "id": "y""# } else { "" })).await;
        assert_eq!((full.problem(), full.header("retry-after")), ((429, "QUOTA_EXCEEDED"), "10"), "{line}");
    }
    api.call(&of("PUT /x"), timer(r#", "payload": 2"#)).await.ok();
    let batch = format!(r#"{{"operations": [{{"op": "put", "id": "y", {}]}}"#, &timer("")[1..]);
    let results = api.call(&format!("POST {GROUP}/batch"), batch).await;
    assert_eq!(results.ok()["results"][0]["problem"]["code"], "QUOTA_EXCEEDED");
    api.call(&of("DELETE /x"), "").await.ok();
    api.call(&of("PUT /y"), timer("")).await.ok();
}

/// C34 of the cases: the same verdict by every way.
#[tokio::test]
async fn the_horizon_is_exact_by_put_post_patch_and_batch() {
    let api = Api::new();
    api.call(&format!("PUT {GROUP}"), r#"{"maxHorizon": "365d"}"#).await.ok();
    let at =
        |second: u32| format!(r#""executeAt": "2027-11-25T10:00:0{second}Z", "callbackUrl": "http://r/""#);
    for (second, fits) in [(0, true), (1, false)] {
        let whole = at(second);
        let patch = format!(r#"{{"executeAt": "2027-11-25T10:00:0{second}Z"}}"#);
        api.call(&of("PUT /patched"), timer("")).await;
        let answers = [
            api.call(&of("PUT /put"), format!("{{{whole}}}")).await,
            api.call(&of("POST "), format!(r#"{{"id": "post{second}", {whole}}}"#)).await,
            api.call(&of("PATCH /patched"), patch).await,
            api.call(
                &of("PUT /delayed"),
                format!(r#"{{"delay": "365d{second}s", "callbackUrl": "http://r/"}}"#),
            )
            .await,
        ];
        for answer in &answers {
            let code = answer.json["code"].as_str();
            assert_eq!(
                (answer.status.is_success(), code),
                (fits, (!fits).then_some("OUT_OF_RANGE")),
                "{answer:?}"
            );
        }
        let batch = format!(r#"{{"operations": [{{"op": "put", "id": "b{second}", {whole}}}]}}"#);
        let results = api.call(&format!("POST {GROUP}/batch"), batch).await;
        assert_eq!(results.ok()["results"][0]["timer"].is_object(), fits, "{results:?}");
    }
}

#[tokio::test]
async fn groups_are_listed_by_name_in_pages() {
    let api = Api::new();
    for name in ["b", "a", "x", "gone"] {
        api.call(&format!("PUT /api/v1/groups/{name}"), "{}").await.ok();
    }
    assert_eq!(api.call("DELETE /api/v1/groups/gone", "").await.status, 204);
    let mut names = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = api.call(&format!("GET /api/v1/groups{query}"), "").await;
        let groups = page.ok()["groups"].as_array().unwrap();
        names.extend(groups.iter().map(|group| group["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.json["nextCursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["a", "b", "default", "x"]);
}

#[tokio::test]
async fn a_dead_timer_needs_room_to_be_redriven() {
    let api = Api::new();
    api.call("PATCH /api/v1/groups/default", r#"{"maxPending": 8}"#).await.ok();
    api.call("PUT x", timer("")).await.ok();
    api.begin_attempt("x", Duration::from_secs(30));
    api.end_attempt("x", crate::operations::died());
    api.call("PUT y", timer("")).await.ok();
    assert_eq!(api.call("POST x/redrive", "").await.problem(), (429, "QUOTA_EXCEEDED"));
    api.end_attempt("y", AttemptResult::Delivered);
    api.call("POST x/redrive", "").await.ok();
}

#[tokio::test]
async fn a_pause_is_shown_until_it_ends_and_a_new_setting_does_not_end_it() {
    let api = orders().await;
    let line = |verb: &str| format!("POST {GROUP}/{verb}");
    let read = || async { api.call(&format!("GET {GROUP}"), "").await.ok()["pausedAt"].clone() };
    assert_eq!(read().await, json!(null));
    let paused = api.call(&line("pause"), "").await;
    assert!(paused.ok()["pausedAt"].is_string());
    let again = api.call(&line("pause"), "").await;
    assert_eq!((again.ok(), again.header("etag")), (&paused.json, paused.header("etag")), "it begins once");
    api.call(&format!("PATCH {GROUP}"), r#"{"retention": "2h"}"#).await.ok();
    api.call(&format!("PUT {GROUP}"), "{}").await.ok();
    assert_eq!(read().await, paused.json["pausedAt"]);
    let resumed = api.call(&line("resume"), "").await;
    assert_eq!((&resumed.ok()["pausedAt"], resumed.status.as_u16()), (&json!(null), 200));
    let elsewhere = api.call("POST /api/v1/groups/none/pause", "").await;
    assert_eq!(elsewhere.problem(), (404, "GROUP_NOT_FOUND"));
}

#[tokio::test]
async fn a_paused_group_takes_timers_and_changes_but_delivers_nothing_now() {
    let api = orders().await;
    api.call(&of("PUT /t"), timer("")).await.ok();
    api.call(&format!("POST {GROUP}/pause"), "").await.ok();
    for (line, body) in [("PUT /u", timer("")), ("PATCH /t", r#"{"labels": {"a": "b"}}"#.into())] {
        api.call(&of(line), body).await.ok();
    }
    for line in ["POST /t/fire", "POST /u/fire"] {
        assert_eq!(api.call(&of(line), "").await.problem(), (409, "GROUP_PAUSED"), "{line}");
    }
    assert_eq!(api.call(&of("DELETE /u"), "").await.ok()["state"], "cancelled");
    api.call(&format!("POST {GROUP}/resume"), "").await.ok();
    api.call(&of("POST /t/fire"), "").await.ok();
}
