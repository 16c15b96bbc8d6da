//! What an answer to DELETE and PUT promises, and that a request may be repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::client::{Answer, Client, eventually, sleep_until};
use super::cluster::Cluster;
use super::receiver::{Call, Receiver, Script, now_ms, rfc3339};
use super::sizes::scaled;

const WAIT: Duration = Duration::from_secs(15);

fn timer_at(at_ms: u64, receiver: &Receiver) -> Value {
    json!({"executeAt": rfc3339(at_ms), "callbackUrl": receiver.url, "callbackTimeout": "10s"})
}

fn has(calls: &[Call], id: &str) -> bool {
    calls.iter().any(|call| call.id == id)
}

/// Creates a timer that is due after all others of its shard, and waits until it has come: what else was to
/// come from there would have come before.
async fn pass_with_sentinel(cluster: &Cluster, node: usize, id: &str, at_ms: u64, receiver: &Receiver) {
    cluster.put_until_taken(node, id, &timer_at(at_ms, receiver)).await;
    receiver.wait_until(id, WAIT, |calls| has(calls, id)).await;
}

/// DELETE again and again until it has an answer that says what it did.
async fn delete_until_answered(client: Client, url: String) -> Answer {
    eventually("a DELETE is answered", Duration::from_secs(20), || async {
        let answer = client.send("DELETE", &url, &[], None).await.ok()?;
        (answer.status < 500).then_some(answer)
    })
    .await
}

/// What the answers to DELETEs promised, held against what came. Gives how many said "no".
fn judge(answers: &[(String, Answer)], receiver: &Receiver) -> usize {
    let by_id = receiver.by_id();
    let mut promised = 0;
    for (id, answer) in answers {
        let calls = by_id.get(id).map(Vec::as_slice).unwrap_or_default();
        match (answer.status, answer.json["attemptInFlight"].as_str()) {
            (200, Some("no")) => {
                assert_eq!(calls.len(), 0, "{id} was cancelled with nothing on its way: {calls:?}");
                promised += 1;
            }
            (200, Some("yes" | "possible")) => assert!(calls.len() <= 1, "{id}: {calls:?}"),
            (409, _) => {
                assert_eq!(answer.json["timer"]["state"], "delivered", "{id}: {}", answer.text);
                assert!(!calls.is_empty(), "{id} is said to be delivered");
            }
            (status, word) => panic!("{id}: {status} {word:?} {}", answer.text),
        }
    }
    promised
}

/// C20: timers are cancelled through a follower around their due time, and the leader is killed meanwhile, in
/// 3 (1,000) rounds.
#[tokio::test(flavor = "multi_thread")]
async fn no_attempt_starts_after_a_delete_said_no_though_the_leader_is_killed() {
    let mut cluster = Cluster::start(3, 1).await;
    let receiver = Receiver::start().await;
    let (rounds, mut promised) = (scaled(3, 1_000), 0);
    for round in 0..rounds {
        let kill_before = [700, 250, 0][round % 3];
        let leader = cluster.leader_of(0).await;
        let follower = cluster.other_than(leader);
        let due = now_ms() + 1_500;
        let ids: Vec<String> = (0..10).map(|n| format!("c{round}-{n}")).collect();
        let timers: Vec<_> = ids.iter().map(|id| (id.clone(), timer_at(due, &receiver))).collect();
        cluster.put_all(&timers).await;
        let mut deletes = tokio::task::JoinSet::new();
        for (n, id) in ids.into_iter().enumerate() {
            let (client, url) = (cluster.client.clone(), cluster.timer(follower, &id));
            deletes.spawn(async move {
                // From a second before the due time to shortly after it.
                sleep_until(due - 1_000 + n as u64 * 115).await;
                (id, delete_until_answered(client, url).await)
            });
        }
        sleep_until(due - kill_before).await;
        cluster.nodes[leader].kill();
        let answers = deletes.join_all().await;
        let words: Vec<String> =
            answers.iter().map(|(_, a)| format!("{} {}", a.status, a.json["attemptInFlight"])).collect();
        pass_with_sentinel(&cluster, follower, &format!("after-{round}"), now_ms() + 300, &receiver).await;
        let kept = judge(&answers, &receiver);
        println!("round {round}: killed {kill_before} ms before the due time: {words:?}");
        promised += kept;
        cluster.nodes[leader].start();
        cluster.wait_ready().await;
    }
    println!(
        "{rounds} rounds: {promised} of {} were cancelled before an attempt, and none came",
        rounds * 10
    );
    assert!(promised >= rounds * 2, "only {promised} of {} were cancelled before an attempt", rounds * 10);
}

