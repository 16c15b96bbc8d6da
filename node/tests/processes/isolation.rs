//! A leader that is cut off, and a cluster without a quorum: true answers meanwhile, and nothing that sticks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Answer, sleep_until};
use super::cluster::Cluster;
use super::receiver::{Call, Receiver, now_ms, rfc3339};

const WAIT: Duration = Duration::from_secs(15);

fn timer_at(at_ms: u64, receiver: &Receiver) -> Value {
    json!({"executeAt": rfc3339(at_ms), "callbackUrl": receiver.url, "callbackTimeout": "5s", "payload": "p"})
}

/// C19: the leader stands still for three seconds while creates go to it and to the others; then it goes on,
/// as if its network had come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_loses_nothing_and_repeats_nothing() {
    let cluster = Cluster::start(3, 1).await;
    let receiver = Receiver::start().await;
    let leader = cluster.leader_of(0).await;
    let paused_ms = now_ms() + 1_000;
    // Due while it stands still, in the memory of the old leader and of the new one.
    let during: Vec<(String, Value)> =
        (0..10).map(|n| (format!("during-{n}"), timer_at(paused_ms + 300 + n * 250, &receiver))).collect();
    cluster.put_all(&during).await;
    sleep_until(paused_ms).await;
    cluster.nodes[leader].pause();
    let due = paused_ms + 6_000;
    let mut creates = tokio::task::JoinSet::new();
    for n in 0..60_usize {
        // Two of three to the one that stands still, the others to the other two.
        let node = if n % 3 == 0 { (leader + 1 + n % 2) % 3 } else { leader };
        let id = format!("meanwhile-{n}");
        let (client, url, body) =
            (cluster.client.clone(), cluster.timer(node, &id), timer_at(due, &receiver));
        creates.spawn(async move {
            sleep_until(paused_ms + n as u64 * 40).await;
            // Some clients do not wait until it goes on: what became of theirs nobody told them.
            let patience = Duration::from_millis(if n % 3 == 1 { 300 } else { 30_000 });
            let answer = tokio::time::timeout(patience, client.send("PUT", &url, &[], Some(&body))).await;
            (id, answer.unwrap_or_else(|_| Err("the client has left".to_owned())))
        });
    }
    sleep_until(paused_ms + 3_000).await;
    cluster.nodes[leader].resume();
    let resumed = Instant::now();
    let answers = creates.join_all().await;
    println!("all creates were answered {:?} after it went on", resumed.elapsed());
    settle(&cluster, &receiver, &answers, due).await;
    for n in 0..10 {
        let calls = receiver.by_id()[&format!("during-{n}")].clone();
        assert_eq!(calls.len(), 1, "the old leader must not fire what the new one did: {calls:?}");
        assert!(calls[0].at_ms - calls[0].scheduled_ms <= 3_000, "{calls:?}");
    }
    cluster.wait_ready().await;
}

/// A lease that holds all through a test, while an entry may be under way for 0.2 s and a quorum's answer is fresh for 20 ms.
const LONG_LEASE: [(&str, &str); 4] = [
    ("TIMERD_RAFT__HEARTBEAT_MS", "400"),
    ("TIMERD_RAFT__ELECTION_MIN_MS", "5000"),
    ("TIMERD_RAFT__ELECTION_MAX_MS", "6000"),
    ("TIMERD_RAFT__PROBE_MS", "12000"),
];

