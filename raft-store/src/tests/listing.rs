//! Lists: what the index gives is what the timers say, page by page, also after a state of an earlier version was opened or
//! received.

use timer_core::list::{ListOrder, ListQuery, Place};
use timer_core::time::Millis;
use timer_core::timer::{State, Timer};

use super::memory;
use super::snapshots::{sent, take};
use super::workload::{START, Shard, history, key, reopen, run};
use crate::Stores;
use crate::engine::Batch;
use crate::keys::{listing, pointer};
use crate::state_machine::snapshot::Header;

const ENTRIES: u64 = 200;

fn query(order: ListOrder) -> ListQuery {
    ListQuery {
        group: "default".into(),
        states: State::ALL.to_vec(),
        order,
        id_prefix: String::new(),
        execute_after: Millis(0),
        execute_before: Millis::MAX,
        after: None,
    }
}

/// All timers of the shard, read one by one.
fn timers(shard: &Shard) -> Vec<Timer> {
    (0..ENTRIES * 4).filter_map(|n| shard.stores.reader.timer(&key(n)).unwrap()).collect()
}

/// The timers of a list, read in pages.
fn pages(shard: &Shard, query: &ListQuery, limit: usize, bytes_max: usize) -> Vec<Timer> {
    let mut query = query.clone();
    let mut all: Vec<Timer> = Vec::new();
    loop {
        let part = shard.stores.reader.list(&query, limit, bytes_max).unwrap();
        assert!(part.timers.len() <= limit && (!part.more || !part.timers.is_empty()), "{query:?}");
        all.extend(part.timers);
        if !part.more {
            return all;
        }
        query.after = all.last().map(Place::of);
    }
}

fn expected(timers: &[Timer], query: &ListQuery) -> Vec<Timer> {
    let mut found: Vec<Timer> = timers.iter().filter(|timer| query.has(timer)).cloned().collect();
    found.sort_by(|one, other| query.order.compare(&Place::of(one), &Place::of(other)));
    found
}

#[tokio::test]
async fn pages_of_any_size_hold_what_the_timers_say_in_order() {
    let (_disk, stores) = memory(1);
    let mut shard = Shard::open(&stores, 0);
    run(&stores, &mut shard, &history(ENTRIES)).await.unwrap();
    let timers = timers(&shard);
    let states: Vec<State> =
        State::ALL.into_iter().filter(|state| timers.iter().any(|timer| timer.state == *state)).collect();
    assert!(timers.len() > 100 && states.len() >= 3, "{} timers, {states:?}", timers.len());
    let mut queries = Vec::new();
    for states in [State::ALL.to_vec(), vec![State::Cancelled], vec![State::Scheduled, State::Delivered]] {
        for prefix in ["", "timer-1", "timer-12", "x"] {
            let id_prefix = prefix.to_owned();
            queries.push(ListQuery { states: states.clone(), id_prefix, ..query(ListOrder::Id) });
        }
        for (after, before) in [(0, Millis::MAX.0), (START + 500, START + 900), (START + 900, START + 500)] {
            let (execute_after, execute_before) = (Millis(after), Millis(before));
            let states = states.clone();
            queries.push(ListQuery { states, execute_after, execute_before, ..query(ListOrder::ExecuteAt) });
        }
    }
    for query in queries {
        let expected = expected(&timers, &query);
        for (limit, bytes_max) in [(1, 1 << 20), (7, 1 << 20), (7, 1_000), (1_000, 1), (1_000, 1 << 20)] {
            assert_eq!(pages(&shard, &query, limit, bytes_max), expected, "{query:?}, {limit}");
        }
    }
    assert!(
        pages(&shard, &ListQuery { group: "other".into(), ..query(ListOrder::Id) }, 9, 1 << 20).is_empty()
    );
}

/// Makes of the present state one of format 1, which had no index for lists.
fn make_old(stores: &Stores) {
    let engine = &stores.state().inner().engine;
    let mut batch = Batch::default();
    for replica in &stores.state().inner().replicas {
        batch.delete_range(listing::all(replica.current().incarnation));
    }
    let shards = engine.get(&pointer::format()).unwrap().unwrap()[1..].to_vec();
    batch.put(pointer::format(), [vec![1], shards].concat());
    engine.write(batch, false).unwrap();
    engine.flush().unwrap();
}

#[tokio::test]
async fn a_state_of_format_1_gets_the_index_when_it_is_opened() {
    let (disk, stores) = memory(2);
    let mut shard = Shard::open(&stores, 0);
    run(&stores, &mut shard, &history(ENTRIES)).await.unwrap();
    let before = shard.hash();
    make_old(&stores);
    assert_ne!(shard.stores.reader.check_indexes(), Ok(None));
    drop((shard, stores));
    disk.crash();
    let stores = reopen(&disk, 2).unwrap();
    let shard = Shard::open(&stores, 0);
    shard.check();
    assert_eq!(shard.hash(), before);
    assert_eq!(stores.state().inner().engine.get(&pointer::format()).unwrap().unwrap()[0], 3);
}

#[tokio::test]
async fn a_snapshot_of_format_1_gets_the_index_when_it_is_received() {
    let (_disk, stores) = memory(1);
    let mut shard = Shard::open(&stores, 0);
    run(&stores, &mut shard, &history(ENTRIES)).await.unwrap();
    let expected = shard.hash();
    make_old(&stores);
    let (header, chunks) = sent(&mut shard).await;
    let header = Header { format: 1, ..Header::decode(&header).unwrap() }.encode();
    let (_disk, stores) = memory(1);
    let mut receiver = Shard::open(&stores, 0);
    take(&stores, &mut receiver, &header, &chunks).await.unwrap();
    receiver.check();
    assert_eq!(receiver.hash(), expected);
}
