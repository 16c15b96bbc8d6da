//! When timers fire: never early, never missing, once, whatever happens to the nodes meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{eventually, sleep_until};
use super::cluster::{Cluster, Process};
use super::receiver::{Call, Receiver, now_ms, rfc3339};
use super::sizes::scaled;

const HOUR_MS: u64 = 3_600_000;
/// How long a node takes at most to end in order.
const STOP: Duration = Duration::from_secs(10);

fn timer_at(at_ms: u64, receiver: &Receiver) -> Value {
    json!({"executeAt": rfc3339(at_ms), "callbackUrl": receiver.url, "callbackTimeout": "5s"})
}

/// Timers `{prefix}{n}`, the first at `begin`, then one every `step_ms`.
fn beat(prefix: &str, number: u64, begin: u64, step_ms: u64, receiver: &Receiver) -> Vec<(String, Value)> {
    (0..number).map(|n| (format!("{prefix}{n}"), timer_at(begin + n * step_ms, receiver))).collect()
}

fn all_of(calls: &[Call], prefix: &str, number: usize) -> bool {
    let ids: BTreeSet<&str> =
        calls.iter().map(|call| call.id.as_str()).filter(|id| id.starts_with(prefix)).collect();
    ids.len() == number
}

fn lateness(call: &Call) -> u64 {
    call.at_ms.saturating_sub(call.scheduled_ms)
}

/// Once by `webhook-id`; what came again came with a larger fencing token. Gives the repeated calls.
fn repeated(receiver: &Receiver) -> Vec<Call> {
    let mut again = Vec::new();
    for (id, calls) in receiver.by_id() {
        assert!(calls.iter().all(|call| call.webhook_id == calls[0].webhook_id), "{id}: {calls:?}");
        assert!(calls.iter().all(|call| call.at_ms >= call.scheduled_ms), "{id} was early: {calls:?}");
        assert!(calls.windows(2).all(|pair| pair[1].token > pair[0].token), "{id}: {calls:?}");
        again.extend_from_slice(&calls[1..]);
    }
    again
}

/// C01, C02: one timer every 100 ms for 20 s (3 min) while a leader is killed and another hands over.
#[tokio::test(flavor = "multi_thread")]
async fn a_steady_beat_survives_a_kill_and_a_planned_stop() {
    let mut cluster = Cluster::start(3, 4).await;
    let receiver = Receiver::start().await;
    let (number, kill_after, stop_after) = scaled((200, 7_000, 14_000), (1_800, 60_000, 120_000));
    let begin = now_ms() + scaled(2_500, 8_000);
    let end = begin + number * 100;
    cluster.put_all(&beat("beat-", number, begin, 100, &receiver)).await;
    assert!(now_ms() < begin, "all were created in time");
    sleep_until(begin + kill_after).await;
    let killed = cluster.leader_of(0).await;
    let killed_ms = now_ms();
    cluster.nodes[killed].kill();
    sleep_until(killed_ms + 2_000).await;
    cluster.nodes[killed].start();
    sleep_until(begin + stop_after).await;
    let stopped = cluster.leader_of(0).await;
    let stopped_ms = now_ms();
    assert_eq!(cluster.nodes[stopped].terminate_within(STOP).await, Some(0));
    let stopping_ms = now_ms() - stopped_ms;
    cluster.nodes[stopped].start();
    sleep_until(end).await;
    receiver
        .wait_until("every timer fires", Duration::from_secs(15), |c| all_of(c, "beat-", number as usize))
        .await;

    let window = |from: u64, call: &Call| (from..from + 3_000).contains(&call.at_ms);
    let (mut worst_kill, mut worst_stop, mut quiet) = (0, 0, Vec::new());
    for calls in receiver.by_id().values() {
        let call = &calls[0];
        if window(killed_ms, call) {
            worst_kill = worst_kill.max(lateness(call));
        } else if window(stopped_ms, call) {
            worst_stop = worst_stop.max(lateness(call));
        } else {
            quiet.push(lateness(call));
        }
    }
    let again = repeated(&receiver);
    quiet.sort_unstable();
    let p99 = quiet[quiet.len() * 99 / 100];
    println!(
        "lateness: after the kill {worst_kill}, after the stop {worst_stop}, else p99 {p99} max {} of {} ms; {} \
         again; the stop took {stopping_ms} ms",
        quiet[quiet.len() - 1],
        quiet.len(),
        again.len()
    );
    assert!(worst_kill <= 3_000 && worst_stop <= 3_000, "{worst_kill} {worst_stop}");
    assert!(p99 <= 1_000, "{p99}");
    assert!(quiet.len() > number as usize / 2, "the windows do not hold everything");
    assert!(again.iter().all(|call| window(killed_ms, call)), "only a kill may repeat: {again:?}");
}