/// A leader that was cut off holds its lease for a while, and its successor would make its calls again, the first as
/// well as the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_no_quorum_answers_starts_no_call_within_its_lease() {
    let cluster = Cluster::start_tuned(3, 1, &LONG_LEASE).await;
    let receiver = Receiver::start().await;
    let leader = cluster.leader_of(0).await;
    let paused_ms = now_ms() + 1_000;
    let timers: Vec<(String, Value)> =
        (0..10).map(|n| (format!("t-{n}"), timer_at(paused_ms + 500 + n * 100, &receiver))).collect();
    cluster.put_all(&timers).await;
    sleep_until(paused_ms).await;
    (0..3).filter(|n| *n != leader).for_each(|n| cluster.nodes[n].pause());
    sleep_until(paused_ms + 3_000).await;
    let in_vain = receiver.calls();
    assert!(in_vain.is_empty(), "what came of these could not be replicated: {in_vain:?}");
    (0..3).filter(|n| *n != leader).for_each(|n| cluster.nodes[n].resume());
    let all_fired = |calls: &[Call]| timers.iter().all(|(id, _)| calls.iter().any(|call| call.id == *id));
    receiver.wait_until("all fire", WAIT, all_fired).await;
    assert_eq!(cluster.leader_of(0).await, leader, "its lease held");
    assert!(receiver.by_id().values().all(|calls| calls.len() == 1), "{:?}", receiver.by_id());
}

/// What a leader calls while nothing that it proposes is committed, its successor would call again.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_entries_are_not_committed_starts_no_calls() {
    let cluster = Cluster::start_tuned(3, 1, &LONG_LEASE).await;
    let receiver = Receiver::start().await;
    let leader = cluster.leader_of(0).await;
    let paused_ms = now_ms() + 1_500;
    let timers: Vec<(String, Value)> =
        (0..60).map(|n| (format!("t-{n}"), timer_at(paused_ms + n * 50, &receiver))).collect();
    cluster.put_all(&timers).await;
    sleep_until(paused_ms).await;
    (0..3).filter(|n| *n != leader).for_each(|n| cluster.nodes[n].pause());
    sleep_until(paused_ms + 3_000).await;
    let resumed_ms = now_ms();
    (0..3).filter(|n| *n != leader).for_each(|n| cluster.nodes[n].resume());
    let all_fired = |calls: &[Call]| timers.iter().all(|(id, _)| calls.iter().any(|call| call.id == *id));
    receiver.wait_until("all fire", WAIT, all_fired).await;
    for (id, calls) in receiver.by_id() {
        assert_eq!(calls.len(), 1, "{id}: {calls:?}");
        let call = &calls[0];
        let held = call.at_ms >= resumed_ms;
        assert!(
            held || call.scheduled_ms < paused_ms + 1_500,
            "{id} was called while nothing was committed: {call:?}"
        );
    }
}

