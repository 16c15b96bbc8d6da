//! What happens after an attempt: retries by policy, death, new life, "not yet", the next generation.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::receiver::{Call, Receiver, Script, now_ms, rfc3339};

const WAIT: Duration = Duration::from_secs(10);

fn status(status: u16) -> Script {
    Script { status, ..Script::default() }
}

fn says(body: &Value) -> Script {
    Script { body: body.to_string(), ..Script::default() }
}

/// A timer that is due now and, when it fails, tries again after `interval`, always the same.
fn due_now(receiver: &Receiver, attempts: u32, interval: &str) -> Value {
    json!({"executeAt": rfc3339(now_ms()), "callbackUrl": receiver.url, "retryPolicy": {
        "maxAttempts": attempts, "initialInterval": interval, "backoffMultiplier": 1, "jitter": 0}})
}

fn attempts_of(receiver: &Receiver, id: &str) -> Vec<u64> {
    receiver.calls().iter().filter(|call| call.id == id).map(|call| call.attempt).collect()
}

/// C28: exactly as many requests as the policy has, then dead; the id and the timer can both be used again.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_always_fails_dies_and_can_be_redriven_or_replaced() {
    let cluster = Cluster::start(1, 1).await;
    let receiver = Receiver::scripted(|call| if call.attempt <= 3 { status(500) } else { status(200) }).await;
    let first = cluster.put_ok(0, "redriven", &due_now(&receiver, 3, "250ms")).await;
    cluster.put_ok(0, "replaced", &due_now(&receiver, 3, "250ms")).await;
    for id in ["redriven", "replaced"] {
        let dead = cluster.wait_for_state(0, id, "dead", WAIT).await;
        assert_eq!((&dead["attempts"], &dead["state"]), (&json!(3), &json!("dead")), "{dead}");
        assert_eq!(dead["lastError"]["statusCode"], 500, "{dead}");
        assert_eq!(attempts_of(&receiver, id), [1, 2, 3]);
    }
    let calls = receiver.by_id()["redriven"].clone();
    assert!(calls.iter().all(|call| call.webhook_id == calls[0].webhook_id), "{calls:?}");
    assert!(calls.windows(2).all(|pair| pair[1].at_ms - pair[0].at_ms >= 250), "{calls:?}");

    assert_eq!(cluster.post(0, "redriven", "redrive").await.status, 200);
    let delivered = cluster.wait_for_state(0, "redriven", "delivered", WAIT).await;
    assert_eq!((&delivered["attempts"], &delivered["generation"]), (&json!(4), &first["generation"]));
    assert_eq!(attempts_of(&receiver, "redriven"), [1, 2, 3, 4]);
    let again = cluster.post(0, "redriven", "redrive").await;
    assert_eq!((again.status, &again.json["code"]), (409, &json!("TIMER_FINISHED")), "{}", again.text);

    let old = calls_webhook(&receiver, "replaced");
    let anew = cluster.put_ok(0, "replaced", &due_now(&receiver, 2, "250ms")).await;
    let dead = cluster.wait_for_state(0, "replaced", "dead", WAIT).await;
    assert_eq!((&dead["attempts"], &dead["generation"]), (&json!(2), &anew["generation"]), "{dead}");
    assert_eq!(attempts_of(&receiver, "replaced"), [1, 2, 3, 1, 2]);
    assert_ne!(calls_webhook(&receiver, "replaced"), old, "another generation has another webhook-id");
}

