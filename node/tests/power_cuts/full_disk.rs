//! A disk that runs full: creates are refused in time, what is there fires and can be deleted, and when the
//! disk is full to the last byte the node ends, says why, and comes back with everything.

use std::fs::{self, File};
use std::time::Duration;

use serde_json::json;

use super::client::eventually;
use super::cluster::{Cluster, END_MAX};
use super::disk::Disks;
use super::receiver::{Receiver, now_ms, rfc3339};

const MIB: u64 = 1 << 20;
const WAIT: Duration = Duration::from_secs(30);

/// Takes room until `leave` bytes are free.
fn fill(mount_point: &std::path::Path, leave: u64) {
    let free = node::disk_room::free_bytes(mount_point).unwrap();
    let file = File::create(mount_point.join("lost+found/filler")).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, free - leave).unwrap();
}

/// Waits until a create through the node is answered with `status`; gives the answer.
async fn create_answers(cluster: &Cluster, prefix: &str, status: u16) -> super::client::Answer {
    let body = json!({"delay": "30d", "callbackUrl": "http://127.0.0.1:1/"});
    let number = std::sync::atomic::AtomicUsize::new(0);
    eventually("a create has that answer", WAIT, || async {
        let n = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let answer = cluster.put(0, &format!("{prefix}-{n}"), &body).await.ok()?;
        (answer.status == status).then_some(answer)
    })
    .await
}

pub async fn on_a_full_disk_creates_are_refused_and_timers_fire() {
    let disks = Disks::new(1).unwrap();
    let mount_point = disks.root().join("n1");
    let more = format!("[storage]\ndisk_reserve_bytes = {}\n", 64 * MIB);
    let mut cluster = Cluster::start_in(disks.root(), 1, 2, &more).await;
    let receiver = Receiver::start().await;
    let due = now_ms() + 3_000;
    let body = json!({"executeAt": rfc3339(due), "callbackUrl": receiver.url});
    cluster.put_ok(0, "fires", &body).await;
    cluster.put_ok(0, "stays", &json!({"delay": "30d", "callbackUrl": receiver.url})).await;
    cluster.put_ok(0, "is deleted", &json!({"delay": "30d", "callbackUrl": receiver.url})).await;

    fill(&mount_point, 32 * MIB);
    let refused = create_answers(&cluster, "refused", 507).await;
    assert_eq!(refused.json["code"], "DISK_FULL", "{}", refused.text);
    assert_eq!(refused.json["outcome"], "notApplied", "{}", refused.text);
    assert_eq!(cluster.delete(0, "is deleted").await.unwrap().status, 200);
    receiver.wait_until("the timer that was there", WAIT, |calls| calls.len() == 1).await;
    cluster.wait_for_state(0, "fires", "delivered", WAIT).await;

    fs::remove_file(mount_point.join("lost+found/filler")).unwrap();
    create_answers(&cluster, "taken again", 201).await;

    // The reserve can't help against others who write to the same disk. Without one creates are taken to the end, also
    // into what the log has set aside for itself.
    assert_eq!(cluster.nodes[0].terminate_within(END_MAX).await, Some(0));
    cluster.nodes[0].set("TIMERD_STORAGE__DISK_RESERVE_BYTES", "0");
    cluster.nodes[0].start();
    cluster.wait_ready().await;
    fill(&mount_point, 0);
    let ended = async {
        let body = json!({"delay": "30d", "callbackUrl": receiver.url, "payload": "x".repeat(60_000)});
        for n in 0.. {
            let _ = cluster.put(0, &format!("last-{n}"), &body).await;
            if cluster.nodes[0].log().contains("timerd: ") {
                break;
            }
        }
    };
    tokio::time::timeout(WAIT, ended).await.expect("the node ends when its log can't be written");
    assert_eq!(cluster.nodes[0].ends_within(END_MAX).await, Some(1));
    let log = cluster.nodes[0].log();
    let said = log.lines().rfind(|line| line.starts_with("timerd: ")).unwrap_or_default();
    eprintln!("full disk: it says: {said}");
    assert!(said.contains("No space left on device"), "{said}");

    fs::remove_file(mount_point.join("lost+found/filler")).unwrap();
    cluster.nodes[0].start();
    cluster.wait_ready().await;
    assert_eq!(cluster.get(0, "fires").await.unwrap().json["state"], "delivered");
    assert_eq!(cluster.get(0, "stays").await.unwrap().status, 200);
}
