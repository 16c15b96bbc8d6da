//! Many operations in one request, on a real cluster: in their order through any node, and done once however often the
//! request is repeated.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Client, eventually};
use super::cluster::Cluster;
use super::receiver::Receiver;

const WAIT: Duration = Duration::from_secs(20);

async fn batch(client: Client, url: String, key: String, body: Value) -> Result<Answer, String> {
    let url = format!("{url}/api/v1/groups/default/batch");
    client.send("POST", &url, &[("idempotency-key", &key)], Some(&body)).await
}

fn results(answer: &Answer) -> &[Value] {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json["results"].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_on_one_timer_take_effect_in_their_order_through_any_node() {
    const TIMERS: usize = 40;
    const STEPS: usize = 5;
    let cluster = Cluster::start(3, 4).await;
    for node in 0..3 {
        // All timers' first operations, then all their second ones, …: those of one timer are far apart and side by side
        // with others.
        let id = |timer: usize| format!("n{node}-{timer}");
        let puts = (0..TIMERS).map(|timer| {
            json!({"op": "put", "id": id(timer), "delay": "1h", "callbackUrl": "http://127.0.0.1:9/"})
        });
        let patches = (0..STEPS * TIMERS).map(|n| {
            let step = (n / TIMERS).to_string();
            json!({"op": "patch", "id": id(n % TIMERS), "labels": {"step": step}})
        });
        let reads = (0..TIMERS).map(|timer| json!({"op": "get", "id": id(timer)}));
        let operations: Vec<Value> = puts.chain(patches).chain(reads).collect();
        let body = json!({ "operations": operations });
        let (client, url) = (cluster.client.clone(), cluster.nodes[node].url.clone());
        let answer = batch(client, url, format!("k{node}"), body).await.unwrap();
        let results = results(&answer);
        assert_eq!(results.len(), operations.len());
        for timer in 0..TIMERS {
            let of_it: Vec<&Value> = results.iter().skip(timer).step_by(TIMERS).collect();
            let versions: Vec<u64> = of_it.iter().map(|r| r["timer"]["version"].as_u64().unwrap()).collect();
            assert!(versions[..=STEPS].is_sorted_by(|a, b| a < b), "{versions:?}");
            assert_eq!(versions[STEPS], versions[STEPS + 1], "the read sees the last change");
            assert_eq!(of_it[STEPS + 1]["timer"]["labels"]["step"], (STEPS - 1).to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_met_a_dying_leader_is_repeated_and_makes_every_timer_once() {
    const TIMERS: usize = 600;
    const LOG: &str = "timerd_raft_last_log_index{shard=\"0\"}";
    let mut cluster = Cluster::start(3, 4).await;
    let receiver = Receiver::start().await;
    let leader = cluster.leader_of(0).await;
    let other = cluster.other_than(leader);
    // Without ids: were an operation done twice, there would be one timer more.
    let create = json!({"op": "create", "delay": "8s", "callbackUrl": receiver.url});
    let body = json!({ "operations": vec![create; TIMERS] });
    let (client, url) = (cluster.client.clone(), cluster.nodes[other].url.clone());
    let ask = || batch(client.clone(), url.clone(), "k".to_owned(), body.clone());
    let before = cluster.metric(leader, LOG).await;
    let first = tokio::spawn(ask());
    eventually("the leader has begun with it", WAIT, || async {
        (cluster.metric(leader, LOG).await > before).then_some(())
    })
    .await;
    cluster.nodes[leader].kill();
    let _ = first.await.unwrap();
    let done = eventually("every operation is done", WAIT, || async {
        let answer = ask().await.ok()?;
        let open = |result: &Value| result["status"].as_u64().unwrap() >= 500;
        (!results(&answer).iter().any(open)).then_some(answer)
    })
    .await;
    let ids: BTreeSet<String> =
        results(&done).iter().map(|result| result["timer"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), TIMERS);
    receiver
        .wait_until("every timer", WAIT, |calls| {
            calls.iter().map(|call| &call.id).collect::<BTreeSet<_>>().len() >= TIMERS
        })
        .await;
    assert_eq!(receiver.by_id().into_keys().collect::<BTreeSet<_>>(), ids);
}
