//! What a node must refuse, clearly and without harm to the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::checking::check;
use super::client::eventually;
use super::cluster::{Cluster, END_MAX, files_with_ending};

/// Writes `number` far-away timers through the first running node.
async fn write_some(cluster: &Cluster, prefix: &str, number: usize) {
    let through = (0..3).find(|n| cluster.nodes[*n].runs()).unwrap();
    let body = json!({"delay": "3000d", "callbackUrl": "http://127.0.0.1:1/", "payload": "x".repeat(2000)});
    for n in 0..number {
        let id = format!("{prefix}-{n}");
        eventually("a write is taken", Duration::from_secs(20), || async {
            let answer = cluster.put(through, &id, &body).await.ok()?;
            (answer.status < 300).then_some(())
        })
        .await;
    }
}

/// How many entries of all shards a stopped node has applied.
fn applied_at_rest(data: &Path) -> f64 {
    let found: Value = serde_json::from_slice(&check(data, &["--output", "json"]).stdout).unwrap();
    let shards = found["shards"].as_array().unwrap();
    shards.iter().map(|shard| shard["appliedIndex"].as_f64().unwrap()).sum()
}

/// Writes `number` far-away timers and waits until node 2, which had applied `at_rest` when it was stopped, has applied as
/// many entries more: a leader can do without it until their connection is back, and only what a node has applied is
/// sure to be acknowledged by it.
async fn write_to_all(cluster: &Cluster, at_rest: f64, prefix: &str, number: usize) {
    write_some(cluster, prefix, number).await;
    eventually("node 2 has applied it", Duration::from_secs(20), || async {
        let applied = cluster.metric_if_up(2, "timerd_raft_applied_index{").await?;
        (applied >= at_rest + number as f64).then_some(())
    })
    .await;
}