/// C03: whoever leads is killed, three (ten) times, with timers due in every gap.
#[tokio::test(flavor = "multi_thread")]
async fn timers_due_while_nobody_leads_fire_and_the_rest_stay_ready() {
    let mut cluster = Cluster::start(3, 1).await;
    let receiver = Receiver::start().await;
    let rounds = scaled(3, 10);
    for round in 0..rounds {
        let leader = cluster.leader_of(0).await;
        let others: Vec<usize> = (0..3).filter(|n| *n != leader).collect();
        let prefix = format!("gap{round}-");
        let begin = now_ms() + 800;
        cluster.put_all(&beat(&prefix, 15, begin, 100, &receiver)).await;
        let mut elections = 0.0;
        for other in &others {
            elections += cluster.metric(*other, "timerd_raft_elections_total").await;
        }
        sleep_until(begin).await;
        cluster.nodes[leader].kill();
        let next = cluster.leader_of(0).await;
        for other in &others {
            // A gap of some seconds takes no node out of service: that would turn it into an outage.
            let url = format!("{}/readyz", cluster.nodes[*other].url);
            let ready = cluster.client.send("GET", &url, &[], None).await.unwrap();
            assert_eq!((ready.status, &ready.json["ready"]), (200, &json!(true)), "{}", ready.text);
        }
        receiver
            .wait_until("timers of the gap fire", Duration::from_secs(10), |calls| all_of(calls, &prefix, 15))
            .await;
        let mut elections_after = 0.0;
        for other in &others {
            elections_after += cluster.metric(*other, "timerd_raft_elections_total").await;
        }
        assert!(elections_after > elections, "the election is counted: {elections} {elections_after}");
        assert_ne!(next, leader);
        cluster.nodes[leader].start();
        cluster.wait_ready().await;
        let url = format!("{}/readyz", cluster.nodes[leader].url);
        eventually("the killed node is ready again", Duration::from_secs(10), || async {
            let ready = cluster.client.send("GET", &url, &[], None).await.ok()?;
            (ready.status == 200).then_some(())
        })
        .await;
    }
    let worst = receiver.by_id().values().map(|calls| lateness(&calls[0])).max().unwrap();
    println!("the latest of {} was {worst} ms late; {} again", rounds * 15, repeated(&receiver).len());
    assert!(worst <= 3_000, "{worst}");
}

/// C07: leadership moves again and again between create and due time.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_whose_leader_moved_five_times_fires_once() {
    let mut cluster = Cluster::start(3, 1).await;
    let receiver = Receiver::start().await;
    let due = now_ms() + 12_000;
    cluster.put_all(&beat("moved-", 10, due, 1, &receiver)).await;
    let mut moves = 0;
    while moves < 5 && now_ms() + 3_000 < due {
        let leader = cluster.leader_of(0).await;
        assert_eq!(cluster.nodes[leader].terminate_within(STOP).await, Some(0));
        cluster.nodes[leader].start();
        cluster.wait_ready().await;
        moves += usize::from(cluster.leader_of(0).await != leader);
    }
    assert!(receiver.calls().is_empty(), "none is early");
    cluster.put_all(&beat("after-", 1, due + 1_000, 1, &receiver)).await;
    receiver
        .wait_until("all fire", Duration::from_secs(20), |c| {
            all_of(c, "moved-", 10) && all_of(c, "after-", 1)
        })
        .await;
    println!("{moves} moves");
    assert!(moves >= 3, "only {moves} moves");
    assert_eq!(repeated(&receiver).len(), 0);
    assert!(receiver.calls().iter().all(|call| lateness(call) <= 1_000), "{:?}", receiver.calls());
}

/// C10: a one-off runs once, not once per node.
#[tokio::test(flavor = "multi_thread")]
async fn a_one_off_runs_once_whatever_the_number_of_nodes() {
    for number in [1, 3, 5] {
        let cluster = Cluster::start(number, 4).await;
        let receiver = Receiver::start().await;
        let due = now_ms() + 1_000;
        cluster.put_all(&beat("one-", 20, due, 1, &receiver)).await;
        // One after it in every shard, so that what a second node would have sent had its time.
        cluster.put_all(&beat("after-", 20, due + 800, 1, &receiver)).await;
        receiver
            .wait_until("all fire", Duration::from_secs(10), |c| {
                all_of(c, "one-", 20) && all_of(c, "after-", 20)
            })
            .await;
        assert_eq!(receiver.calls().len(), 40, "{number} nodes: {:?}", repeated(&receiver));
    }
}

