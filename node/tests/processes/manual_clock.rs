//! Timers that are thirty days ahead, seen whole in a moment: the clock of `timerd dev --clock manual` stands still until it is
//! told to go on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::eventually;
use super::dev_server::Server;
use super::receiver::{Receiver, Script};

const WAIT: Duration = Duration::from_secs(20);
const TIMER: &str = "/groups/default/timers/far";

async fn advance(server: &Server, by: &str) {
    server.done("POST /dev/clock", Some(&json!({ "by": by }))).await;
}

/// Waits until so many attempts have been made, and gives the timer.
async fn after_attempts(server: &Server, attempts: u64) -> Value {
    eventually(&format!("{attempts} attempts are made"), WAIT, || async move {
        let read = server.call(&format!("GET {TIMER}"), None).await;
        (read.json["attempts"] == attempts).then_some(read.json)
    })
    .await
}

/// How long it took in real time is printed, not judged: a machine can be busy.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_days_and_three_retries_pass_in_a_moment() {
    let receiver = Receiver::scripted(|call| {
        let status = if call.id == "far" && call.attempt <= 3 { 500 } else { 200 };
        Script { status, ..Script::default() }
    })
    .await;
    let server = Server::start("info", &["--clock", "manual"]).await;
    let begun = Instant::now();
    let retry = json!({"initialInterval": "1h", "maxInterval": "4h", "jitter": 0.0});
    let body = json!({"delay": "30d", "callbackUrl": receiver.url, "retryPolicy": retry});
    server.done(&format!("PUT {TIMER}"), Some(&body)).await;
    advance(&server, "29d23h59m59s999ms").await;
    // One that is due now comes, and by then the other would have come too.
    let now = json!({"delay": "0s", "callbackUrl": receiver.url});
    server.done("PUT /groups/default/timers/now", Some(&now)).await;
    receiver.wait_until("what is due now", WAIT, |calls| !calls.is_empty()).await;
    assert_eq!(receiver.calls()[0].id, "now", "a millisecond before its time");
    advance(&server, "1ms").await;
    for (attempts, wait) in [(1, "1h"), (2, "2h"), (3, "4h")] {
        let timer = after_attempts(&server, attempts).await;
        assert_eq!((&timer["state"], receiver.calls().len() as u64), (&json!("retrying"), attempts + 1));
        advance(&server, wait).await;
    }
    let timer = after_attempts(&server, 4).await;
    assert_eq!(timer["state"], "delivered");
    let history = server.call(&format!("GET {TIMER}/attempts"), None).await.json;
    let at = |n: usize| history["attempts"][n]["scheduledAt"].as_str().unwrap().to_owned();
    println!("thirty days and seven hours, first due {}, last {}, in {:?}", at(3), at(0), begun.elapsed());
    let outcomes: Vec<&Value> = (0..4).map(|n| &history["attempts"][n]["outcome"]).collect();
    assert_eq!(outcomes, ["delivered", "failed", "failed", "failed"]);
}