/// C21: in whatever stage a timer is, after "no" none starts.
#[tokio::test(flavor = "multi_thread")]
async fn no_attempt_starts_after_a_delete_said_no_in_any_stage() {
    let slots = [("TIMERD_DELIVERY__CONCURRENCY_PER_DESTINATION_MAX", "2")];
    let cluster = Cluster::start_tuned(1, 1, &slots).await;
    let receiver = Receiver::scripted(|call| {
        let status = if call.id.starts_with("retry") { 500 } else { 200 };
        // Long enough that some are cancelled while their attempt is on its way.
        let delay = Duration::from_millis(if call.id.starts_with("now") { 10 } else { 0 });
        Script { status, delay, ..Script::default() }
    })
    .await;
    let busy =
        Receiver::scripted(|_| Script { delay: Duration::from_millis(2_500), ..Script::default() }).await;
    let delete = |id: String| delete_until_answered(cluster.client.clone(), cluster.timer(0, &id));
    let word = |answer: &Answer| answer.json["attemptInFlight"].as_str().unwrap_or_default().to_owned();

    // Waiting for a place at its destination.
    cluster.put_ok(0, "busy-1", &timer_at(now_ms(), &busy)).await;
    cluster.put_ok(0, "busy-2", &timer_at(now_ms(), &busy)).await;
    busy.wait_until("both places are taken", WAIT, |calls| calls.len() == 2).await;
    cluster.put_ok(0, "no-place", &timer_at(now_ms(), &busy)).await;
    pass_with_sentinel(&cluster, 0, "past-1", now_ms() + 100, &receiver).await;
    let no_place = delete("no-place".into()).await;
    assert_eq!((no_place.status, word(&no_place)), (200, "no".to_owned()), "{}", no_place.text);

    // Far away, and within the minute that the leader keeps in memory.
    let near_at = now_ms() + 1_500;
    cluster.put_ok(0, "far", &timer_at(now_ms() + 3_600_000, &receiver)).await;
    cluster.put_ok(0, "near", &timer_at(near_at, &receiver)).await;
    for id in ["far", "near"] {
        let answer = delete(id.into()).await;
        assert_eq!((answer.status, word(&answer)), (200, "no".to_owned()), "{id}: {}", answer.text);
    }
    // Waiting for a retry.
    let mut retrying = timer_at(now_ms(), &receiver);
    retrying["retryPolicy"] = json!({"initialInterval": "1s", "backoffMultiplier": 1, "jitter": 0});
    cluster.put_ok(0, "retry", &retrying).await;
    cluster.wait_for_state(0, "retry", "retrying", WAIT).await;
    let retry = delete("retry".into()).await;
    assert_eq!((retry.status, word(&retry)), (200, "no".to_owned()), "{}", retry.text);
    // Due now: a race that either side may win.
    let mut raced = Vec::new();
    for n in 0..40 {
        let id = format!("now-{n}");
        let due = now_ms() + n;
        cluster.put_ok(0, &id, &timer_at(due, &receiver)).await;
        raced.push((id.clone(), delete(id).await));
    }
    // All that was cancelled would have been due by then; also the retry.
    pass_with_sentinel(&cluster, 0, "past-2", near_at.max(now_ms()) + 1_000, &receiver).await;
    pass_with_sentinel(&cluster, 0, "past-3", now_ms(), &busy).await;
    let promised = judge(&raced, &receiver);
    let on_its_way = raced.iter().filter(|(_, answer)| word(answer) == "yes").count();
    println!("of 40 that were due at once, {promised} had no attempt and {on_its_way} had one on its way");
    assert!(promised > 0, "the race has two sides");
    assert!(!has(&busy.calls(), "no-place"));
    assert!(!has(&receiver.calls(), "far") && !has(&receiver.calls(), "near"));
    assert_eq!(receiver.calls().iter().filter(|call| call.id == "retry").count(), 1);
}

