//! The history of attempts on a real cluster: what receivers truly answered, through any node, also after the leader that
//! recorded it has died.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::eventually;
use super::cluster::Cluster;
use super::receiver::{Receiver, Script, now_ms, rfc3339};

const WAIT: Duration = Duration::from_secs(20);

fn says(status: u16, body: &str) -> Script {
    Script { status, body: body.to_owned(), ..Script::default() }
}

/// The history of a timer through a node; none while there is no leader.
async fn history(cluster: &Cluster, node: usize, id: &str) -> Option<Vec<Value>> {
    let url = format!("{}/attempts", cluster.timer(node, id));
    let answer = cluster.client.send("GET", &url, &[], None).await.ok()?;
    (answer.status == 200).then(|| answer.json["attempts"].as_array().unwrap().clone())
}

fn due_now(receiver: &Receiver, attempts: u32) -> Value {
    json!({"executeAt": rfc3339(now_ms()), "callbackUrl": receiver.url, "retryPolicy": {
        "maxAttempts": attempts, "initialInterval": "200ms", "backoffMultiplier": 1, "jitter": 0}})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_timer_is_the_same_through_any_node_and_survives_its_leader() {
    let mut cluster = Cluster::start(3, 2).await;
    let long = "x".repeat(5_000);
    let answer = long.clone();
    let receiver = Receiver::scripted(move |call| match call.attempt {
        1 => says(503, "busy"),
        2 => says(500, &answer),
        3 => says(410, ""),
        _ => says(200, "thanks"),
    })
    .await;
    let put = cluster.put_ok(0, "a/b", &due_now(&receiver, 5)).await;
    cluster.wait_for_state(1, "a/b", "dead", WAIT).await;
    assert_eq!(cluster.post(2, "a/b", "redrive").await.status, 200);
    cluster.wait_for_state(0, "a/b", "delivered", WAIT).await;

    let first = history(&cluster, 0, "a/b").await.unwrap();
    let seen: Vec<_> = first
        .iter()
        .map(|a| {
            (a["number"].as_u64().unwrap(), a["trigger"].as_str().unwrap(), a["statusCode"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(seen, [(4, "redrive", 200), (3, "retry", 410), (2, "retry", 500), (1, "schedule", 503)]);
    let answers: Vec<_> = first.iter().map(|a| (&a["answer"], &a["answerTruncated"])).collect();
    let cut = json!(&long[..1_024]);
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(answers, [(&json!("thanks"), &no), (&json!(""), &no), (&cut, &yes), (&json!("busy"), &no)]);
    assert!(first.iter().all(|a| a["generation"] == put["generation"] && a["counted"] == true), "{first:?}");
    assert_eq!(first[3]["scheduledAt"], put["executeAt"]);
    for node in 1..3 {
        assert_eq!(history(&cluster, node, "a/b").await.unwrap(), first, "node {node}");
    }

    let leader = cluster.leader_of(usize::try_from(put["shard"].as_u64().unwrap()).unwrap()).await;
    cluster.nodes[leader].kill();
    let (cluster, node) = (&cluster, cluster.other_than(leader));
    let ask = || async move { history(cluster, node, "a/b").await };
    assert_eq!(eventually("a history after the leader died", WAIT, ask).await, first);
    let path = format!("{}/attempts", cluster.timer(node, "none"));
    let missing = cluster.client.send("GET", &path, &[], None);
    assert_eq!(missing.await.unwrap().json["code"], "TIMER_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_ends_after_the_cancel_is_history_only() {
    let cluster = Cluster::start(3, 1).await;
    let receiver =
        Receiver::scripted(|_| Script { delay: Duration::from_secs(2), ..says(200, "too late") }).await;
    let put = cluster.put_ok(0, "a", &due_now(&receiver, 5)).await;
    receiver.wait_until("the call has begun", WAIT, |calls| !calls.is_empty()).await;
    let cancelled = cluster.delete(1, "a").await.unwrap();
    assert_eq!(cancelled.json["attemptInFlight"], "yes", "{}", cancelled.text);
    let cluster = &cluster;
    let ask = || async move { history(cluster, 2, "a").await.filter(|attempts| !attempts.is_empty()) };
    let attempts = eventually("the outcome has come", WAIT, ask).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    let late = &attempts[0];
    assert_eq!((&late["generation"], &late["number"]), (&put["generation"], &json!(1)), "{late}");
    assert_eq!((&late["counted"], &late["outcome"]), (&json!(false), &json!("delivered")), "{late}");
    assert_eq!(late["answer"], "too late", "{late}");
    let timer = cluster.get(0, "a").await.unwrap().json;
    assert_eq!((&timer["state"], &timer["version"]), (&json!("cancelled"), &cancelled.json["version"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_last_attempts_are_kept_and_a_stopped_node_is_whole_with_them() {
    let mut cluster = Cluster::start(1, 1).await;
    let receiver = Receiver::scripted(|call| says(500, &format!("answer {}", call.attempt))).await;
    let mut timer = due_now(&receiver, 25);
    timer["retryPolicy"]["initialInterval"] = json!("20ms");
    cluster.put_ok(0, "a", &timer).await;
    cluster.wait_for_state(0, "a", "dead", WAIT).await;
    let attempts = history(&cluster, 0, "a").await.unwrap();
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (6..=25).rev().collect::<Vec<_>>());
    assert_eq!(attempts[0]["answer"], "answer 25");
    assert_eq!(cluster.nodes[0].terminate_within(super::cluster::END_MAX).await, Some(0));
    let whole = super::checking::check(&cluster.nodes[0].data, &[]);
    assert_eq!(whole.status.code(), Some(0), "{whole:?}");
    cluster.nodes[0].start();
    cluster.wait_ready().await;
    assert_eq!(history(&cluster, 0, "a").await.unwrap(), attempts);
}
