//! What a node must refuse, clearly and without harm to the others.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::client::eventually;
use super::cluster::{Cluster, files_with_ending};

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
    let code = cluster.nodes[2].wait_for_end().await;
    assert_eq!(code, Some(1));
    let log = cluster.nodes[2].log();
    let said = log.lines().rfind(|line| line.starts_with("timerd:")).unwrap_or_default();
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
    assert_eq!(cluster.nodes[2].terminate(), Some(0));
    let (log, old) = (cluster.nodes[2].data.join("log"), cluster.nodes[2].data.join("../old-log"));
    copy_dir(&log, &old);
    cluster.nodes[2].start();
    cluster.wait_ready().await;
    write_some(&cluster, "after", 100).await;
    cluster.nodes[2].kill();
    fs::remove_dir_all(&log).unwrap();
    copy_dir(&old, &log);
    cluster.nodes[2].start();
    let code = cluster.nodes[2].wait_for_end().await;
    assert_eq!(code, Some(1));
    let text = cluster.nodes[2].log();
    let said = text.lines().rfind(|line| line.starts_with("timerd:")).unwrap_or_default();
    println!("it says: {said}");
    assert!(!said.is_empty());
    all_there(&cluster, 0, "before", 50).await;
    all_there(&cluster, 0, "after", 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_older_data_directory_is_refused_by_the_others_and_ends() {
    let mut cluster = Cluster::start(3, 2).await;
    write_some(&cluster, "before", 20).await;
    assert_eq!(cluster.nodes[2].terminate(), Some(0));
    let (data, old) = (cluster.nodes[2].data.clone(), cluster.nodes[2].data.join("../old-data"));
    copy_dir(&data, &old);
    cluster.nodes[2].start();
    cluster.wait_ready().await;
    write_some(&cluster, "after", 50).await;
    cluster.nodes[2].kill();
    // Everything is older, the high-water mark as well: only the others know.
    fs::remove_dir_all(&data).unwrap();
    copy_dir(&old, &data);
    cluster.nodes[2].start();
    assert_eq!(cluster.nodes[2].wait_for_end().await, Some(1));
    let text = cluster.nodes[2].log();
    let said = text.lines().rfind(|line| line.starts_with("timerd:")).unwrap_or_default();
    println!("it says: {said}");
    assert!(said.contains("refuses this node") && said.contains("had acknowledged"), "{said}");
    all_there(&cluster, 0, "after", 50).await;
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
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