/// C12: a restart of every node makes nothing due that is not.
#[tokio::test(flavor = "multi_thread")]
async fn timers_an_hour_ahead_stay_silent_when_every_node_restarts() {
    let mut cluster = Cluster::start(3, 2).await;
    let receiver = Receiver::start().await;
    let number = scaled(2_000, 10_000);
    cluster.put_all(&beat("later-", number, now_ms() + HOUR_MS, 1, &receiver)).await;
    // All at once, as after a power failure, then one after the other, as in an upgrade.
    cluster.nodes.iter_mut().for_each(Process::kill);
    cluster.nodes.iter_mut().for_each(Process::start);
    cluster.wait_ready().await;
    for node in 0..3 {
        assert_eq!(cluster.nodes[node].terminate_within(STOP).await, Some(0));
        cluster.nodes[node].start();
        cluster.wait_ready().await;
    }
    cluster.put_all(&beat("now-", 20, now_ms(), 1, &receiver)).await;
    receiver.wait_until("what is due fires", Duration::from_secs(10), |c| all_of(c, "now-", 20)).await;
    assert!(receiver.calls().iter().all(|call| call.id.starts_with("now-")), "{:?}", receiver.calls());
    for n in [0, number / 2, number - 1] {
        let timer = cluster.get(n as usize % 3, &format!("later-{n}")).await.unwrap().json;
        assert_eq!((&timer["state"], &timer["attempts"]), (&json!("scheduled"), &json!(0)), "{timer}");
    }
}

/// C14: around full seconds, where rounding would show.
#[tokio::test(flavor = "multi_thread")]
async fn no_timer_is_early_at_the_edges_of_a_second() {
    let cluster = Cluster::start(1, 2).await;
    let receiver = Receiver::start().await;
    let number: usize = scaled(600, 10_000);
    let second = (now_ms() / 1_000 + scaled(3, 12)) * 1_000;
    let due_of = |n: usize| second + [0, 1, 999][n % 3] + (n as u64 / 3 % 2) * 1_000;
    let timers: Vec<(String, Value)> =
        (0..number).map(|n| (format!("edge-{n}"), timer_at(due_of(n), &receiver))).collect();
    cluster.put_all(&timers).await;
    assert!(now_ms() < second, "all were created before they were due");
    receiver.wait_until("all fire", Duration::from_secs(15), |c| all_of(c, "edge-", number)).await;
    let by_id = receiver.by_id();
    for n in 0..number {
        let calls = &by_id[&format!("edge-{n}")];
        assert_eq!((calls.len(), calls[0].scheduled_ms), (1, due_of(n)));
        assert!(calls[0].at_ms >= due_of(n), "edge-{n} came {} ms early", due_of(n) - calls[0].at_ms);
    }
    println!("{number}: at most {} ms late", receiver.calls().iter().map(lateness).max().unwrap());
}

/// C32: a time in the past means now, and the receiver is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_in_the_past_fires_at_once_and_says_how_late() {
    let cluster = Cluster::start(1, 1).await;
    let receiver = Receiver::start().await;
    let mut asked = HashMap::new();
    for (id, ago_ms) in [("second", 1_000), ("hour", HOUR_MS), ("ten-years", 3_652 * 24 * HOUR_MS)] {
        let now = now_ms();
        let timer = cluster.put_ok(0, id, &timer_at(now - ago_ms, &receiver)).await;
        assert_eq!(timer["executeAt"], rfc3339(now - ago_ms));
        asked.insert(id, (now, ago_ms));
    }
    receiver.wait_until("all fire", Duration::from_secs(5), |calls| calls.len() == 3).await;
    for call in receiver.calls() {
        let (at_ms, ago_ms) = asked[call.id.as_str()];
        assert!(call.at_ms - at_ms <= 1_000, "{call:?} was asked for at {at_ms}");
        assert!((ago_ms..ago_ms + 1_000).contains(&call.late_ms), "{call:?}");
        assert_eq!(call.scheduled_ms, at_ms - ago_ms);
    }
}

/// C35: one instant, however its offset is written.
#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_write_an_offset_fires_at_the_same_instant() {
    let cluster = Cluster::start(1, 1).await;
    let receiver = Receiver::start().await;
    let due = now_ms() + 1_500;
    let minutes_ahead = [("+02:30", 150_i64), ("-00:30", -30), ("-04:00", -240), ("+23:59", 1_439)];
    let mut written: Vec<String> = minutes_ahead
        .iter()
        .map(|(offset, minutes)| {
            let local = rfc3339(due.checked_add_signed(minutes * 60_000).unwrap());
            format!("{}{offset}", local.trim_end_matches('Z'))
        })
        .collect();
    let utc = rfc3339(due);
    written.extend([utc.clone(), utc.replace('Z', "z"), utc.replace('T', "t"), utc.to_lowercase()]);
    for (n, text) in written.iter().enumerate() {
        let body = json!({"executeAt": text, "callbackUrl": receiver.url});
        assert_eq!(cluster.put_ok(0, &format!("written-{n}"), &body).await["executeAt"], utc, "{text}");
        let got = cluster.get(0, &format!("written-{n}")).await.unwrap();
        assert_eq!(got.json["executeAt"], utc, "{text}");
    }
    let number = written.len();
    receiver.wait_until("all fire", Duration::from_secs(5), |c| all_of(c, "written-", number)).await;
    for call in receiver.calls() {
        assert_eq!(call.scheduled_ms, due, "{call:?}");
        assert!((due..due + 1_000).contains(&call.at_ms), "{call:?}");
    }
    assert_eq!(receiver.calls().len(), number);
}
