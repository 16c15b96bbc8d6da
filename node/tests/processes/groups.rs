//! Groups on a real cluster: known to every node when their change is answered, also to one that remembers another group of
//! the same name; and kept through restarts.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, eventually};
use super::cluster::{Cluster, END_MAX};
use super::receiver::{Receiver, now_ms, rfc3339};

const WAIT: Duration = Duration::from_secs(20);

async fn call(cluster: &Cluster, node: usize, line: &str, body: Option<&Value>) -> Answer {
    let (method, rest) = line.split_once(' ').unwrap();
    let url = format!("{}/api/v1/groups{rest}", cluster.nodes[node].url);
    cluster.client.send(method, &url, &[], body).await.unwrap()
}

/// Timers `0` to `number` of a group, each made through another node than it is read through.
async fn put_and_get(cluster: &Cluster, group: &str, number: usize, url: &str) {
    let body = json!({"delay": "1h", "callbackUrl": url});
    for n in 0..number {
        let made = call(cluster, n % 3, &format!("PUT /{group}/timers/{n}"), Some(&body)).await;
        assert_eq!(made.status, 201, "{n}: {}", made.text);
        let read = call(cluster, (n + 1) % 3, &format!("GET /{group}/timers/{n}"), None).await;
        assert_eq!((read.status, &read.json["shard"]), (200, &made.json["shard"]), "{n}: {}", read.text);
    }
}

