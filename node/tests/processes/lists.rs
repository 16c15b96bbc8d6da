//! Lists on a real cluster: what was acknowledged before a list was asked for is in it, through any node, in pages of any
//! size, also right after a leader has died.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::eventually;
use super::cluster::Cluster;
use super::receiver::{Receiver, now_ms, rfc3339};

const WAIT: Duration = Duration::from_secs(20);

/// All timers of a list, page by page through one node; an error is that of the first page that failed.
async fn all(cluster: &Cluster, node: usize, query: &str) -> Result<Vec<Value>, String> {
    let (mut timers, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = format!("{}/api/v1/groups/default/timers?{query}{cursor}", cluster.nodes[node].url);
        let answer = cluster.client.send("GET", &url, &[], None).await?;
        if answer.status != 200 {
            return Err(answer.text);
        }
        // Without those by which the cluster was found ready.
        let is_ours = |timer: &&Value| !timer["id"].as_str().unwrap().starts_with("probe-");
        timers.extend(answer.json["timers"].as_array().unwrap().iter().filter(is_ours).cloned());
        match answer.json["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(timers),
        }
    }
}

fn ids(timers: &[Value]) -> Vec<&str> {
    timers.iter().map(|timer| timer["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_everything_that_was_acknowledged_before_it_through_any_node() {
    const TIMERS: usize = 300;
    let mut cluster = Cluster::start(3, 4).await;
    let receiver = Receiver::start().await;
    let far = now_ms() + 3_600_000;
    // In the order of times another one than in that of ids.
    let at = |n: usize| far + (n as u64 * 7_919) % 100_000;
    let mut expected = BTreeMap::new();
    let timers: Vec<(String, Value)> = (0..TIMERS)
        .map(|n| {
            let id = format!("t/{n:03}");
            expected.insert(id.clone(), at(n));
            (id, json!({"executeAt": rfc3339(at(n)), "callbackUrl": receiver.url}))
        })
        .collect();
    cluster.put_all(&timers).await;
    let now = json!({"executeAt": rfc3339(now_ms()), "callbackUrl": receiver.url});
    cluster.put_ok(0, "fired", &now).await;
    cluster.wait_for_state(0, "fired", "delivered", WAIT).await;
    assert_eq!(cluster.delete(1, "t/007").await.unwrap().status, 200);
    expected.remove("t/007");

    let mut by_time: Vec<(u64, &str)> = expected.iter().map(|(id, at)| (*at, id.as_str())).collect();
    by_time.sort_unstable();
    let by_time: Vec<&str> = by_time.into_iter().map(|(_, id)| id).collect();
    let by_id: Vec<&str> = expected.keys().map(String::as_str).collect();
    for node in 0..3 {
        for limit in [7, 1_000] {
            let list = |query: &str| format!("limit={limit}&{query}");
            let scheduled = all(&cluster, node, &list("state=scheduled")).await.unwrap();
            assert_eq!(ids(&scheduled), by_id, "node {node}, {limit} a page");
            let scheduled = all(&cluster, node, &list("state=scheduled&orderBy=executeAt")).await.unwrap();
            assert_eq!(ids(&scheduled), by_time, "node {node}, {limit} a page");
            let rest = all(&cluster, node, &list("state=delivered,cancelled")).await.unwrap();
            assert_eq!(ids(&rest), ["fired", "t/007"]);
            let some = all(&cluster, node, &list("idPrefix=t/01")).await.unwrap();
            assert_eq!(ids(&some), &by_id[9..19]);
        }
    }

    let leader = cluster.leader_of(0).await;
    cluster.nodes[leader].kill();
    let node = cluster.other_than(leader);
    let cluster = &cluster;
    let list = || async move { all(cluster, node, "limit=50&state=scheduled").await.ok() };
    let listed = eventually("a list after the leader died", WAIT, list).await;
    assert_eq!(ids(&listed), by_id, "a page without a shard's timers would look whole");
}
