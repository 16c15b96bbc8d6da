//! Snapshots: the same state on the other side, whatever is repeated, damaged or cut short.

use bytes::Bytes;
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine};
use timer_core::ids::ShardId;

use super::memory;
use super::workload::{Shard, history, is_power_cut, reopen, run, states};
use crate::engine::memory::{Fault, MemoryDisk};
use crate::state_machine::{SnapshotData, SnapshotError};
use crate::type_config::{Snapshot, Vote, log_id};
use crate::{StoreOptions, Stores};

/// A shard with a history, and what it would send.
async fn sender(entries: u64) -> (Stores, Shard, Bytes, Vec<Bytes>) {
    let (_disk, stores) = memory(1);
    let mut shard = Shard::open(&stores, 0);
    run(&stores, &mut shard, &history(entries)).await.unwrap();
    let (header, chunks) = sent(&mut shard).await;
    (stores, shard, header, chunks)
}

/// The header and the chunks of a shard's snapshot.
pub(super) async fn sent(shard: &mut Shard) -> (Bytes, Vec<Bytes>) {
    let snapshot = shard.stores.state_machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let SnapshotData::Outgoing(outgoing) = snapshot.snapshot else { panic!("a built snapshot is sent") };
    let mut stream = outgoing.open().unwrap();
    let header = stream.header().clone();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.next().await {
        chunks.push(chunk.unwrap());
    }
    (header, chunks)
}

fn receive(stores: &Stores, header: &Bytes, chunks: &[Bytes]) -> Result<Snapshot, SnapshotError> {
    let mut receiver = stores.state().receive(ShardId(0), header)?;
    for chunk in chunks {
        receiver.chunk(chunk)?;
    }
    receiver.finish(&Vote::new_committed(1, 1))
}

/// Receives and installs.
pub(super) async fn take(
    stores: &Stores,
    shard: &mut Shard,
    header: &Bytes,
    chunks: &[Bytes],
) -> std::io::Result<()> {
    let snapshot = receive(stores, header, chunks)?;
    shard.stores.state_machine.install_snapshot(&snapshot.meta, snapshot.snapshot).await
}

#[tokio::test]
async fn a_snapshot_carries_the_whole_state() {
    let (_stores, from, header, chunks) = sender(60).await;
    let (disk, stores) = memory(1);
    let mut to = Shard::open(&stores, 0);
    to.append_and_apply(history(7)).await.unwrap();
    take(&stores, &mut to, &header, &chunks).await.unwrap();
    assert_eq!(to.hash(), from.hash());
    to.check();
    // It is durable at once.
    drop(stores);
    disk.crash();
    let stores = reopen(&disk, 1).unwrap();
    let mut to = Shard::open(&stores, 0);
    assert_eq!(to.hash(), from.hash());
    let current = to.stores.state_machine.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!(current.meta.last_log_id, from.hash().0);
}

#[tokio::test]
async fn a_chunk_may_be_repeated_but_not_skipped_or_damaged() {
    let (_stores, from, header, chunks) = sender(60).await;
    let (_disk, stores) = memory(1);
    let mut receiver = stores.state().receive(ShardId(0), &header).unwrap();
    let skipped = receiver.chunk(&chunks[1]);
    assert_eq!(skipped, Err(SnapshotError::OutOfOrder { expected: 0, found: 1 }));
    for chunk in &chunks {
        let next = receiver.chunk(chunk).unwrap();
        assert_eq!(receiver.chunk(chunk), Ok(next));
    }
    let mut to = Shard::open(&stores, 0);
    let snapshot = receiver.finish(&Vote::new_committed(1, 1)).unwrap();
    to.stores.state_machine.install_snapshot(&snapshot.meta, snapshot.snapshot).await.unwrap();
    assert_eq!(to.hash(), from.hash());

    let mut damaged = chunks[0].to_vec();
    damaged[40] ^= 1;
    let outcome = receive(&stores, &header, &[damaged.into()]);
    assert!(matches!(outcome, Err(SnapshotError::Damaged(_))), "{outcome:?}");
    let short = receive(&stores, &header, &chunks[..chunks.len() - 1]);
    assert!(matches!(short, Err(SnapshotError::Damaged(_))), "{short:?}");
}