/// The `webhook-id` of the last call of a timer.
fn calls_webhook(receiver: &Receiver, id: &str) -> String {
    receiver.by_id()[id].last().unwrap().webhook_id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_says_not_ok_is_asked_again() {
    let cluster = Cluster::start(1, 1).await;
    let receiver = Receiver::scripted(|call| says(&json!({"ok": call.attempt > 2}))).await;
    cluster.put_ok(0, "a", &due_now(&receiver, 5, "300ms")).await;
    let delivered = cluster.wait_for_state(0, "a", "delivered", WAIT).await;
    assert_eq!(delivered["attempts"], 3, "{delivered}");
    assert_eq!(attempts_of(&receiver, "a"), [1, 2, 3]);
    let one = cluster.put_ok(0, "b", &due_now(&receiver, 1, "300ms")).await;
    let dead = cluster.wait_for_state(0, "b", "dead", WAIT).await;
    assert_eq!(dead["lastError"]["kind"], "RECEIVER_REFUSED", "{dead}");
    assert_eq!((&dead["generation"], attempts_of(&receiver, "b")), (&one["generation"], vec![1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_make_the_next_generation_or_put_off_this_one() {
    let cluster = Cluster::start(1, 1).await;
    let next = now_ms() + 2_500;
    let receiver = Receiver::scripted(move |call| {
        // Each asks once; what comes at or after `next` is what was asked for.
        let ok = call.id == "again";
        if call.at_ms < next { says(&json!({"ok": ok, "nextExecuteAt": rfc3339(next)})) } else { status(200) }
    })
    .await;
    let first = cluster.put_ok(0, "again", &due_now(&receiver, 1, "300ms")).await;
    // With one attempt only: it could not be made if "not yet" had used it.
    cluster.put_ok(0, "not-yet", &due_now(&receiver, 1, "300ms")).await;
    receiver.wait_until("the first calls", WAIT, |calls| calls.len() == 2).await;
    assert!(now_ms() < next, "they asked");
    let again = cluster.wait_for_state(0, "again", "delivered", WAIT).await;
    let not_yet = cluster.wait_for_state(0, "not-yet", "delivered", WAIT).await;

    assert_eq!((&again["attempts"], &again["executeAt"]), (&json!(1), &json!(rfc3339(next))), "{again}");
    assert!(again["generation"].as_u64() > first["generation"].as_u64(), "{again}");
    assert_eq!((&not_yet["attempts"], &not_yet["deferrals"]), (&json!(1), &json!(1)), "{not_yet}");
    let by_id = receiver.by_id();
    let [one, two] = by_id["again"].as_slice() else { panic!("{by_id:?}") };
    assert_eq!((one.attempt, two.attempt, two.scheduled_ms), (1, 1, next));
    assert!(one.webhook_id != two.webhook_id && two.generation > one.generation);
    let [one, two] = by_id["not-yet"].as_slice() else { panic!("{by_id:?}") };
    assert_eq!((one.attempt, two.attempt, two.generation), (1, 2, one.generation));
    assert_eq!(one.webhook_id, two.webhook_id);
    let came_in_time = |call: &Call| (next..next + 1_000).contains(&call.at_ms);
    assert!(by_id.values().all(|calls| came_in_time(&calls[1])), "{by_id:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_go_on_where_they_were_when_the_leader_is_killed_between_them() {
    let mut cluster = Cluster::start(3, 1).await;
    let receiver = Receiver::scripted(|call| if call.attempt < 4 { status(500) } else { status(200) }).await;
    let leader = cluster.leader_of(0).await;
    let other = cluster.other_than(leader);
    for n in 0..5 {
        cluster.put_ok(other, &format!("r{n}"), &due_now(&receiver, 4, "1500ms")).await;
    }
    for n in 0..5 {
        let timer = cluster.wait_for_state(other, &format!("r{n}"), "retrying", WAIT).await;
        assert_eq!(timer["attempts"], 1, "{timer}");
    }
    cluster.nodes[leader].kill();
    for n in 0..5 {
        let id = format!("r{n}");
        let timer = cluster.wait_for_state(other, &id, "delivered", Duration::from_secs(15)).await;
        assert_eq!(timer["attempts"], 4, "{timer}");
        assert_eq!(attempts_of(&receiver, &id), [1, 2, 3, 4]);
        let calls = &receiver.by_id()[&id];
        assert!(calls.windows(2).all(|pair| pair[1].token > pair[0].token), "{calls:?}");
        assert!(calls.windows(2).all(|pair| pair[1].at_ms - pair[0].at_ms >= 1_500), "{calls:?}");
    }
}
