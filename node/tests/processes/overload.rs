//! More requests than a node takes: those beyond are refused at once, with a true outcome, and nothing else breaks.

use std::time::{Duration, Instant};

use serde_json::json;

use super::cluster::Cluster;

/// The shortest queue that may be configured.
const ONE_SMALL_QUEUE: &str = "[raft]\nqueue_commands_max = 100\n";
const AT_ONCE: usize = 600;
/// Until some were refused; one is enough on any machine that was seen.
const ROUNDS_MAX: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_queue_is_refused_at_once_and_was_not_applied() {
    let cluster = Cluster::start_with(1, 1, ONE_SMALL_QUEUE).await;
    let body = json!({"delay": "30d", "callbackUrl": "http://127.0.0.1:1/"});
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS_MAX {
        let begun = Instant::now();
        let puts = (0..AT_ONCE).map(|n| {
            let (cluster, body, id) = (&cluster, &body, format!("t-{round}-{n}"));
            async move { (id.clone(), cluster.put(0, &id, body).await.unwrap()) }
        });
        for (id, answer) in futures_util::future::join_all(puts).await {
            match answer.status {
                201 => taken.push(id),
                503 => {
                    assert_eq!(answer.json["code"], "OVERLOADED", "{}", answer.text);
                    assert_eq!(answer.json["outcome"], "notApplied", "{}", answer.text);
                    assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
                    refused.push(id);
                }
                other => panic!("{id}: {other} {}", answer.text),
            }
        }
        println!("{} taken, {} refused after {:?}", taken.len(), refused.len(), begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(10), "nothing may hang");
        if !refused.is_empty() {
            break;
        }
    }
    assert!(!refused.is_empty() && !taken.is_empty());
    for id in &taken {
        assert_eq!(cluster.get(0, id).await.unwrap().status, 200, "{id} was taken");
    }
    for id in &refused {
        assert_eq!(cluster.get(0, id).await.unwrap().status, 404, "{id} was refused");
    }
    assert_eq!(cluster.put(0, "afterwards", &body).await.unwrap().status, 201);
}
