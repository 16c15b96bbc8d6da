//! A destination that hangs holds up nobody but itself.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::receiver::{Receiver, Script, now_ms, rfc3339};

/// More than all attempts that a node may have under way at once (`delivery.concurrency_max`).
const HANGING: usize = 1_500;
const OTHERS: usize = 200;
/// On two busy cores; without the bound of a destination it would be the time-out, 30 s.
const LATE_MAX_MS: u64 = 5_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_hangs_does_not_hold_up_the_others() {
    let cluster = Cluster::start(1, 4).await;
    let hangs = Receiver::scripted(|_| Script { delay: Duration::from_secs(60), ..Script::default() }).await;
    let answers = Receiver::start().await;
    let due = now_ms() + 8_000;
    let timers = |prefix: &str, url: &str, number: usize, at: u64| -> Vec<(String, Value)> {
        let body = json!({"executeAt": rfc3339(at), "callbackUrl": url, "callbackTimeout": "30s"});
        (0..number).map(|n| (format!("{prefix}-{n}"), body.clone())).collect()
    };
    cluster.put_all(&timers("hangs", &hangs.url, HANGING, due)).await;
    // Due behind all of those: a queue without an order by destination would let them wait.
    cluster.put_all(&timers("answers", &answers.url, OTHERS, due + 500)).await;
    assert!(now_ms() < due, "the machine was too slow to create them before they are due");
    answers.wait_until("all of the others", Duration::from_secs(60), |calls| calls.len() >= OTHERS).await;
    let calls = answers.calls();
    let latest = calls.iter().map(|call| call.at_ms - call.scheduled_ms).max().unwrap_or_default();
    let held = hangs.calls().len();
    println!("{OTHERS} others at most {latest} ms late while {held} attempts hung");
    assert!(held > 0 && held < HANGING, "{held} hung");
    assert!(latest < LATE_MAX_MS, "{latest} ms late");
}
