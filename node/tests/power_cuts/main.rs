//! Power cuts of one node and of a whole cluster under load: no acknowledged timer is lost.
//!
//! `kill -9` leaves the kernel's cache alone, so it says nothing about syncs; here the filesystem under a node
//! ends without writing what it still holds, as if the machine had lost its power. That needs root and loop
//! devices. Rust's own test runner knows no "skipped" that is found out at run time, so these tests have a runner
//! that does (`libtest-mimic`): without them they count as ignored, and one line says why.
//!
//! 4 rounds by default, 20 with `TIMERD_TEST_FULL=1`. `docs/power-cuts.md` has the results. The nodes keep the
//! shortest log that they may, so that cuts meet flushes, purges and snapshots as well.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]
#![cfg(feature = "rocksdb")]

// The harness of the other process tests, of which this one needs a part.
#[allow(dead_code)]
#[path = "../processes/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../processes/cluster.rs"]
mod cluster;
#[allow(dead_code)]
#[path = "../processes/receiver.rs"]
mod receiver;
#[path = "../processes/sizes.rs"]
mod sizes;

mod disk;
mod full_disk;
mod load;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use serde_json::json;

use cluster::Cluster;
use disk::{Disks, wait_stopped};
use load::Load;
use receiver::Receiver;

const NODES: usize = 3;
/// Due timers of an outage, all attempts at once, on two busy cores.
const ALL_FIRED: Duration = Duration::from_secs(60);

/// The fewest entries that may be kept, and the shortest interval of the flush after which the rest is purged.
const SHORT_LOG: &str = "[raft]\nlog_keep_entries = 100\n[storage]\nflush_interval_ms = 1000\n";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = Disks::new(1).err();
    if let Some(reason) = &missing {
        eprintln!("skipped: power cuts and full disks need root and loop devices: {reason}");
    }
    let trial = |name: &str, test: fn()| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(missing.is_some())
    };
    let trials = vec![
        trial("no_acknowledged_timer_is_lost_when_the_power_goes", || {
            run(no_acknowledged_timer_is_lost_when_the_power_goes());
        }),
        trial("full_disk::on_a_full_disk_creates_are_refused_and_timers_fire", || {
            run(full_disk::on_a_full_disk_creates_are_refused_and_timers_fire());
        }),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test);
}

/// The power of these nodes goes at the same moment.
///
/// They are stopped first: a filesystem that is being cut can call a sync done that was not, and no machine
/// without power lives to pass that on.
fn cut_power(cluster: &mut Cluster, disks: &mut Disks, victims: &[usize]) {
    victims.iter().for_each(|n| cluster.nodes[*n].pause());
    victims.iter().for_each(|n| wait_stopped(cluster.nodes[*n].pid()));
    victims.iter().for_each(|n| disks.get(*n).put_canary().unwrap());
    victims.iter().for_each(|n| disks.get(*n).cut_power().unwrap());
    victims.iter().for_each(|n| cluster.nodes[*n].kill());
}

/// The power is back: the journal is replayed and the nodes start.
fn restore_power(cluster: &mut Cluster, disks: &mut Disks, victims: &[usize]) {
    for n in victims {
        let disk = disks.get(*n);
        disk.unmount().unwrap();
        disk.mount().unwrap();
        assert!(disk.canary_is_gone(), "the cut took nothing away: it was none");
    }
    victims.iter().for_each(|n| cluster.nodes[*n].start());
}

/// Waits until sixteen writes in a row are taken: that meets every one of four shards with near certainty.
async fn wait_for_writes(cluster: &Cluster, through: usize, round: usize) {
    let body = json!({"delay": "3000d", "callbackUrl": "http://127.0.0.1:1/"});
    for n in 0..16 {
        let id = format!("after-{round}-{n}");
        client::eventually("a write is taken", Duration::from_secs(30), || async {
            cluster.put(through, &id, &body).await.ok().filter(|answer| answer.status < 300)
        })
        .await;
    }
}

/// The longest and the middle one, in ms.
fn summary(times: &mut [Duration]) -> String {
    times.sort_unstable();
    format!("p50 {} max {} ms", times[times.len() / 2].as_millis(), times[times.len() - 1].as_millis())
}

async fn no_acknowledged_timer_is_lost_when_the_power_goes() {
    let mut disks = Disks::new(NODES).unwrap();
    let rounds = sizes::scaled(4, 20);
    let begun = Instant::now();
    let mut cluster = Cluster::start_in(disks.root(), NODES, 4, SHORT_LOG).await;
    let receiver = Receiver::start().await;
    let load = Load::start(&cluster, &receiver);
    let (mut one, mut one_back, mut all_back) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // Never at the same place of the load's second.
        tokio::time::sleep(Duration::from_millis(1_000 + round as u64 * 397 % 900)).await;
        let acknowledged = load.acknowledged();
        let whole = round % 2 == 1;
        let victims = if whole { (0..NODES).collect() } else { vec![cluster.leader_of(0).await] };
        cut_power(&mut cluster, &mut disks, &victims);
        let cut = Instant::now();
        if !whole {
            wait_for_writes(&cluster, cluster.other_than(victims[0]), round).await;
            one.push(cut.elapsed());
        }
        let back = Instant::now();
        restore_power(&mut cluster, &mut disks, &victims);
        cluster.wait_ready().await;
        let times = if whole { &mut all_back } else { &mut one_back };
        times.push(back.elapsed());
        let who = if whole { "all".to_owned() } else { cluster.nodes[victims[0]].name.clone() };
        println!("round {}: {who} cut at {acknowledged} acknowledged, ready {:?}", round + 1, back.elapsed());
    }
    let purged = cluster.metric(0, "timerd_raft_purged_index").await;
    let verdict = load.end(&cluster, &receiver, ALL_FIRED).await;
    eprintln!(
        "power cuts: {rounds} rounds (half of one node, half of all {NODES}), {} acknowledged ({} of them far away), \
         {} lost, {} early, {} duplicates; writes after a leader's cut {}; ready after the power is back: one {}, all \
         {}; {:.0} s",
        verdict.acknowledged,
        verdict.far_away,
        verdict.lost.len(),
        verdict.early,
        verdict.duplicates,
        summary(&mut one),
        summary(&mut one_back),
        summary(&mut all_back),
        begun.elapsed().as_secs_f64(),
    );
    assert!(verdict.acknowledged > rounds * 100, "the run was not empty");
    assert!(purged > 0.0, "no cut could meet a purge");
    assert_eq!(verdict.lost, Vec::<String>::new());
    assert_eq!(verdict.early, 0);
}
