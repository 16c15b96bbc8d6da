//! Pages of a group's timers. What an index holds is the store's tests' affair, and what is merged over shards that of real
//! processes.

use std::time::Duration;

use node::backend::{Applied, BackendError};
use serde_json::Value;
use timer_core::command::AttemptResult;

use crate::support::{Answer, Api, timer};

const LIST: &str = "GET /api/v1/groups/default/timers";

async fn list(api: &Api, query: &str) -> Answer {
    api.call(&format!("{LIST}{query}"), "").await
}

fn ids(answer: &Answer) -> Vec<&str> {
    let timers = answer.ok()["timers"].as_array().unwrap();
    timers.iter().map(|timer| timer["id"].as_str().unwrap()).collect()
}

/// `a` to `e`, due in that order backwards; `b` is delivered and `d` cancelled.
async fn five() -> Api {
    let api = Api::new();
    for (n, id) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let body = format!(r#"{{"executeAt": "2026-11-25T10:0{}:00Z", "callbackUrl": "http://r/"}}"#, 9 - n);
        api.call(&format!("PUT {id}"), body).await.ok();
    }
    api.end_attempt("b", AttemptResult::Delivered);
    api.call("DELETE d", "").await.ok();
    api
}

#[tokio::test]
async fn a_list_shows_what_its_filters_let_through_in_its_order() {
    let api = five().await;
    assert_eq!(ids(&list(&api, "").await), ["a", "b", "c", "e"], "cancelled ones only if they are asked for");
    assert_eq!(ids(&list(&api, "?state=cancelled").await), ["d"]);
    assert_eq!(ids(&list(&api, "?state=delivered,cancelled").await), ["b", "d"]);
    assert_eq!(ids(&list(&api, "?orderBy=executeAt").await), ["e", "c", "b", "a"]);
    let hour = "executeAfter=2026-11-25T10:05:00Z&executeBefore=2026-11-25T12:09:00%2B02:00";
    assert_eq!(ids(&list(&api, &format!("?{hour}")).await), ["e", "c", "b"], "from and until before");
    assert_eq!(ids(&list(&api, "?idPrefix=b").await), ["b"]);
    assert_eq!(ids(&list(&api, "?idPrefix=x").await), [""; 0]);
    let shown = list(&api, "?idPrefix=a").await;
    let alone = api.call("GET a", "").await;
    assert_eq!(&shown.json["timers"][0], alone.ok(), "as a GET shows it");
}

#[tokio::test]
async fn pages_follow_each_other_while_timers_come_and_go() {
    let api = five().await;
    let first = list(&api, "?limit=2").await;
    assert_eq!(ids(&first), ["a", "b"]);
    // Behind and before the cursor, and the one that it names.
    api.call("PUT d2", timer("")).await.ok();
    api.call("PUT aa", timer("")).await.ok();
    api.call("DELETE b?purge=true", "").await.ok();
    let cursor = |answer: &Answer| answer.json["nextCursor"].as_str().map(str::to_owned);
    let next = list(&api, &format!("?limit=2&cursor={}", cursor(&first).unwrap())).await;
    assert_eq!(ids(&next), ["c", "d2"]);
    let last = list(&api, &format!("?limit=2&cursor={}", cursor(&next).unwrap())).await;
    assert_eq!((ids(&last), &last.json["nextCursor"]), (vec!["e"], &Value::Null));
    let other = list(&api, &format!("?state=dead&cursor={}", cursor(&first).unwrap())).await;
    assert_eq!(other.problem(), (400, "CURSOR_INVALID"));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let api = Api::new();
    assert_eq!(
        list(&api, "?orderBy=id&executeAfter=2026-11-25T10:05:00Z").await.problem(),
        (400, "INVALID_ARGUMENT")
    );
    assert_eq!(list(&api, "?limit=0").await.problem(), (422, "OUT_OF_RANGE"));
    assert_eq!(list(&api, "?cursor=x").await.problem(), (400, "CURSOR_INVALID"));
    assert_eq!(api.call("GET /api/v1/groups/other/timers", "").await.problem(), (404, "GROUP_NOT_FOUND"));
}

#[tokio::test]
async fn values_of_headers_are_shown_to_who_asks_for_them() {
    let api = Api::new();
    api.call("PUT a", timer(r#", "callbackHeaders": {"X-Key": "s3cret"}"#)).await.ok();
    let header = |answer: &Answer| answer.ok()["timers"][0]["callbackHeaders"]["x-key"].clone();
    assert_eq!(header(&list(&api, "").await), "[redacted]");
    assert_eq!(header(&list(&api, "?reveal=true").await), "s3cret");
}

#[tokio::test]
async fn a_list_without_a_shard_or_a_place_is_no_page() {
    let api = Api::with(
        true,
        node::http::HttpSettings {
            deadline: Duration::from_millis(50),
            ..node::http::HttpSettings::default()
        },
    );
    let reason = "an election is under way".to_owned();
    let (outcome, retry_after) = (Applied::NotApplied, Duration::from_secs(1));
    api.fail_next(BackendError::Unavailable { shard: 3, outcome, reason, retry_after });
    assert_eq!(list(&api, "").await.problem(), (503, "SHARD_UNAVAILABLE"));
    let place = api.lists.clone().acquire_owned().await.unwrap();
    assert_eq!(list(&api, "").await.problem(), (503, "OVERLOADED"));
    drop(place);
    list(&api, "").await.ok();
}
