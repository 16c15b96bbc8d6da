//! A node that was away for longer than the others keep their log: it gets the state as snapshots, from real
//! processes over the real connection, and is a full member after it.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{eventually, sleep_until};
use super::cluster::Cluster;
use super::receiver::{Receiver, now_ms, rfc3339};

const WAIT: Duration = Duration::from_secs(40);
const SHARDS: u16 = 2;
/// The fewest entries that may be kept, and the shortest interval of the flush after which the rest is purged.
const SHORT_LOG: &str = "[raft]\nlog_keep_entries = 100\n[storage]\nflush_interval_ms = 1000\n";
/// Elections until the node leads: each is won by one of two.
const ELECTIONS_MAX: usize = 24;

/// How many snapshots the node has received and installed.
async fn received(cluster: &Cluster, node: usize) -> Option<usize> {
    let line = "timerd_snapshots_total{direction=\"received\",result=\"ok\"}";
    cluster.metric_if_up(node, line).await.map(|number| number as usize)
}

/// Creates `number` timers one after the other, so that each is an entry of its own.
async fn create(cluster: &Cluster, through: usize, prefix: &str, number: usize, body: &Value) {
    for n in 0..number {
        cluster.put_until_taken(through, &format!("{prefix}-{n}"), body).await;
    }
}

/// Waits until the others have purged what the node at `away` would need.
async fn wait_purged(cluster: &Cluster, node: usize, away: &[u64]) {
    eventually("the log is purged", WAIT, || async {
        let purged = purged(cluster, node).await;
        purged.iter().zip(away).all(|(purged, away)| purged > away).then_some(())
    })
    .await;
}

/// Up to where each shard's log is purged.
async fn purged(cluster: &Cluster, node: usize) -> Vec<u64> {
    by_shard(cluster, node, "timerd_raft_purged_index").await
}

/// How far each shard is applied.
async fn applied(cluster: &Cluster, node: usize) -> Vec<u64> {
    by_shard(cluster, node, "timerd_raft_applied_index").await
}

async fn by_shard(cluster: &Cluster, node: usize, gauge: &str) -> Vec<u64> {
    let mut all = Vec::new();
    for shard in 0..SHARDS {
        all.push(cluster.metric(node, &format!("{gauge}{{shard=\"{shard}\"}}")).await as u64);
    }
    all
}

/// Stops leaders of shard 0 until `node` is the one.
async fn make_leader(cluster: &mut Cluster, node: usize) {
    for _ in 0..ELECTIONS_MAX {
        let leader = cluster.leader_of(0).await;
        if leader == node {
            return;
        }
        cluster.nodes[leader].terminate_within(WAIT).await;
        cluster.wait_ready().await;
        let elected = cluster.leader_of(0).await;
        cluster.nodes[leader].start();
        cluster.wait_ready().await;
        if elected == node {
            return;
        }
    }
    panic!("{} was not elected in {ELECTIONS_MAX} elections", cluster.nodes[node].name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_missed_purged_entries_gets_snapshots_and_can_lead() {
    let mut cluster = Cluster::start_with(3, SHARDS, SHORT_LOG).await;
    let receiver = Receiver::start().await;
    let far = json!({"delay": "300d", "callbackUrl": receiver.url, "payload": {"order": 42}});
    create(&cluster, 0, "before", 200, &far).await;
    let left_at = applied(&cluster, 2).await;
    cluster.nodes[2].kill();

    create(&cluster, 0, "away", 700, &far).await;
    for n in 0..100 {
        assert_eq!(cluster.delete(1, &format!("before-{n}")).await.unwrap().status, 200);
    }
    let due = now_ms() + 30_000;
    let soon = json!({"executeAt": rfc3339(due), "callbackUrl": receiver.url});
    create(&cluster, 0, "due", 50, &soon).await;
    wait_purged(&cluster, 0, &left_at).await;
    wait_purged(&cluster, 1, &left_at).await;

    cluster.nodes[2].start();
    eventually("each shard has come as a snapshot", WAIT, || async {
        (received(&cluster, 2).await? >= usize::from(SHARDS)).then_some(())
    })
    .await;
    // The hard way, so that what was installed must be on the disk.
    cluster.nodes[2].kill();
    cluster.nodes[2].start();
    cluster.wait_ready().await;
    make_leader(&mut cluster, 2).await;
    println!("the node leads {} ms before what it got in a snapshot is due", due as i64 - now_ms() as i64);
    // With two of three, what the snapshot brought is what the cluster has.
    let other = 1;
    cluster.nodes[other].kill();

    for n in 0..700 {
        let timer = cluster.get(2, &format!("away-{n}")).await.unwrap();
        assert_eq!((timer.status, timer.json["state"].as_str()), (200, Some("scheduled")), "{}", timer.text);
    }
    for n in 0..200 {
        let timer = cluster.get(2, &format!("before-{n}")).await.unwrap();
        let state = if n < 100 { "cancelled" } else { "scheduled" };
        assert_eq!((timer.status, timer.json["state"].as_str()), (200, Some(state)), "{}", timer.text);
    }
    sleep_until(due).await;
    receiver.wait_until("every due timer", WAIT, |calls| calls.len() >= 50).await;
    for n in 0..50 {
        cluster.wait_for_state(2, &format!("due-{n}"), "delivered", WAIT).await;
    }
    let calls = receiver.calls();
    assert!(calls.iter().all(|call| call.at_ms >= due && call.id.starts_with("due-")), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_while_it_receives_a_snapshot_starts_over() {
    let mut cluster = Cluster::start_with(3, SHARDS, SHORT_LOG).await;
    let big = json!({"delay": "300d", "callbackUrl": "http://127.0.0.1:1/", "payload": "x".repeat(60_000)});
    let left_at = applied(&cluster, 2).await;
    cluster.nodes[2].kill();
    create(&cluster, 0, "big", 800, &big).await;
    wait_purged(&cluster, 0, &left_at).await;
    wait_purged(&cluster, 1, &left_at).await;

    let begun = |cluster: &Cluster| cluster.nodes[2].log().matches("receiving a snapshot").count();
    for round in 0..3 {
        let before = begun(&cluster);
        cluster.nodes[2].start();
        eventually("a transfer begins", WAIT, || async { (begun(&cluster) > before).then_some(()) }).await;
        // A little further into it each time.
        tokio::time::sleep(Duration::from_millis(15 * round)).await;
        cluster.nodes[2].kill();
    }
    let installed = cluster.nodes[2].log().matches("installed a snapshot").count();
    println!("killed in {} transfers; {installed} had been installed", begun(&cluster));
    assert!(installed < begun(&cluster), "no kill met a transfer");
    cluster.nodes[2].start();
    cluster.wait_ready().await;
    let reached = applied(&cluster, 0).await;
    eventually("the node has caught up", WAIT, || async {
        let applied = applied(&cluster, 2).await;
        applied.iter().zip(&reached).all(|(applied, reached)| applied >= reached).then_some(())
    })
    .await;
    cluster.nodes[0].kill();
    cluster.wait_ready().await;
    for n in 0..800 {
        assert_eq!(cluster.get(2, &format!("big-{n}")).await.unwrap().status, 200, "big-{n}");
    }
}
