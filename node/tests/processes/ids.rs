//! Ids of every kind: the same bytes back from every call, or refused at create.

use std::time::Duration;

use serde_json::json;

use super::cluster::Cluster;
use super::receiver::{Receiver, now_ms, rfc3339};

/// C30: created, fetched, cancelled, created again, fired: never created and unreachable.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_the_same_bytes_from_every_call() {
    let cluster = Cluster::start(1, 4).await;
    let receiver = Receiver::start().await;
    let longest = format!("{}x", "é".repeat(127));
    assert_eq!(longest.len(), 255);
    let ids = [
        "a/b",
        "a%2Fb",
        "a b",
        "a+b",
        "?x",
        "#x",
        "a:b",
        "...",
        "~",
        "%",
        "a;b=c",
        "a\\b",
        "\"q\"",
        "é",
        "e\u{301}",
        "😀",
        "👩\u{200d}🔬",
        "a%20b",
        " a",
        "timers/x/fire",
        &longest,
    ];
    for id in ids {
        let far = json!({"delay": "1h", "callbackUrl": receiver.url});
        let created = cluster.put(0, id, &far).await.unwrap();
        assert_eq!((created.status, created.json["id"].as_str()), (201, Some(id)), "{}", created.text);
        // By the very place that it says: what a client that knows no rules would use.
        let location = created.headers["location"].to_str().unwrap();
        let url = format!("{}{location}", cluster.nodes[0].url);
        let got = cluster.client.send("GET", &url, &[], None).await.unwrap();
        assert_eq!((got.status, got.json["id"].as_str()), (200, Some(id)), "{}", got.text);
        let deleted = cluster.client.send("DELETE", &url, &[], None).await.unwrap();
        assert_eq!((deleted.status, deleted.json["id"].as_str()), (200, Some(id)), "{}", deleted.text);
        assert_eq!(cluster.get(0, id).await.unwrap().json["state"], "cancelled");
    }
    let due = now_ms() + 1_000;
    for id in ids {
        let body = json!({"id": id, "executeAt": rfc3339(due), "callbackUrl": receiver.url});
        let url = format!("{}/api/v1/groups/default/timers", cluster.nodes[0].url);
        let created = cluster.client.send("POST", &url, &[], Some(&body)).await.unwrap();
        assert_eq!((created.status, created.json["id"].as_str()), (201, Some(id)), "{}", created.text);
    }
    receiver.wait_until("all fire", Duration::from_secs(10), |calls| calls.len() >= ids.len()).await;
    let by_id = receiver.by_id();
    for id in ids {
        assert_eq!(by_id.get(id).map(Vec::len), Some(1), "{id:?} of {:?}", by_id.keys());
        let done = cluster.wait_for_state(0, id, "delivered", Duration::from_secs(5)).await;
        assert_eq!(done["id"].as_str(), Some(id));
    }
}

/// C30: what a proxy or a terminal would change is refused, by path and by body, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_could_not_be_reached_is_refused() {
    let cluster = Cluster::start(1, 1).await;
    let body = json!({"delay": "1h", "callbackUrl": "http://127.0.0.1:1/"});
    let timers = format!("{}/api/v1/groups/default/timers", cluster.nodes[0].url);
    let too_long = "%C3%A9".repeat(128);
    let paths = ["..", ".", "%2E%2E", "%2e", "%00", "a%00b", "a%0Ab", "%7F", "%C3%28", "%", "%4", &too_long];
    for path in paths {
        let url = format!("{timers}/{path}");
        let put = cluster.client.send("PUT", &url, &[], Some(&body)).await.unwrap();
        assert_eq!(
            (put.status, &put.json["code"]),
            (400, &json!("INVALID_ARGUMENT")),
            "{path}: {}",
            put.text
        );
        assert_eq!(put.json["errors"][0]["field"], "id", "{path}: {}", put.text);
    }
    for id in ["..", ".", "", "\0", "a\0b", "a\nb", "\u{7f}", "\u{85}", &"é".repeat(128)] {
        let mut named = body.clone();
        named["id"] = json!(id);
        let post = cluster.client.send("POST", &timers, &[], Some(&named)).await.unwrap();
        assert_eq!(
            (post.status, &post.json["code"]),
            (400, &json!("INVALID_ARGUMENT")),
            "{id:?}: {}",
            post.text
        );
        assert_eq!(post.json["errors"][0]["field"], "id", "{id:?}: {}", post.text);
    }
}

/// C29: without an id the server makes one, and says where the timer is.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_without_id_gets_one_and_is_deleted_by_its_location() {
    let cluster = Cluster::start(3, 2).await;
    let url = |node: usize| format!("{}/api/v1/groups/default/timers", cluster.nodes[node].url);
    let body = json!({"executeAt": rfc3339(now_ms() + 3_600_000), "callbackUrl": "http://127.0.0.1:1/"});
    let created = cluster.client.send("POST", &url(0), &[], Some(&body)).await.unwrap();
    assert_eq!(created.status, 201, "{}", created.text);
    let (location, etag) = (&created.headers["location"], &created.headers["etag"]);
    let at = |node: usize| format!("{}{}", cluster.nodes[node].url, location.to_str().unwrap());
    let got = cluster.client.send("GET", &at(1), &[], None).await.unwrap();
    assert_eq!((got.status, &got.headers["etag"], &got.json["id"]), (200, etag, &created.json["id"]));
    let other = cluster.client.send("POST", &url(0), &[], Some(&body)).await.unwrap();
    assert_ne!(other.json["id"], created.json["id"], "without a key each is another timer");
    let keyed = [("idempotency-key", "k1")];
    let one = cluster.client.send("POST", &url(1), &keyed, Some(&body)).await.unwrap();
    let two = cluster.client.send("POST", &url(2), &keyed, Some(&body)).await.unwrap();
    assert_eq!((one.status, two.status, &one.json["id"]), (201, 201, &two.json["id"]), "{}", two.text);
    let deleted = cluster.client.send("DELETE", &at(2), &[], None).await.unwrap();
    assert_eq!((deleted.status, &deleted.json["state"]), (200, &json!("cancelled")), "{}", deleted.text);
    let after = cluster.client.send("GET", &at(0), &[], None).await.unwrap();
    assert_eq!(after.json["state"], "cancelled", "no stale read through another node");
}