/// The outcome of an attempt whose timer was cancelled and created again under the same id does not touch the
/// new timer, neither while it waits nor after it has fired.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_outcome_of_a_cancelled_generation_does_not_touch_the_new_timer() {
    let cluster = Cluster::start(1, 1).await;
    // Generations up to this one hang, then fail.
    let hangs_up_to = Arc::new(AtomicU64::new(u64::MAX));
    let bound = hangs_up_to.clone();
    let receiver = Receiver::scripted(move |call| {
        let hangs = call.generation <= bound.load(Ordering::Relaxed);
        let delay = if hangs { Duration::from_secs(3) } else { Duration::ZERO };
        Script { status: if hangs { 500 } else { 200 }, delay, ..Script::default() }
    })
    .await;
    let first = cluster.put_ok(0, "soon", &timer_at(now_ms(), &receiver)).await;
    let second = cluster.put_ok(0, "later", &timer_at(now_ms(), &receiver)).await;
    let newest = first["generation"].as_u64().max(second["generation"].as_u64()).unwrap();
    receiver.wait_until("both hang", WAIT, |calls| calls.len() == 2).await;
    let hung_ms = now_ms();
    hangs_up_to.store(newest, Ordering::Relaxed);
    for id in ["soon", "later"] {
        let deleted = cluster.delete(0, id).await.unwrap();
        assert_eq!(
            (deleted.status, &deleted.json["attemptInFlight"]),
            (200, &json!("yes")),
            "{}",
            deleted.text
        );
    }
    // One fires while the old attempt hangs, one waits until the old attempt has failed.
    let (soon_at, later_at) = (hung_ms + 800, hung_ms + 4_500);
    let mut generations = Vec::new();
    for (id, at_ms) in [("soon", soon_at), ("later", later_at)] {
        let put = cluster.put(0, id, &timer_at(at_ms, &receiver)).await.unwrap();
        assert_eq!((put.status, &put.json["attemptInFlight"]), (201, &json!("yes")), "{}", put.text);
        generations.push(put.json["generation"].as_u64().unwrap());
    }
    let delivered = cluster.wait_for_state(0, "soon", "delivered", WAIT).await;
    assert!(now_ms() < hung_ms + 3_000, "while the old attempt hangs");
    eventually("the old attempts have failed", WAIT, || async {
        (cluster.metric(0, "timerd_attempts_in_flight").await == 0.0).then_some(())
    })
    .await;
    pass_with_sentinel(&cluster, 0, "past", now_ms() + 200, &receiver).await;
    assert!(now_ms() < later_at, "the other still waits");
    let waiting = cluster.get(0, "later").await.unwrap().json;
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("scheduled"), &json!(0)), "{waiting}");
    let after = cluster.get(0, "soon").await.unwrap().json;
    assert_eq!((&after["version"], &after["attempts"]), (&delivered["version"], &json!(1)), "{after}");
    assert_eq!(after["generation"], generations[0], "{after}");
    let later = cluster.wait_for_state(0, "later", "delivered", WAIT).await;
    assert_eq!((&later["generation"], &later["attempts"]), (&json!(generations[1]), &json!(1)), "{later}");
    for (id, at_ms) in [("soon", soon_at), ("later", later_at)] {
        let calls = receiver.by_id()[id].clone();
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert!((at_ms..at_ms + 1_000).contains(&calls[1].at_ms), "{calls:?}");
        assert!(calls[0].webhook_id != calls[1].webhook_id && calls[0].token < calls[1].token, "{calls:?}");
    }
}