/// What got 2xx fires once; what got none is there wholly, and fires once, or not at all, at every node alike.
async fn settle(
    cluster: &Cluster,
    receiver: &Receiver,
    answers: &[(String, Result<Answer, String>)],
    due: u64,
) {
    let is_taken = |answer: &Result<Answer, String>| answer.as_ref().is_ok_and(|answer| answer.status < 300);
    let taken: Vec<&String> =
        answers.iter().filter(|(_, answer)| is_taken(answer)).map(|(id, _)| id).collect();
    receiver
        .wait_until("what was taken fires", WAIT, |calls| {
            taken.iter().all(|id| calls.iter().any(|call| call.id == **id))
        })
        .await;
    // Due after all of them, in the only shard.
    cluster.put_ok(0, "past", &timer_at(now_ms() + 200, receiver)).await;
    receiver.wait_until("past", WAIT, |calls| calls.iter().any(|call| call.id == "past")).await;
    let mut there = 0;
    for (id, answer) in answers {
        let calls = receiver.calls().iter().filter(|call| call.id == *id).count();
        let mut seen = Vec::new();
        for node in 0..3 {
            let got = cluster.get(node, id).await.unwrap();
            seen.push((got.status, got.json["executeAt"].clone(), got.json["callbackUrl"].clone()));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{id}: {seen:?}");
        match seen[0].0 {
            200 => {
                assert_eq!((&seen[0].1, &seen[0].2), (&json!(rfc3339(due)), &json!(receiver.url)), "{id}");
                assert_eq!(calls, 1, "{id} is there");
                cluster.wait_for_state(0, id, "delivered", WAIT).await;
                there += usize::from(!is_taken(answer));
            }
            status => assert_eq!((status, is_taken(answer), calls), (404, false, 0), "{id}"),
        }
    }
    println!("{} taken, {} not, of which {there} are there", taken.len(), answers.len() - taken.len());
    assert!(taken.len() >= answers.len() / 3, "the others took theirs");
}

/// A PUT that finds no quorum, within its deadline: gives the answer and how long it took.
async fn put_without_quorum(cluster: &Cluster, node: usize, id: &str, body: &Value) -> Answer {
    let sent = Instant::now();
    let answer = cluster.put(node, id, body).await.unwrap();
    let took = sent.elapsed();
    println!("{id}: {} {} after {took:?}: {}", answer.status, answer.json["outcome"], answer.json["detail"]);
    assert!(took < Duration::from_millis(2_500), "the deadline is 1.5 s: {took:?}");
    answer
}

/// Two of three are gone: writes are refused in time and truthfully, and work again when one comes back.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_a_write_is_refused_in_time_and_works_again_with_one() {
    let mut cluster = Cluster::start_tuned(3, 1, &[("TIMERD_HTTP__REQUEST_TIMEOUT_MS", "1500")]).await;
    let receiver = Receiver::start().await;
    let mut refused = Vec::new();
    for round in 0..2 {
        let leader = cluster.leader_of(0).await;
        // Once a follower is left, once the leader itself.
        let left = if round == 0 { (leader + 1) % 3 } else { leader };
        let gone: Vec<usize> = (0..3).filter(|n| *n != left).collect();
        gone.iter().for_each(|n| cluster.nodes[*n].kill());
        let far = timer_at(now_ms() + 3_600_000, &receiver);
        let due = timer_at(now_ms() + 1_000, &receiver);
        // The first may have gone to a leader that knew of nothing yet; the second can't have.
        for (id, body) in [(format!("first-{round}"), &far), (format!("second-{round}"), &due)] {
            let answer = put_without_quorum(&cluster, left, &id, body).await;
            let unavailable = answer.status == 503 && answer.json["code"] == "SHARD_UNAVAILABLE";
            let timed_out = answer.status == 504 && answer.json["outcome"] == "unknown";
            assert!(unavailable || (timed_out && id.starts_with("first")), "{id}: {}", answer.text);
            let outcome = answer.json["outcome"].as_str().unwrap();
            assert!(["notApplied", "unknown"].contains(&outcome), "{}", answer.text);
            if unavailable {
                let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=10).contains(&wait), "{wait}");
            }
            refused.push((id, outcome.to_owned()));
        }
        let read = cluster.get(left, "probe-0").await.unwrap();
        assert_eq!(read.status, 503, "no stale read: {}", read.text);
        cluster.nodes[gone[0]].start();
        let id = format!("works-{round}");
        let back = Instant::now();
        cluster.put_until_taken(left, &id, &timer_at(now_ms(), &receiver)).await;
        println!("a write was taken {:?} after one came back", back.elapsed());
        receiver.wait_until(&id, WAIT, |calls| calls.iter().any(|call| call.id == id)).await;
        cluster.nodes[gone[1]].start();
        cluster.wait_ready().await;
    }
    for (id, outcome) in &refused {
        let found: Vec<u16> = [
            cluster.get(0, id).await.unwrap().status,
            cluster.get(1, id).await.unwrap().status,
            cluster.get(2, id).await.unwrap().status,
        ]
        .into();
        assert!(found.iter().all(|status| *status == found[0]), "{id}: {found:?}");
        assert!(found[0] == 404 || (found[0] == 200 && outcome == "unknown"), "{id}: {outcome} {found:?}");
    }
}

/// A node that leads but has no quorum left can't hand over; it must end all the same, and soon.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_quorum_ends_when_it_is_asked_to() {
    let mut cluster = Cluster::start(3, 2).await;
    let leader = cluster.leader_of(0).await;
    (0..3).filter(|n| *n != leader).for_each(|n| cluster.nodes[n].kill());
    assert_eq!(cluster.nodes[leader].terminate_within(Duration::from_secs(15)).await, Some(0));
}
