//! What earlier versions wrote is brought to the present format when it is opened or received.

use super::memory;
use super::snapshots::{sent, take};
use super::workload::{Shard, history, reopen, run};
use crate::Stores;
use crate::engine::Batch;
use crate::engine::memory::MemoryDisk;
use crate::keys::{group_counts, listing, log_format, pointer};
use crate::log::mark;
use crate::state_machine::snapshot::Header;

const ENTRIES: u64 = 200;

/// Takes from the present state what format 1 did not have: an index for lists, and counts of groups.
fn take_away(stores: &Stores) {
    let engine = &stores.state().inner().engine;
    let mut batch = Batch::default();
    for replica in &stores.state().inner().replicas {
        let incarnation = replica.current().incarnation;
        batch.delete_range(listing::all(incarnation));
        batch.delete_range(group_counts::all(incarnation));
    }
    engine.write(batch, false).unwrap();
    engine.flush().unwrap();
}

/// Makes of stores with one shard and an unused meta shard what a version without a meta shard had.
fn make_old(disk: &MemoryDisk, stores: &Stores) {
    take_away(stores);
    for (engine, key) in
        [(&stores.state().inner().engine, pointer::format()), (&stores.log().engine, log_format::encode())]
    {
        let mut batch = Batch::default();
        batch.put(key, vec![1, 0, 1]);
        engine.write(batch, true).unwrap();
        engine.flush().unwrap();
    }
    disk.damage_mark(|content| mark::as_format_1(content));
}

#[tokio::test]
async fn stores_of_the_first_format_are_opened_with_their_index_their_counts_and_a_meta_shard() {
    let (disk, stores) = memory(2);
    let mut shard = Shard::open(&stores, 0);
    run(&stores, &mut shard, &history(ENTRIES)).await.unwrap();
    let before = shard.hash();
    make_old(&disk, &stores);
    assert_ne!(shard.stores.reader.check_indexes(), Ok(None));
    drop((shard, stores));
    disk.crash();
    assert!(reopen(&disk, 1).is_err(), "the meta shard is one more");
    for _ in 0..2 {
        let stores = reopen(&disk, 2).unwrap();
        let shard = Shard::open(&stores, 0);
        shard.check();
        assert_eq!(shard.hash(), before);
        assert_eq!(stores.state().inner().engine.get(&pointer::format()).unwrap().unwrap(), [4, 0, 2][..]);
        assert_eq!(stores.log().engine.get(&log_format::encode()).unwrap().unwrap(), [2, 0, 2][..]);
        let meta = Shard::open(&stores, 1);
        assert_eq!((meta.stores.reader.applied(), meta.stores.reader.check_indexes()), (None, Ok(None)));
    }
}

#[tokio::test]
async fn a_snapshot_of_the_first_format_gets_the_index_and_the_counts_when_it_is_received() {
    let (_disk, stores) = memory(1);
    let mut shard = Shard::open(&stores, 0);
    run(&stores, &mut shard, &history(ENTRIES)).await.unwrap();
    let expected = shard.hash();
    take_away(&stores);
    let (header, chunks) = sent(&mut shard).await;
    let header = Header { format: 1, ..Header::decode(&header).unwrap() }.encode();
    let (_disk, stores) = memory(1);
    let mut receiver = Shard::open(&stores, 0);
    take(&stores, &mut receiver, &header, &chunks).await.unwrap();
    receiver.check();
    assert_eq!(receiver.hash(), expected);
}
