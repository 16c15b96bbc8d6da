//! Many timers at once: what they cost while they wait, and how soon those that are due go out under a new
//! leader. A tenth of the sizes by default; `TIMERD_TEST_FULL=1` has a million pending timers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::eventually;
use super::cluster::Cluster;
use super::receiver::{Call, Receiver, now_ms, rfc3339};
use super::sizes::scaled;

const MIB: u64 = 1 << 20;

fn pending() -> usize {
    scaled(100_000, 1_000_000)
}

/// So many timers that are due in thirty days.
async fn create_far_away(cluster: &Cluster, number: usize) {
    let body = json!({"delay": "30d", "callbackUrl": "http://127.0.0.1:1/", "payload": {"order": 42}});
    for begin in (0..number).step_by(1_000) {
        let some: Vec<(String, Value)> =
            (begin..number.min(begin + 1_000)).map(|n| (format!("far-{n}"), body.clone())).collect();
        cluster.put_all(&some).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_far_timers_cost_little_memory_and_a_short_start() {
    let number = pending();
    let mut cluster = Cluster::start(1, 8).await;
    let begun = Instant::now();
    create_far_away(&cluster, number).await;
    let rate = number as f64 / begun.elapsed().as_secs_f64();
    let full = cluster.metric(0, "process_resident_memory_bytes").await as u64;
    // The hard way, so that the log is read as well.
    cluster.nodes[0].kill();
    let killed = Instant::now();
    cluster.nodes[0].start();
    let url = format!("{}/readyz", cluster.nodes[0].url);
    eventually("the node is ready", Duration::from_secs(60), || async {
        cluster.client.send("GET", &url, &[], None).await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    let start = killed.elapsed();
    let last = cluster.get(0, &format!("far-{}", number - 1)).await.unwrap();
    let restarted = cluster.metric(0, "process_resident_memory_bytes").await as u64;
    println!(
        "{number} pending ({rate:.0}/s): {} MiB after the creates, ready {start:?} after a kill, then {} MiB",
        full / MIB,
        restarted / MIB
    );
    assert_eq!(last.status, 200);
    assert_eq!(last.json["state"], "scheduled");
    assert!(full < 400 * MIB, "{} MiB", full / MIB);
    assert!(restarted < 400 * MIB, "{} MiB", restarted / MIB);
    assert!(start < Duration::from_secs(10), "{start:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_with_many_pending_fires_what_is_due_within_a_second() {
    let (number, due_number) = (pending(), pending() / 100);
    // One shard: its leader has all of them.
    let mut cluster = Cluster::start(3, 1).await;
    let receiver = Receiver::start().await;
    create_far_away(&cluster, number).await;
    let due = now_ms() + 8_000 + due_number as u64;
    let body = json!({"executeAt": rfc3339(due), "callbackUrl": receiver.url});
    let timers: Vec<(String, Value)> = (0..due_number).map(|n| (format!("due-{n}"), body.clone())).collect();
    cluster.put_all(&timers).await;
    assert!(now_ms() + 500 < due, "the machine was too slow to create them before they are due");

    super::client::sleep_until(due - 300).await;
    let leader = cluster.leader_of(0).await;
    cluster.nodes[leader].kill();
    let killed_at = now_ms();
    let other = cluster.other_than(leader);
    let new_leader = eventually("another leads", Duration::from_secs(20), || async {
        let url = format!("{}/api/v1/cluster", cluster.nodes[other].url);
        let view = cluster.client.send("GET", &url, &[], None).await.ok()?.json;
        let id = view["shards"][0]["leader"].as_u64()?;
        let member = view["nodes"].as_array()?.iter().find(|n| n["id"].as_u64() == Some(id))?;
        let name = member["name"].as_str()?.to_owned();
        (name != cluster.nodes[leader].name).then_some(name)
    })
    .await;
    let won_at = now_ms();
    receiver
        .wait_until("all that are due", Duration::from_secs(60), |calls| distinct(calls) == due_number)
        .await;
    let calls = receiver.calls();
    let (first, last) = (calls[0].at_ms, calls[calls.len() - 1].at_ms);
    println!(
        "{number} pending, {due_number} due: {new_leader} led {} ms after the kill; first callback {} ms after \
         that, last {} ms",
        won_at - killed_at,
        first as i64 - won_at as i64,
        last as i64 - won_at as i64
    );
    assert!(calls.iter().all(|call| call.at_ms >= due), "early");
    assert!(first < won_at.max(due) + 1_000, "{} ms", first - won_at.max(due));
}

fn distinct(calls: &[Call]) -> usize {
    let mut ids: Vec<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}
