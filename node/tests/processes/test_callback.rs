//! A callback that is sent as a test goes out as a timer's would, and what comes back is shown, whatever it is.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::receiver::{Receiver, Script};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_answers_is_shown_before_there_is_a_timer() {
    let cluster = Cluster::start_tuned(1, 1, &[("TIMERD_HTTP__REQUEST_TIMEOUT_MS", "3000")]).await;
    let receiver = Receiver::scripted(|call| {
        let status = if call.id == "no" { 500 } else { 200 };
        let delay = Duration::from_secs(if call.id == "late" { 60 } else { 0 });
        Script { status, delay, body: format!("I am {}", call.id) }
    })
    .await;
    let url = format!("{}/api/v1/groups/default/test-callback", cluster.nodes[0].url);
    let test = async |body: Value| {
        let answer = cluster.client.send("POST", &url, &[], Some(&body)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json
    };
    let to = |id: Option<&str>| json!({"callbackUrl": receiver.url, "payload": {"a": 1}, "id": id});
    let taken = test(json!({"callbackUrl": receiver.url, "payload": {"a": 1}})).await;
    let calls = receiver.calls();
    assert_eq!((calls.len(), calls[0].attempt, calls[0].token), (1, 1, 0));
    assert!(calls[0].id.starts_with("test-"), "{}", calls[0].id);
    let shown = (&taken["outcome"], &taken["statusCode"], &taken["answer"]);
    assert_eq!(shown, (&json!("delivered"), &json!(200), &json!(format!("I am {}", calls[0].id))));
    let refused = test(to(Some("no"))).await;
    assert_eq!((&refused["outcome"], &refused["error"]["kind"]), (&json!("failed"), &json!("HTTP_STATUS")));
    // Less than its own 30 s, or the request would be over before.
    let late = test(to(Some("late"))).await;
    assert_eq!((&late["outcome"], &late["error"]["kind"]), (&json!("failed"), &json!("ANSWER_TIMED_OUT")));
    let nobody = test(json!({"callbackUrl": "http://127.0.0.1:1/"})).await;
    assert_eq!(nobody["error"]["kind"], "CONNECTION_REFUSED");
    for id in ["no", "late", &calls[0].id] {
        assert_eq!(cluster.get(0, id).await.unwrap().json["code"], "TIMER_NOT_FOUND", "{id}");
    }
    assert_eq!(receiver.calls().len(), 3, "sent once each");
}
