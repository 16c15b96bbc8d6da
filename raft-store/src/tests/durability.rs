//! What waits for what: apply for the local log, acknowledgements for the mark, purges for the state.

use futures_util::FutureExt;
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftStateMachine};
use timer_core::ids::ShardId;

use super::workload::{Shard, bytes_entry, history, reopen};
use super::{memory, options};
use crate::Health;
use crate::engine::memory::{Fault, MemoryDisk};
use crate::type_config::log_id;
use crate::{StoreError, Stores};

#[tokio::test]
async fn an_entry_is_not_applied_before_it_is_durable_here() {
    let (_disk, stores) = memory(1);
    let mut shard = Shard::open(&stores, 0);
    let log = history(3);
    let items = |entries: &[crate::type_config::Entry]| {
        futures_util::stream::iter(entries.iter().map(|entry| Ok((entry.clone(), None))).collect::<Vec<_>>())
    };
    // A quorum has it, but it has not come here yet.
    let early = shard.stores.state_machine.apply(items(&log)).now_or_never();
    assert!(early.is_none(), "{early:?}");
    assert_eq!(shard.stores.reader.applied(), None);
    shard.append(log.clone()).await.unwrap();
    shard.stores.state_machine.apply(items(&log)).await.unwrap();
    assert_eq!(shard.stores.reader.applied(), Some(log_id(1, 1, 2)));
}

#[tokio::test]
async fn a_failing_log_ends_the_wait_of_apply() {
    let (disk, stores) = memory(1);
    let mut shard = Shard::open(&stores, 0);
    disk.power().plan(disk.power().steps(), Fault::Io);
    shard.append(history(1)).await.unwrap_err();
    assert!(matches!(*stores.health().borrow(), Health::Failed(_)));
    let items = futures_util::stream::iter(history(1).into_iter().map(|entry| Ok((entry, None))));
    let error = shard.stores.state_machine.apply(items).await.unwrap_err();
    assert!(error.to_string().contains("injected EIO"), "{error}");
}

#[tokio::test]
async fn the_log_is_not_removed_beyond_what_the_state_has_durably() {
    let (_disk, stores) = memory(1);
    let mut shard = Shard::open(&stores, 0);
    shard.append_and_apply(history(10)).await.unwrap();
    shard.stores.log.purge(log_id(1, 1, 5)).await.unwrap_err();
    assert_eq!(stores.flush().unwrap()[0].applied, Some(log_id(1, 1, 9)));
    shard.stores.log.purge(log_id(1, 1, 5)).await.unwrap();
    assert_eq!(stores.log_status(ShardId(0)).purged, Some(log_id(1, 1, 5)));
}

#[tokio::test]
async fn a_log_that_went_back_is_refused() {
    let disk = MemoryDisk::new(true);
    let old = {
        let stores = Stores::memory(&disk, 2, &options()).unwrap();
        let mut shard = Shard::open(&stores, 1);
        shard.append((0..5).map(|i| bytes_entry(1, i, 10)).collect()).await.unwrap();
        let old = disk.copy_log();
        shard.append((5..9).map(|i| bytes_entry(1, i, 10)).collect()).await.unwrap();
        shard.vote(3).await.unwrap();
        old
    };
    let present = disk.copy_log();
    disk.restore_log(old);
    let error = reopen(&disk, 2).unwrap_err();
    assert!(matches!(error, StoreError::LogWentBack { shard: 1, .. }), "{error}");
    assert!(error.to_string().contains("entry 8 of term 1"), "{error}");
    // A forgotten vote is as bad.
    let mut without_vote = present.clone();
    without_vote.remove(&crate::keys::log_vote::encode(1));
    disk.restore_log(without_vote);
    let error = reopen(&disk, 2).unwrap_err();
    assert!(error.to_string().contains("a vote for 1 in term 3"), "{error}");
    disk.restore_log(present);
    reopen(&disk, 2).unwrap();
}

