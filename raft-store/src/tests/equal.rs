//! The same entries give the same state, whatever the engine and whatever happened in between.

use super::memory;
use super::workload::{Shard, history, reopen, run, states};

#[tokio::test]
async fn a_replay_after_a_crash_gives_the_same_state() {
    let log = history(62);
    let expected = *states(&log).await.last().unwrap();
    let (disk, stores) = memory(1);
    run(&stores, &mut Shard::open(&stores, 0), &log).await.unwrap();
    disk.crash();
    let stores = reopen(&disk, 1).unwrap();
    let mut shard = Shard::open(&stores, 0);
    let durable = shard.stores.reader.applied();
    assert!(durable < log.last().map(|e| e.log_id), "the crash took nothing: {durable:?}");
    shard.apply_all().await.unwrap();
    shard.check();
    assert_eq!(shard.hash(), (log.last().map(|e| e.log_id), expected));
}

#[cfg(feature = "rocksdb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rocksdb_and_memory_have_the_same_state() {
    use timer_core::ids::ShardId;

    use super::options;
    use crate::Stores;

    let log = history(400);
    let expected = *states(&log).await.last().unwrap();
    let dir = tempfile::tempdir().unwrap();
    {
        let stores = Stores::open(dir.path(), 3, &options()).unwrap();
        let mut shard = Shard::open(&stores, 0);
        run(&stores, &mut shard, &log).await.unwrap();
        shard.check();
        assert_eq!(shard.hash().1, expected);
        // Not closed: what was not flushed is lost, as in a crash.
    }
    let stores = Stores::open(dir.path(), 3, &options()).unwrap();
    let mut shard = Shard::open(&stores, 0);
    assert!(stores.log_status(ShardId(0)).purged.is_some());
    shard.apply_all().await.unwrap();
    shard.check();
    assert_eq!(shard.hash().1, expected);
}