async fn ids(cluster: &Cluster, node: usize, group: &str) -> usize {
    let listed = call(cluster, node, &format!("GET /{group}/timers?limit=1000"), None).await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    listed.json["timers"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_knows_a_group_when_its_change_is_answered() {
    let cluster = Cluster::start(3, 4).await;
    let receiver = Receiver::start().await;
    for (n, shards) in [(0, 1), (1, 2), (2, 4)] {
        let group = format!("g{n}");
        let none = call(
            &cluster,
            n,
            &format!("PUT /{group}/timers/x"),
            Some(&json!({"delay": "1h", "callbackUrl": receiver.url})),
        )
        .await;
        assert_eq!((none.status, &none.json["code"]), (404, &json!("GROUP_NOT_FOUND")));
        let made = call(&cluster, n, &format!("PUT /{group}"), Some(&json!({"shards": shards}))).await;
        assert_eq!((made.status, &made.json["shards"]), (201, &json!(shards)), "{}", made.text);
        put_and_get(&cluster, &group, 12, &receiver.url).await;
        for node in 0..3 {
            assert_eq!(ids(&cluster, node, &group).await, 12);
        }
    }
    let due = json!({"executeAt": rfc3339(now_ms()), "callbackUrl": receiver.url});
    assert_eq!(call(&cluster, 0, "PUT /g1/timers/due", Some(&due)).await.status, 201);
    let cluster = &cluster;
    eventually("a timer of a group fires", WAIT, || async move {
        let read = call(cluster, 2, "GET /g1/timers/due", None).await;
        (read.json["state"] == "delivered").then_some(())
    })
    .await;
    let pages = call(cluster, 1, "GET ", None).await;
    let names: Vec<&str> = pages.json["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["default", "g0", "g1", "g2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_remembers_a_deleted_group_of_the_same_name_writes_to_the_right_shards() {
    let cluster = Cluster::start(3, 4).await;
    for shards in [1, 4, 2, 3] {
        let made = call(&cluster, 0, "PUT /g", Some(&json!({"shards": shards}))).await;
        assert_eq!(made.status, 201, "{}", made.text);
        // All nodes come to know it, with this number of shards.
        put_and_get(&cluster, "g", 9, "http://127.0.0.1:1/").await;
        for node in 0..3 {
            assert_eq!(ids(&cluster, node, "g").await, 9, "{shards} shards");
        }
        let refused = call(&cluster, 1, "DELETE /g", None).await;
        assert_eq!(
            (refused.status, &refused.json["code"]),
            (409, &json!("GROUP_NOT_EMPTY")),
            "{}",
            refused.text
        );
        for n in 0..9 {
            for line in [format!("DELETE /g/timers/{n}"), format!("DELETE /g/timers/{n}?purge=true")] {
                assert_eq!(call(&cluster, 2, &line, None).await.status, 200, "{line}");
            }
        }
        assert_eq!(call(&cluster, 1, "DELETE /g", None).await.status, 204);
        for node in 0..3 {
            assert_eq!(call(&cluster, node, "GET /g/timers/0", None).await.json["code"], "GROUP_NOT_FOUND");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_their_settings_outlive_restarts_and_leaders() {
    let mut cluster = Cluster::start(3, 2).await;
    let made = call(&cluster, 0, "PUT /g", Some(&json!({"maxPending": 4, "retention": "2h"}))).await;
    assert_eq!(made.status, 201, "{}", made.text);
    put_and_get(&cluster, "g", 2, "http://127.0.0.1:1/").await;
    for node in 0..3 {
        cluster.nodes[node].kill();
    }
    for node in 0..3 {
        cluster.nodes[node].start();
    }
    let asked = &cluster;
    let read = eventually("the group is read after all nodes were killed", WAIT, || async move {
        let url = format!("{}/api/v1/groups/g", asked.nodes[1].url);
        asked.client.send("GET", &url, &[], None).await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    assert_eq!(read.json, made.json);
    // Two shards take two each: of more, some are refused, whichever shards they belong to.
    let body = json!({"delay": "1h", "callbackUrl": "http://127.0.0.1:1/"});
    let (mut taken, mut refused) = (2, 0);
    for n in 2..20 {
        let asked = &cluster;
        let body = &body;
        let answer = eventually("an answer that is not for want of a leader", WAIT, || async move {
            let url = format!("{}/api/v1/groups/g/timers/{n}", asked.nodes[n % 3].url);
            let answer = asked.client.send("PUT", &url, &[], Some(body)).await.ok()?;
            (answer.status != 503).then_some(answer)
        })
        .await;
        match answer.status {
            201 => taken += 1,
            429 => refused += 1,
            _ => panic!("{}", answer.text),
        }
    }
    assert_eq!((taken, refused), (4, 16), "the bound holds over all shards");
    for node in 0..3 {
        assert_eq!(cluster.nodes[node].terminate_within(END_MAX).await, Some(0));
        let check = super::checking::check(&cluster.nodes[node].data, &[]);
        let text = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(check.status.success() && text.contains("meta"), "{text}");
    }
}

/// Has timers of the group `g` fire now, enough for every shard to have some, and asserts that each callback has so many
/// signatures.
async fn fire_signed(cluster: &Cluster, receiver: &Receiver, round: &str, signatures: usize) {
    const TIMERS: usize = 40;
    let body = json!({"executeAt": rfc3339(now_ms()), "callbackUrl": receiver.url});
    for n in 0..TIMERS {
        let made = call(cluster, n % 3, &format!("PUT /g/timers/{round}-{n}"), Some(&body)).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let of_round = |calls: &[super::receiver::Call]| {
        calls.iter().filter(|call| call.id.starts_with(round)).map(|call| call.signatures).collect::<Vec<_>>()
    };
    receiver.wait_until(round, WAIT, |calls| of_round(calls).len() >= TIMERS).await;
    let other = of_round(&receiver.calls()).into_iter().find(|number| *number != signatures);
    assert_eq!(other, None, "{round}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_group_sign_in_every_shard_and_outlive_restarts() {
    let mut cluster = Cluster::start(3, 4).await;
    let receiver = Receiver::start().await;
    let made = call(&cluster, 0, "PUT /g", Some(&json!({}))).await;
    assert_eq!(made.status, 201, "{}", made.text);
    fire_signed(&cluster, &receiver, "unsigned", 0).await;
    let mut secrets = Vec::new();
    for (node, round) in [(0, "one"), (1, "two")] {
        let made = call(&cluster, node, "POST /g/signing-secrets", None).await;
        assert_eq!(made.status, 201, "{}", made.text);
        secrets.push(made.json);
        fire_signed(&cluster, &receiver, round, secrets.len()).await;
    }
    let id = |n: usize| secrets[n]["id"].as_str().unwrap();
    let deleted = call(&cluster, 2, &format!("DELETE /g/signing-secrets/{}", id(0)), None).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    fire_signed(&cluster, &receiver, "rotated", 1).await;
    for node in &mut cluster.nodes {
        node.kill();
    }
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.wait_ready().await;
    let listed = call(&cluster, 1, "GET /g/signing-secrets", None).await;
    let expected = json!([{"id": id(1), "createdAt": secrets[1]["createdAt"]}]);
    assert_eq!(listed.json["signingSecrets"], expected, "{}", listed.text);
    fire_signed(&cluster, &receiver, "restarted", 1).await;
    for node in &mut cluster.nodes {
        assert_eq!(node.terminate_within(END_MAX).await, Some(0));
        let check = super::checking::check(&node.data, &[]);
        let mut said = node.log();
        said += &String::from_utf8_lossy(&check.stdout);
        said += &String::from_utf8_lossy(&check.stderr);
        for secret in &secrets {
            let text = secret["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap();
            assert!(!said.contains(text), "{} shows a secret", node.name);
        }
    }
}