#[tokio::test]
async fn a_damaged_or_missing_entry_is_refused_wherever_it_is() {
    let disk = MemoryDisk::new(true);
    {
        let stores = Stores::memory(&disk, 1, &options()).unwrap();
        let mut shard = Shard::open(&stores, 0);
        shard.append_and_apply(history(20)).await.unwrap();
        stores.flush().unwrap();
        shard.stores.log.purge(log_id(1, 1, 4)).await.unwrap();
    }
    let whole = disk.copy_log();
    for index in 5..20 {
        let key = crate::keys::log_entry::encode(0, index);
        let mut damaged = whole.clone();
        let mut value = damaged[&key].to_vec();
        *value.last_mut().unwrap() ^= 1;
        damaged.insert(key.clone(), value.into());
        let mut missing = whole.clone();
        missing.remove(&key);
        // A record of another place: whole in itself, but not chained.
        let mut swapped = whole.clone();
        swapped.insert(key, whole[&crate::keys::log_entry::encode(0, 5 + (index + 1) % 15)].clone());
        for log in [damaged, missing, swapped] {
            disk.restore_log(log);
            let error = reopen(&disk, 1).unwrap_err();
            let fits = matches!(error, StoreError::Corrupted { .. } | StoreError::LogWentBack { .. });
            assert!(fits, "entry {index}: {error}");
        }
    }
}

#[tokio::test]
async fn one_damaged_slot_of_the_mark_is_survived_and_two_are_refused() {
    let disk = MemoryDisk::new(true);
    let stores = Stores::memory(&disk, 1, &options()).unwrap();
    Shard::open(&stores, 0).append((0..5).map(|i| bytes_entry(1, i, 10)).collect()).await.unwrap();
    let slot = 44 * 1024;
    for first in [0, slot] {
        disk.damage_mark(|mark| mark[first + 30] ^= 1);
        reopen(&disk, 1).unwrap();
    }
    disk.damage_mark(|mark| {
        mark[30] ^= 1;
        mark[slot + 30] ^= 1;
    });
    let error = reopen(&disk, 1).unwrap_err();
    assert!(error.to_string().contains("high-water mark"), "{error}");
    disk.damage_mark(Vec::clear);
    assert!(matches!(reopen(&disk, 1), Err(StoreError::Missing { .. })));
}

#[tokio::test]
async fn shards_are_kept_apart_and_their_number_can_not_change() {
    let disk = MemoryDisk::new(true);
    let stores = Stores::memory(&disk, 3, &options()).unwrap();
    for shard in 0..3 {
        let entries = (0..4 + u64::from(shard)).map(|i| bytes_entry(1, i, 10)).collect();
        Shard::open(&stores, shard).append(entries).await.unwrap();
    }
    disk.crash();
    let error = reopen(&disk, 4).unwrap_err();
    assert_eq!(error, StoreError::ShardCount { stored: 3, asked: 4 });
    let stores = reopen(&disk, 3).unwrap();
    for shard in 0..3 {
        let last = stores.log_status(ShardId(shard)).last;
        assert_eq!(last, Some(log_id(1, 1, 3 + u64::from(shard))));
    }
}

#[tokio::test]
async fn entries_out_of_memory_are_read_from_disk_in_pieces() {
    let disk = MemoryDisk::new(true);
    let mut small = options();
    small.log_cache_bytes_max = 1000;
    let stores = Stores::memory(&disk, 1, &small).unwrap();
    let mut shard = Shard::open(&stores, 0);
    for index in 0..30 {
        shard.append(vec![bytes_entry(1, index, 100_000)]).await.unwrap();
    }
    let all = shard.stores.log.try_get_log_entries(..).await.unwrap();
    assert_eq!(all.len(), 30);
    assert!(all.iter().enumerate().all(|(i, e)| *e == bytes_entry(1, i as u64, 100_000)));
    // 1 MiB holds ten of them; the one that passes the bound is still given.
    let piece = shard.stores.log.limited_get_log_entries(3, 30).await.unwrap();
    assert_eq!(piece.len(), 11);
    assert_eq!(piece[0].log_id, log_id(1, 1, 3));
    let stream = shard.stores.log.entries_stream(2..29).await;
    let streamed: Vec<_> = futures_util::StreamExt::collect(stream).await;
    assert_eq!(streamed.len(), 27);
    let status = stores.log_status(ShardId(0));
    assert!((3_000_000..3_100_000).contains(&status.bytes), "{status:?}");
}

#[tokio::test]
async fn a_committed_id_that_the_log_does_not_have_is_not_given() {
    let (_disk, stores) = memory(1);
    let mut log = Shard::open(&stores, 0).stores.log;
    Shard::open(&stores, 0).append((0..5).map(|i| bytes_entry(1, i, 10)).collect()).await.unwrap();
    for (saved, given) in [(log_id(1, 1, 3), true), (log_id(2, 1, 3), false), (log_id(1, 1, 5), false)] {
        log.save_committed(Some(saved)).await.unwrap();
        assert_eq!(log.read_committed().await.unwrap(), given.then_some(saved));
    }
}
