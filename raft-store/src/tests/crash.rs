//! A power cut before every step that changes a disk, and what must be there afterwards.

use timer_core::ids::ShardId;

use super::workload::{Shard, history, is_power_cut, reopen, run, states};
use super::{memory, options};
use crate::engine::memory::{Fault, MemoryDisk};
use crate::type_config::{LogId, log_id};
use crate::{Health, Stores};
use openraft::storage::{RaftLogReader, RaftLogStorage};

/// Long enough for more than a thousand cuts.
const ENTRIES: u64 = 200;

/// Checks what a crash left against what had been acknowledged, then lets the history end.
async fn recovered(disk: &MemoryDisk, acked: Option<LogId>, states: &[u64], step: u64) {
    let log = history(ENTRIES);
    let stores = reopen(disk, 1).unwrap_or_else(|e| panic!("step {step}: {e}"));
    let last = stores.log_status(ShardId(0)).last;
    assert!(last >= acked, "step {step}: {last:?} found, {acked:?} acknowledged");
    let mut shard = Shard::open(&stores, 0);
    shard.check();
    if let (Some(applied), hash) = shard.hash() {
        assert_eq!(
            hash,
            states[usize::try_from(applied.index()).unwrap()],
            "step {step}: state at {applied}"
        );
    }
    run(&stores, &mut shard, &log).await.unwrap_or_else(|e| panic!("step {step}: {e}"));
    shard.check();
    assert_eq!(Some(&shard.hash().1), states.last(), "step {step}: the end");
}

#[tokio::test]
async fn a_power_cut_before_any_step_loses_nothing_that_was_acknowledged() {
    let log = history(ENTRIES);
    let states = states(&log).await;
    let steps = {
        let (disk, stores) = memory(1);
        run(&stores, &mut Shard::open(&stores, 0), &log).await.unwrap();
        disk.power().steps()
    };
    assert!(steps > 334, "the history has {steps} steps only");
    println!("{} power cuts", 3 * steps);
    // What is not durable may survive all the same, in order: nothing of it, some, all.
    for kept in [0, 1, usize::MAX] {
        for step in 0..steps {
            let disk = MemoryDisk::new(true);
            disk.power().plan(step, Fault::PowerCut);
            let mut acked = None;
            // The power may go while the disk is formatted.
            if let Ok(stores) = Stores::memory(&disk, 1, &options()) {
                let mut shard = Shard::open(&stores, 0);
                let error = run(&stores, &mut shard, &log).await.unwrap_err();
                assert!(is_power_cut(&error) || error.to_string().contains("log is closed"), "{error}");
                acked = shard.acked;
            }
            disk.crash_keeping(kept);
            recovered(&disk, acked, &states, step).await;
        }
    }
}

#[tokio::test]
async fn a_failed_write_is_never_retried_and_loses_nothing() {
    let log = history(ENTRIES);
    let states = states(&log).await;
    for fault in [Fault::Io, Fault::Full] {
        for step in 8..120 {
            let (disk, stores) = memory(1);
            disk.power().plan(step, fault);
            let mut shard = Shard::open(&stores, 0);
            let outcome = run(&stores, &mut shard, &log).await;
            // A fault of the log closes it for good, with the same kind of error.
            if matches!(&*stores.health().borrow(), Health::Failed(why) if why.starts_with("the log")) {
                let error = outcome.unwrap_err();
                let again = shard.append(vec![log[0].clone()]).await.unwrap_err();
                assert_eq!(again.kind() == std::io::ErrorKind::StorageFull, fault == Fault::Full, "{error}");
            }
            let acked = shard.acked;
            disk.crash();
            recovered(&disk, acked, &states, step).await;
        }
    }
}

#[tokio::test]
async fn a_power_cut_around_a_truncation_leaves_the_old_log_or_the_new() {
    // Acknowledged: 0..20 of term 1. Then a new leader's 12..16 of term 2 replace 12..20.
    async fn script(stores: &Stores) -> (bool, std::io::Result<()>) {
        let mut shard = Shard::open(stores, 0);
        let mut first = false;
        let outcome = async {
            shard.append((0..20).map(|i| super::workload::bytes_entry(1, i, 10)).collect()).await?;
            first = true;
            shard.vote(2).await?;
            shard.stores.log.truncate_after(Some(log_id(1, 1, 11))).await?;
            shard.append((12..16).map(|i| super::workload::bytes_entry(2, i, 10)).collect()).await
        }
        .await;
        (first, outcome)
    }
    let steps = {
        let (disk, stores) = memory(1);
        script(&stores).await.1.unwrap();
        disk.power().steps()
    };
    for kept in [0, 1, usize::MAX] {
        for step in 0..steps {
            let disk = MemoryDisk::new(true);
            disk.power().plan(step, Fault::PowerCut);
            let mut first = false;
            if let Ok(stores) = Stores::memory(&disk, 1, &options()) {
                let (acked, outcome) = script(&stores).await;
                outcome.unwrap_err();
                first = acked;
            }
            disk.crash_keeping(kept);
            let stores = reopen(&disk, 1).unwrap_or_else(|e| panic!("step {step}: {e}"));
            let found = Shard::open(&stores, 0).stores.log.try_get_log_entries(..).await.unwrap();
            let terms: Vec<u64> = found.iter().map(|e| e.log_id.committed_leader_id().term).collect();
            let (old, new) = (vec![1; 20], [vec![1; 12], vec![2; 4]].concat());
            let cut = vec![1; 12];
            let fits = [old, new, cut].contains(&terms) || (!first && terms.is_empty());
            assert!(fits, "step {step}: {terms:?}");
        }
    }
}