#[tokio::test]
async fn what_would_stop_openraft_is_refused() {
    let (_stores, _from, header, chunks) = sender(30).await;
    let other = Stores::memory(&MemoryDisk::new(true), 1, &StoreOptions::new("another-cluster")).unwrap();
    assert!(matches!(receive(&other, &header, &chunks), Err(SnapshotError::Foreign { .. })));
    let two = Stores::memory(&MemoryDisk::new(true), 2, &super::options()).unwrap();
    let wrong_shard = two.state().receive(ShardId(1), &header);
    assert!(matches!(wrong_shard, Err(SnapshotError::Foreign { .. })));

    let (_disk, stores) = memory(1);
    let mut receiver = stores.state().receive(ShardId(0), &header).unwrap();
    for chunk in &chunks {
        receiver.chunk(chunk).unwrap();
    }
    let early_vote = receiver.finish(&Vote::new_committed(0, 1));
    assert!(matches!(early_vote, Err(SnapshotError::Inconsistent(_))), "{early_vote:?}");

    // The same index of another term was applied here.
    let mut shard = Shard::open(&stores, 0);
    let mut log = history(60);
    log[59].log_id = log_id(0, 1, 59);
    shard.append_and_apply(log).await.unwrap();
    let conflict = receive(&stores, &header, &chunks);
    assert!(matches!(conflict, Err(SnapshotError::Inconsistent(_))), "{conflict:?}");
}

#[tokio::test]
async fn a_dropped_receiver_leaves_nothing() {
    let (_stores, _from, header, chunks) = sender(60).await;
    let (_disk, stores) = memory(1);
    let keys = || {
        let mut keys = 0;
        let engine = &stores.state().inner().engine;
        let count: crate::engine::Visit<'_> = &mut |_, _| {
            keys += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        };
        engine.scan(&[], &[0xFF], count).unwrap();
        keys
    };
    let before = keys();
    let mut receiver = stores.state().receive(ShardId(0), &header).unwrap();
    receiver.chunk(&chunks[0]).unwrap();
    drop(receiver);
    drop(receive(&stores, &header, &chunks).unwrap());
    assert_eq!(keys(), before);
}

#[tokio::test]
async fn a_power_cut_at_any_step_of_an_install_leaves_the_old_state_or_the_new() {
    let (_stores, from, header, chunks) = sender(60).await;
    let (log, old_len) = (history(60), 7);
    let states = states(&log).await;
    async fn prepare(
        disk: &MemoryDisk,
        old_len: usize,
        log: &[crate::type_config::Entry],
    ) -> (Stores, Shard) {
        let stores = Stores::memory(disk, 1, &super::options()).unwrap();
        let mut shard = Shard::open(&stores, 0);
        shard.append_and_apply(log[..old_len].to_vec()).await.unwrap();
        stores.flush().unwrap();
        (stores, shard)
    }
    let (begin, end) = {
        let disk = MemoryDisk::new(true);
        let (stores, mut shard) = prepare(&disk, old_len, &log).await;
        let begin = disk.power().steps();
        take(&stores, &mut shard, &header, &chunks).await.unwrap();
        (begin, disk.power().steps())
    };
    assert!(end - begin >= 5, "an install has {} steps only", end - begin);
    let (mut old, mut new) = (0, 0);
    for kept in [0, 1, 2, usize::MAX] {
        // The last is the cut after the last step.
        for step in begin..=end {
            let disk = MemoryDisk::new(true);
            let (stores, mut shard) = prepare(&disk, old_len, &log).await;
            disk.power().plan(step, Fault::PowerCut);
            if let Err(error) = take(&stores, &mut shard, &header, &chunks).await {
                assert!(is_power_cut(&error), "{error}");
            }
            disk.crash_keeping(kept);
            let stores = reopen(&disk, 1).unwrap();
            let shard = Shard::open(&stores, 0);
            shard.check();
            let (applied, hash) = shard.hash();
            if applied == from.hash().0 {
                new += 1;
                assert_eq!(hash, from.hash().1);
            } else {
                old += 1;
                assert_eq!((applied, hash), (Some(log[old_len - 1].log_id), states[old_len - 1]));
            }
        }
    }
    assert!(old > 0 && new > 0, "{old} old, {new} new");
}

#[cfg(feature = "rocksdb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_goes_from_rocksdb_to_rocksdb_and_survives_a_restart() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let log = history(8_000);
    let stores = Stores::open(dirs[0].path(), 1, &super::options()).unwrap();
    let mut from = Shard::open(&stores, 0);
    run(&stores, &mut from, &log).await.unwrap();
    let (header, chunks) = sent(&mut from).await;
    assert!(chunks.len() > 2, "{} chunks", chunks.len());
    {
        let stores = Stores::open(dirs[1].path(), 1, &super::options()).unwrap();
        let mut to = Shard::open(&stores, 0);
        to.append_and_apply(log[..7].to_vec()).await.unwrap();
        take(&stores, &mut to, &header, &chunks).await.unwrap();
        assert_eq!(to.hash(), from.hash());
        to.check();
        // A second one, of the same: the first incarnation goes.
        take(&stores, &mut to, &header, &chunks).await.unwrap();
        assert_eq!(to.hash(), from.hash());
    }
    let stores = Stores::open(dirs[1].path(), 1, &super::options()).unwrap();
    let to = Shard::open(&stores, 0);
    assert_eq!(to.hash(), from.hash());
    to.check();
    assert!(!dirs[1].path().join("state/incoming/1").exists());
}
