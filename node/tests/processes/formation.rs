//! How blank nodes become a cluster, and what a node that has lost its disk may not do.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::client::eventually;
use super::cluster::{Cluster, Process};

const WAIT: Duration = Duration::from_secs(20);

async fn ready_status(cluster: &Cluster, node: usize) -> Option<u16> {
    let url = format!("{}/readyz", cluster.nodes[node].url);
    cluster.client.send("GET", &url, &[], None).await.ok().map(|answer| answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_forms_until_every_listed_node_is_there() {
    let mut cluster = Cluster::prepared(3, 2).await;
    cluster.nodes[..2].iter_mut().for_each(Process::start);
    for node in 0..2 {
        eventually("the log says who is missing", WAIT, || async {
            cluster.nodes[node].log().contains("no answer from n3").then_some(())
        })
        .await;
    }
    // Two of three would be a quorum; several rounds of asking pass without one.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for node in 0..2 {
        assert_eq!(ready_status(&cluster, node).await, Some(503));
        let body = json!({"delay": "1h", "callbackUrl": "http://127.0.0.1:1/"});
        let answer = cluster.put(node, "too-early", &body).await.unwrap();
        assert_eq!(
            (answer.status, answer.json["outcome"].as_str()),
            (503, Some("notApplied")),
            "{}",
            answer.text
        );
        assert!(!cluster.nodes[node].data.join("log").exists(), "a blank node has no log");
    }
    cluster.nodes[2].start();
    cluster.wait_ready().await;
    let view =
        cluster.client.send("GET", &format!("{}/api/v1/cluster", cluster.nodes[2].url), &[], None).await;
    assert_eq!(view.unwrap().json["nodes"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_disk_stays_out_and_says_so() {
    let mut cluster = Cluster::start(3, 2).await;
    let body = json!({"delay": "30d", "callbackUrl": "http://127.0.0.1:1/"});
    cluster.put_ok(0, "there", &body).await;
    cluster.nodes[2].kill();
    fs::remove_dir_all(&cluster.nodes[2].data).unwrap();
    cluster.nodes[2].start();
    eventually("the log says why it stays out", WAIT, || async {
        cluster.nodes[2].log().contains("a node that lost its disk must not come back").then_some(())
    })
    .await;
    assert_eq!(ready_status(&cluster, 2).await, Some(503));
    // Even when one of the two others goes as well, it is no voter: nothing is decided without a quorum.
    cluster.nodes[1].kill();
    eventually("writes are refused", WAIT, || async {
        let answer = cluster.put(0, "not taken", &body).await.ok()?;
        (answer.status == 503).then_some(())
    })
    .await;
    assert_eq!(ready_status(&cluster, 2).await, Some(503));
    cluster.nodes[1].start();
    eventually("the two of three serve again", WAIT, || async {
        (cluster.get(0, "there").await.ok()?.status == 200).then_some(())
    })
    .await;
}
