//! Three processes, leaders killed: nothing acknowledged is lost, nothing is early, duplicates are rare and
//! fenced. The full run (500 creates/s for 60 s) is `TIMERD_TEST_FULL=1`; by default it is a third as long.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;

use super::cluster::{Cluster, END_MAX};
use super::receiver::{Call, Receiver, Script, now_ms, rfc3339};
use super::sizes::scaled;

/// Timers whose create was acknowledged: id and due time.
type Acknowledged = Arc<Mutex<HashMap<String, u64>>>;

/// Creates `rate` timers a second through all nodes in turn until `stop`, each due 2 to 8 s later. A create
/// without an answer is repeated at the next node under the same id; only 2xx counts.
async fn create_steadily(
    urls: Vec<String>,
    client: super::client::Client,
    receiver: String,
    rate: u64,
    stop: Arc<AtomicBool>,
    acknowledged: Acknowledged,
) {
    let mut interval = tokio::time::interval(Duration::from_micros(1_000_000 / rate));
    let number = AtomicU64::new(0);
    let mut creates = tokio::task::JoinSet::new();
    while !stop.load(Ordering::Relaxed) {
        interval.tick().await;
        let n = number.fetch_add(1, Ordering::Relaxed);
        let (urls, client, receiver) = (urls.clone(), client.clone(), receiver.clone());
        let acknowledged = acknowledged.clone();
        creates.spawn(async move {
            let id = format!("t{n}");
            let due = now_ms() + 2_000 + (n * 7919) % 6_000;
            let body = json!({"executeAt": rfc3339(due), "callbackUrl": receiver, "callbackTimeout": "2s"});
            for attempt in 0..20 {
                let node = (n as usize + attempt) % urls.len();
                let url = format!("{}/api/v1/groups/default/timers/{id}", urls[node]);
                match client.send("PUT", &url, &[], Some(&body)).await {
                    Ok(answer) if answer.status < 300 => {
                        acknowledged.lock().insert(id, due);
                        return;
                    }
                    Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
    }
    while creates.join_next().await.is_some() {}
}

/// How long it takes until a write of `shard` is taken again.
async fn first_write_after_kill(cluster: &Cluster, through: usize, killed: Instant) -> Duration {
    let body = json!({"delay": "3000d", "callbackUrl": "http://127.0.0.1:1/"});
    for n in 0.. {
        let id = format!("after-{}-{n}", now_ms());
        if cluster.put(through, &id, &body).await.is_ok_and(|answer| answer.status < 300) && n >= 15 {
            // Sixteen ids meet every one of four shards with near certainty.
            return killed.elapsed();
        }
    }
    unreachable!("the loop has no other end")
}

struct Verdict {
    lost: Vec<String>,
    early: usize,
    duplicates: usize,
    unfenced: usize,
    lateness: Vec<u64>,
}

fn judge(acknowledged: &HashMap<String, u64>, receiver: &Receiver) -> Verdict {
    let by_id = receiver.by_id();
    let lost = acknowledged.keys().filter(|id| !by_id.contains_key(*id)).cloned().collect();
    let mut verdict = Verdict { lost, early: 0, duplicates: 0, unfenced: 0, lateness: Vec::new() };
    for calls in by_id.values() {
        let first = &calls[0];
        verdict.lateness.push(first.at_ms.saturating_sub(first.scheduled_ms));
        verdict.early += calls.iter().filter(|call| call.at_ms < call.scheduled_ms).count();
        verdict.duplicates += calls.len() - 1;
        verdict.unfenced += calls.windows(2).filter(|pair| pair[1].token <= pair[0].token).count();
    }
    verdict.lateness.sort_unstable();
    verdict
}

fn percentile(sorted: &[u64], share: f64) -> u64 {
    let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_leaders_are_killed() {
    let (rate, seconds) = scaled((200, 24), (500, 60));
    let mut cluster = Cluster::start(3, 4).await;
    let receiver = Receiver::start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Acknowledged::default();
    let urls = cluster.nodes.iter().map(|node| node.url.clone()).collect();
    let load = tokio::spawn(create_steadily(
        urls,
        cluster.client.clone(),
        receiver.url.clone(),
        rate,
        stop.clone(),
        acknowledged.clone(),
    ));
    let mut recoveries = Vec::new();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
        let leader = cluster.leader_of(0).await;
        let killed = Instant::now();
        cluster.nodes[leader].kill();
        let through = cluster.other_than(leader);
        recoveries.push(first_write_after_kill(&cluster, through, killed).await);
        cluster.nodes[leader].start();
        cluster.wait_ready().await;
    }
    tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    let acknowledged = acknowledged.lock().clone();
    let all_in = |calls: &[Call]| {
        let seen: std::collections::HashSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
        acknowledged.keys().all(|id| seen.contains(id.as_str()))
    };
    receiver.wait_until("every acknowledged timer fires", Duration::from_secs(40), all_in).await;
    let verdict = judge(&acknowledged, &receiver);
    println!(
        "{} acknowledged, {} lost, {} early, {} duplicates, {} unfenced; lateness p50 {} p99 {} max {} ms; first \
         write after each kill {recoveries:?}",
        acknowledged.len(),
        verdict.lost.len(),
        verdict.early,
        verdict.duplicates,
        verdict.unfenced,
        percentile(&verdict.lateness, 0.5),
        percentile(&verdict.lateness, 0.99),
        verdict.lateness.last().unwrap_or(&0),
    );
    assert!(acknowledged.len() as u64 > rate * seconds / 2, "the run was not empty");
    assert_eq!(verdict.lost, Vec::<String>::new());
    assert_eq!(verdict.early, 0);
    assert_eq!(verdict.unfenced, 0, "a duplicate carries a larger fencing token");
    assert!(recoveries.iter().all(|took| *took < Duration::from_secs(3)), "{recoveries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_restart_of_each_node_makes_no_duplicates() {
    let mut cluster = Cluster::start(3, 4).await;
    // Slow enough that attempts are always under way when a node leaves.
    let receiver =
        Receiver::scripted(|_| Script { delay: Duration::from_millis(200), ..Script::default() }).await;
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Acknowledged::default();
    let urls = cluster.nodes.iter().map(|node| node.url.clone()).collect();
    let load = tokio::spawn(create_steadily(
        urls,
        cluster.client.clone(),
        receiver.url.clone(),
        100,
        stop.clone(),
        acknowledged.clone(),
    ));
    tokio::time::sleep(Duration::from_secs(4)).await;
    for node in 0..3 {
        assert_eq!(cluster.nodes[node].terminate_within(END_MAX).await, Some(0), "it ends in order");
        cluster.nodes[node].start();
        cluster.wait_ready().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    let acknowledged = acknowledged.lock().clone();
    let all_in = |calls: &[Call]| {
        let seen: std::collections::HashSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
        acknowledged.keys().all(|id| seen.contains(id.as_str()))
    };
    receiver.wait_until("every acknowledged timer fires", Duration::from_secs(40), all_in).await;
    let verdict = judge(&acknowledged, &receiver);
    println!(
        "{} acknowledged, {} duplicates, lateness p99 {} max {} ms",
        acknowledged.len(),
        verdict.duplicates,
        percentile(&verdict.lateness, 0.99),
        verdict.lateness.last().unwrap_or(&0)
    );
    assert_eq!((verdict.lost.len(), verdict.early, verdict.duplicates), (0, 0, 0));
}
