//! `timerd check`: what it says of a data directory.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::cluster::{Cluster, END_MAX, files_with_ending};

/// `timerd check` of a data directory.
pub fn check(dir: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timerd"));
    command.arg("check").arg("--data-dir").arg(dir).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_is_whole_until_a_bit_is_flipped() {
    let mut cluster = Cluster::start(1, 2).await;
    let dir = cluster.nodes[0].data.clone();
    let body = json!({"delay": "30d", "callbackUrl": "http://127.0.0.1:1/", "payload": "x".repeat(2000)});
    let timers: Vec<(String, Value)> = (0..200).map(|n| (format!("kept-{n}"), body.clone())).collect();
    cluster.put_all(&timers).await;
    let running = check(&dir, &[]);
    assert_eq!(running.status.code(), Some(1));
    assert!(text(&running.stderr).contains("in use"), "{}", text(&running.stderr));
    assert_eq!(cluster.nodes[0].terminate_within(END_MAX).await, Some(0));

    let whole = check(&dir, &[]);
    println!("{}", text(&whole.stdout));
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stderr));
    let [once, again] = [0, 1].map(|_| {
        let found = check(&dir, &["--output", "json"]);
        serde_json::from_slice::<Value>(&found.stdout).unwrap()
    });
    assert_eq!(once, again, "looking changes nothing");
    let shards = once["shards"].as_array().unwrap();
    assert_eq!((shards.len(), &once["node"]), (3, &json!("n1")), "two of timers, and the meta shard");
    assert!(shards.iter().all(|shard| shard["appliedIndex"].as_u64() > Some(1) && shard["fault"].is_null()));
    assert!(shards[0]["stateHash"] != shards[1]["stateHash"], "{once}");

    for file in files_with_ending(&dir.join("state"), "sst") {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(&file, &bytes).unwrap();
    }
    let damaged = check(&dir, &[]);
    println!("{}", text(&damaged.stderr));
    assert_eq!(damaged.status.code(), Some(1));
    assert!(text(&damaged.stderr).contains("state"), "{}", text(&damaged.stderr));
}

#[test]
fn a_directory_of_no_node_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let found = check(dir.path(), &[]);
    assert_eq!(found.status.code(), Some(1));
    assert!(text(&found.stderr).contains("identity"), "{}", text(&found.stderr));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