/// Sends a PUT and closes the connection without waiting for the answer.
async fn put_and_leave(cluster: &Cluster, node: usize, id: &str, key: &str, body: &Value) {
    let address = cluster.nodes[node].url.strip_prefix("http://").unwrap();
    let body = body.to_string();
    let request = format!(
        "PUT /api/v1/groups/default/timers/{id} HTTP/1.1\r\nhost: {address}\r\nidempotency-key: {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// A PUT whose answer was lost may be repeated, through any node, with or without its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_put_fires_once() {
    let cluster = Cluster::start(3, 2).await;
    let receiver = Receiver::start().await;
    let due = now_ms() + 2_000;
    let body = timer_at(due, &receiver);
    for n in 0..10 {
        let (id, key) = (format!("again-{n}"), format!("key-{n}"));
        let keyed = [("idempotency-key", key.as_str())];
        put_and_leave(&cluster, n % 3, &id, &key, &body).await;
        let url = cluster.timer((n + 1) % 3, &id);
        let second = cluster.client.send("PUT", &url, &keyed, Some(&body)).await.unwrap();
        let url = cluster.timer((n + 2) % 3, &id);
        let third = cluster.client.send("PUT", &url, &keyed, Some(&body)).await.unwrap();
        let fourth = cluster.put(n % 3, &id, &body).await.unwrap();
        assert_eq!((second.status, third.status, fourth.status), (201, 201, 200), "{}", fourth.text);
        assert_eq!(third.headers["idempotency-replayed"], "true");
        assert_eq!(second.json["generation"], fourth.json["generation"]);
        let mut other = body.clone();
        other["payload"] = json!("another");
        let reused = cluster.client.send("PUT", &url, &keyed, Some(&other)).await.unwrap();
        assert_eq!((reused.status, &reused.json["code"]), (422, &json!("IDEMPOTENCY_KEY_REUSED")));
    }
    assert!(now_ms() < due, "all were sent before the due time");
    receiver.wait_until("all fire", WAIT, |calls| calls.len() >= 10).await;
    for n in 0..10 {
        let id = format!("again-{n}");
        cluster.wait_for_state(n % 3, &id, "delivered", WAIT).await;
        let late = cluster.put(n % 3, &id, &body).await.unwrap();
        assert_eq!((late.status, &late.json["state"]), (200, &json!("delivered")), "{}", late.text);
    }
    for n in 0..10 {
        pass_with_sentinel(&cluster, n % 3, &format!("past-{n}"), now_ms(), &receiver).await;
    }
    assert_eq!(receiver.calls().len(), 20, "{:?}", receiver.calls());
}

/// Of two who create the same timer at once through two nodes, exactly one did.
#[tokio::test(flavor = "multi_thread")]
async fn if_none_match_lets_exactly_one_of_two_create() {
    let cluster = Cluster::start(3, 2).await;
    let receiver = Receiver::start().await;
    let only_new = [("if-none-match", "*")];
    for n in 0..20_usize {
        let id = format!("new-{n}");
        let urls = [cluster.timer(n % 3, &id), cluster.timer((n + 1) % 3, &id)];
        let bodies = [0, 1].map(|who| {
            let mut body = timer_at(now_ms() + 600, &receiver);
            body["payload"] = json!(who);
            body
        });
        let (one, two) = tokio::join!(
            cluster.client.send("PUT", &urls[0], &only_new, Some(&bodies[0])),
            cluster.client.send("PUT", &urls[1], &only_new, Some(&bodies[1])),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 412], "{} {}", one.text, two.text);
        let winner = if one.status == 201 { &one } else { &two };
        let got = cluster.get((n + 2) % 3, &id).await.unwrap();
        assert_eq!((&got.json["payload"], got.status), (&winner.json["payload"], 200), "{}", got.text);
    }
    receiver.wait_until("all fire", WAIT, |calls| calls.len() >= 20).await;
    let by_id = receiver.by_id();
    assert_eq!((by_id.len(), receiver.calls().len()), (20, 20));
}