async fn all_there(cluster: &Cluster, through: usize, prefix: &str, number: usize) {
    for n in 0..number {
        let id = format!("{prefix}-{n}");
        eventually("an acknowledged timer is found", Duration::from_secs(20), || async {
            let answer = cluster.get(through, &id).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_flipped_bit_in_its_log_refuses_and_the_others_go_on() {
    let mut cluster = Cluster::start(3, 2).await;
    write_some(&cluster, "before", 300).await;
    cluster.nodes[2].kill();
    let wal = files_with_ending(&cluster.nodes[2].data.join("log"), "log");
    let wal = wal.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(wal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(wal, &bytes).unwrap();
    cluster.nodes[2].start();
    let code = cluster.nodes[2].ends_within(END_MAX).await;
    assert_eq!(code, Some(1));
    let said = cluster.nodes[2].last_words();
    println!("it says: {said}");
    assert!(said.contains("log"), "{said}");
    write_some(&cluster, "after", 50).await;
    all_there(&cluster, 0, "before", 300).await;
    all_there(&cluster, 1, "after", 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_older_log_files_than_it_acknowledged_refuses_and_the_others_go_on() {
    let mut cluster = Cluster::start(3, 2).await;
    write_some(&cluster, "before", 50).await;
    assert_eq!(cluster.nodes[2].terminate_within(END_MAX).await, Some(0));
    let (log, old) = (cluster.nodes[2].data.join("log"), cluster.nodes[2].data.join("../old-log"));
    copy_dir(&log, &old);
    let at_rest = applied_at_rest(&cluster.nodes[2].data);
    cluster.nodes[2].start();
    cluster.wait_ready().await;
    write_to_all(&cluster, at_rest, "after", 100).await;
    cluster.nodes[2].kill();
    fs::remove_dir_all(&log).unwrap();
    copy_dir(&old, &log);
    cluster.nodes[2].start();
    let code = cluster.nodes[2].ends_within(END_MAX).await;
    assert_eq!(code, Some(1));
    let said = cluster.nodes[2].last_words();
    println!("it says: {said}");
    assert!(!said.is_empty());
    all_there(&cluster, 0, "before", 50).await;
    all_there(&cluster, 0, "after", 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_older_data_directory_is_refused_by_the_others_and_ends() {
    let mut cluster = Cluster::start(3, 2).await;
    write_some(&cluster, "before", 20).await;
    assert_eq!(cluster.nodes[2].terminate_within(END_MAX).await, Some(0));
    let (data, old) = (cluster.nodes[2].data.clone(), cluster.nodes[2].data.join("../old-data"));
    copy_dir(&data, &old);
    let at_rest = applied_at_rest(&data);
    cluster.nodes[2].start();
    cluster.wait_ready().await;
    write_to_all(&cluster, at_rest, "after", 50).await;
    cluster.nodes[2].kill();
    // Everything is older, the high-water mark as well: only the others know.
    fs::remove_dir_all(&data).unwrap();
    copy_dir(&old, &data);
    cluster.nodes[2].start();
    assert_eq!(cluster.nodes[2].ends_within(END_MAX).await, Some(1));
    let said = cluster.nodes[2].last_words();
    println!("it says: {said}");
    assert!(said.contains("refuses this node") && said.contains("had acknowledged"), "{said}");
    all_there(&cluster, 0, "after", 50).await;
}

/// Flips a bit in each of the file's blocks of 1 KiB, so that whatever is read of it is damaged.
fn damage_everywhere(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes.iter_mut().skip(100).step_by(1024).for_each(|byte| *byte ^= 0x10);
    fs::write(path, &bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_state_is_damaged_ends_when_it_reads_it_and_the_others_go_on() {
    let mut cluster = Cluster::start(3, 2).await;
    write_some(&cluster, "before", 300).await;
    // In order, so that the state is in tables and all of them are in use: after a kill one can be half made, which
    // RocksDB throws away.
    assert_eq!(cluster.nodes[2].terminate_within(END_MAX).await, Some(0));
    let tables = files_with_ending(&cluster.nodes[2].data.join("state"), "sst");
    assert!(tables.iter().any(|path| fs::metadata(path).unwrap().len() > 4096));
    tables.iter().for_each(|path| damage_everywhere(path));
    cluster.nodes[2].start();
    // A change reads what it changes, on every replica.
    for n in 0..300 {
        let (url, body) = (cluster.timer(0, &format!("before-{n}")), json!({"labels": {"touched": "yes"}}));
        let headers = [("content-type", "application/merge-patch+json")];
        let answer = cluster.client.send("PATCH", &url, &headers, Some(&body)).await;
        if answer.is_ok_and(|answer| answer.status >= 500) {
            // Its leader has just ended; that the others have all of it is asked below.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(cluster.nodes[2].ends_within(END_MAX).await, Some(1));
    let said = cluster.nodes[2].last_words();
    println!("it says: {said}");
    assert!(said.contains("is damaged") && said.contains("state"), "{said}");
    cluster.wait_ready().await;
    write_some(&cluster, "after", 50).await;
    all_there(&cluster, 0, "before", 300).await;
    all_there(&cluster, 1, "after", 50).await;
}

/// Files beside the data, by a part of their path: one flipped bit in each must be noticed at the start.
const SIDE_FILES: [&str; 6] =
    ["identity", "mark", "log/MANIFEST", "log/CURRENT", "state/MANIFEST", "state/CURRENT"];

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_a_side_file_is_refused_at_the_start_or_harmless() {
    let mut cluster = Cluster::start(1, 2).await;
    write_some(&cluster, "before", 100).await;
    cluster.nodes[0].kill();
    let (data, good) = (cluster.nodes[0].data.clone(), cluster.nodes[0].data.join("../good"));
    copy_dir(&data, &good);
    for part in SIDE_FILES {
        let path = file_at(&data, part);
        let length = fs::metadata(&path).unwrap().len() as usize;
        for at in [7, length / 2, length - 2] {
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            cluster.nodes[0].start();
            let refused = refuses_or_serves(&mut cluster).await;
            if let Some(code) = refused {
                let said = cluster.nodes[0].last_words();
                println!("{part} at byte {at}: {said}");
                assert_eq!(code, Some(1));
                assert!(said.contains(part.split('/').next().unwrap()), "{part}: {said}");
                assert!(!cluster.nodes[0].log().contains("panicked"), "{}", cluster.nodes[0].log());
            } else {
                println!("{part} at byte {at}: not used, nothing is lost");
                all_there(&cluster, 0, "before", 100).await;
                cluster.nodes[0].kill();
            }
            fs::remove_dir_all(&data).unwrap();
            copy_dir(&good, &data);
        }
    }
    cluster.nodes[0].start();
    cluster.wait_ready().await;
    all_there(&cluster, 0, "before", 100).await;
}

/// The file of `data` whose path begins so.
fn file_at(data: &Path, part: &str) -> PathBuf {
    let path = data.join(part);
    let (dir, name) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(name)).collect();
    found.sort();
    found.pop().unwrap()
}

/// Waits for node 0 to end, or to be ready; gives its exit code if it ended.
async fn refuses_or_serves(cluster: &mut Cluster) -> Option<Option<i32>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(code) = cluster.nodes[0].has_ended() {
            return Some(code);
        }
        let url = format!("{}/readyz", cluster.nodes[0].url);
        if cluster.client.send("GET", &url, &[], None).await.is_ok_and(|answer| answer.status == 200) {
            return None;
        }
        assert!(Instant::now() < deadline, "neither ended nor ready:\n{}", cluster.nodes[0].log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, name) = (entry.as_ref().unwrap(), entry.as_ref().unwrap().file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
