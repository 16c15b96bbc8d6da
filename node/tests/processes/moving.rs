//! Timers that are moved, cancelled and made again: the old time is over with the answer, the late policy goes with the timer,
//! and no node shows what was before.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, eventually, sleep_until};
use super::cluster::Cluster;
use super::receiver::{Receiver, now_ms, rfc3339};

const WAIT: Duration = Duration::from_secs(15);
const HOUR_MS: u64 = 3_600_000;

async fn patch(cluster: &Cluster, node: usize, id: &str, body: &Value) -> Answer {
    let (client, url) = (&cluster.client, cluster.timer(node, id));
    eventually("a PATCH is answered", WAIT, || async {
        let answer = client.send("PATCH", &url, &[], Some(body)).await.ok()?;
        (answer.status < 500).then_some(answer)
    })
    .await
}

/// C24: timers are moved by an hour 2 s, 200 ms, 20 ms and nothing before they are due. Silence at the old time, or the
/// answer has said that an attempt was on its way, or that the timer was delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_is_moved_is_silent_at_its_old_time_unless_the_answer_said_otherwise() {
    let cluster = Cluster::start(3, 2).await;
    let receiver = Receiver::start().await;
    let mut moved = Vec::new();
    for ahead in [2_000, 200, 20, 0] {
        let due = now_ms() + 2_500;
        let body = json!({"executeAt": rfc3339(due), "callbackUrl": receiver.url});
        let ids: Vec<String> = (0..12).map(|n| format!("{ahead}-{n}")).collect();
        let timers: Vec<(String, Value)> = ids.iter().map(|id| (id.clone(), body.clone())).collect();
        cluster.put_all(&timers).await;
        sleep_until(due - ahead).await;
        let later = json!({"executeAt": rfc3339(due + HOUR_MS)});
        let answers = ids.iter().enumerate().map(|(n, id)| patch(&cluster, n % 3, id, &later));
        let answers = futures_util::future::join_all(answers).await;
        moved.extend(ids.into_iter().zip(answers).map(|(id, answer)| (ahead, due, id, answer)));
    }
    // One in each shard, behind all that would have come.
    for id in ["last-1", "last-2", "last-3", "last-4"] {
        let body = json!({"executeAt": rfc3339(now_ms() + 500), "callbackUrl": receiver.url});
        cluster.put_until_taken(0, id, &body).await;
        receiver.wait_until(id, WAIT, |calls| calls.iter().any(|call| call.id == id)).await;
    }
    let by_id = receiver.by_id();
    let mut silent = 0;
    for (ahead, due, id, answer) in &moved {
        let calls = by_id.get(id).map(Vec::as_slice).unwrap_or_default();
        match (answer.status, answer.json["attemptInFlight"].as_str()) {
            (200, Some("no")) => {
                assert_eq!(calls.len(), 0, "{id} was moved {ahead} ms before: {calls:?}");
                assert_eq!(answer.json["executeAt"], rfc3339(due + HOUR_MS));
                silent += 1;
            }
            (200, Some("yes" | "possible")) => assert!(calls.len() <= 1, "{id}: {calls:?}"),
            (409, _) => {
                assert_eq!(answer.json["timer"]["state"], "delivered", "{id}: {}", answer.text);
                assert_eq!(calls.len(), 1, "{id}");
            }
            (status, word) => panic!("{id}: {status} {word:?} {}", answer.text),
        }
        assert!(*ahead < 2_000 || answer.json["attemptInFlight"] == "no", "{id}: {}", answer.text);
    }
    println!("of {} that were moved, {silent} with nothing on its way", moved.len());
}

/// C25: the window of `latePolicy: skip` goes by the time that the timer has, not by the one that it was made with.
#[tokio::test(flavor = "multi_thread")]
async fn the_grace_window_follows_a_timer_that_is_moved() {
    let cluster = Cluster::start(1, 1).await;
    let receiver = Receiver::start().await;
    let skip = |at_ms: u64| {
        let at = rfc3339(at_ms);
        json!({"executeAt": at, "callbackUrl": receiver.url, "latePolicy": "skip", "graceWindow": "2s"})
    };
    let now = now_ms();
    cluster.put_ok(0, "later", &skip(now + 1_500)).await;
    cluster.put_ok(0, "sooner", &skip(now + HOUR_MS)).await;
    // More than the window behind the time that they were made with, and on time by the one that they have now.
    for (id, at) in [("later", now + 4_500), ("sooner", now + 4_500)] {
        let answer = patch(&cluster, 0, id, &json!({"executeAt": rfc3339(at)})).await;
        assert_eq!(
            (answer.status, answer.json["attemptInFlight"].as_str()),
            (200, Some("no")),
            "{}",
            answer.text
        );
    }
    for id in ["later", "sooner"] {
        cluster.wait_for_state(0, id, "delivered", WAIT).await;
    }
    // Moved to a time that is over by more than the window.
    cluster.put_ok(0, "missed", &skip(now_ms() + HOUR_MS)).await;
    patch(&cluster, 0, "missed", &json!({"executeAt": rfc3339(now_ms() - 10_000)})).await;
    cluster.wait_for_state(0, "missed", "skipped", WAIT).await;
    let mut called: Vec<String> = receiver.calls().into_iter().map(|call| call.id).collect();
    called.sort();
    assert_eq!(called, ["later", "sooner"]);
}

/// C27: what was answered is seen through every node at once.
#[tokio::test(flavor = "multi_thread")]
async fn no_node_shows_what_was_before_an_answer() {
    let cluster = Cluster::start(3, 2).await;
    let far = |n: u64| json!({"executeAt": rfc3339(now_ms() + HOUR_MS), "callbackUrl": "http://127.0.0.1:1/", "payload": n});
    for round in 0..60_u64 {
        let node = usize::try_from(round % 3).unwrap();
        let seen = async |state: &str, generation: &Value| {
            let reads = futures_util::future::join_all((0..3).map(|node| cluster.get(node, "same"))).await;
            for (node, read) in reads.into_iter().enumerate() {
                let read = read.unwrap();
                let shown = (read.status, read.json["state"].as_str(), &read.json["generation"]);
                assert_eq!(
                    shown,
                    (200, Some(state), generation),
                    "round {round}, node {node}: {}",
                    read.text
                );
            }
        };
        let made = cluster.put_ok(node, "same", &far(2 * round)).await;
        seen("scheduled", &made["generation"]).await;
        let deleted = cluster.delete((node + 1) % 3, "same").await.unwrap();
        assert_eq!(deleted.status, 200, "{}", deleted.text);
        seen("cancelled", &made["generation"]).await;
        let again = cluster.put_ok((node + 2) % 3, "same", &far(2 * round + 1)).await;
        assert_ne!(again["generation"], made["generation"]);
        seen("scheduled", &again["generation"]).await;
    }
}
