//! What is parked: in the order of time by group, the same after every way that a state can take, and found by the check
//! when it is not as the timers say.

use timer_core::command::{Command, Park, Parked, Put, Release, SetGroup};
use timer_core::group::{Group, GroupSettings, Phase};
use timer_core::ids::{Sequence, TimerKey};
use timer_core::time::Millis;

use super::memory;
use super::snapshots::{sent, take};
use super::workload::{START, Shard, entry, history, put, reopen};
use crate::Stores;
use crate::engine::Batch;
use crate::keys::{parked, pointer};
use crate::state_machine::IndexFault;

/// A copy of a group that is paused, or not.
fn set(name: &str, version: u64, paused: bool) -> Command {
    let group = Group {
        name: name.into(),
        generation: Sequence(5),
        version: Sequence(version),
        phase: Phase::Open,
        settings: GroupSettings { shards: 1, ..GroupSettings::default() },
        paused_at: paused.then_some(Millis(START)),
        created_at: Millis(START),
        updated_at: Millis(START),
        settled: true,
        answers: Vec::new(),
        secrets: Vec::new(),
    };
    Command::SetGroup(Box::new(SetGroup { group }))
}

fn put_in(group: &str, n: u64, at: u64) -> Command {
    let Command::Put(of_default) = put(n, at) else { unreachable!("it is a put") };
    Command::Put(Box::new(Put { key: TimerKey::new(group, format!("timer-{n}")), ..*of_default }))
}

fn place(shard: &Shard, group: &str, n: u64) -> Parked {
    let key = TimerKey::new(group, format!("timer-{n}"));
    let timer = shard.stores.reader.timer(&key).unwrap().unwrap();
    Parked { key, generation: timer.generation, position: timer.position.unwrap() }
}

/// Groups `a`, with timers 1 to 3, and `a-1`, with timer 4, both paused, and all of it parked.
async fn all_parked(stores: &Stores) -> Shard {
    let mut shard = Shard::open(stores, 0);
    shard.append_and_apply(history(2)).await.unwrap();
    let commands = vec![
        set("a", 10, true),
        set("a-1", 10, true),
        put_in("a", 1, START + 30),
        put_in("a", 2, START + 10),
        put_in("a", 3, START + 10),
        put_in("a-1", 4, START),
    ];
    shard.append_and_apply(vec![entry(1, 2, START, commands)]).await.unwrap();
    let timers =
        vec![place(&shard, "a", 1), place(&shard, "a", 2), place(&shard, "a", 3), place(&shard, "a-1", 4)];
    let park = Command::Park(Park { session: 1, timers });
    shard.append_and_apply(vec![entry(1, 3, START + 50, vec![park])]).await.unwrap();
    shard.check();
    shard
}

fn parked_of(shard: &Shard, group: &str) -> Vec<String> {
    let slots = shard.stores.reader.scan_parked(group, 10).unwrap();
    slots.into_iter().map(|slot| slot.key.id).collect()
}

#[tokio::test]
async fn what_is_parked_is_read_by_group_in_the_order_of_time_and_is_in_no_wheel() {
    let (_disk, stores) = memory(1);
    let mut shard = all_parked(&stores).await;
    let reader = shard.stores.reader.clone();
    assert_eq!(parked_of(&shard, "a"), ["timer-2", "timer-3", "timer-1"]);
    assert_eq!(parked_of(&shard, "a-1"), ["timer-4"]);
    assert_eq!(reader.scan_parked("a", 2).unwrap().len(), 2);
    let next = |group: &str| reader.next_parked_group(group).unwrap();
    assert_eq!((next(""), next("a"), next("a-1")), (Some("a".into()), Some("a-1".into()), None));
    let wheel = reader.scan_wheel(std::ops::Bound::Unbounded, Millis::MAX, 10).unwrap();
    assert_eq!((wheel.len(), reader.shard_state().parked), (0, 4));
    let release = Release { session: 1, timers: vec![place(&shard, "a", 2), place(&shard, "a", 1)] };
    let commands = vec![set("a", 11, false), Command::Release(release)];
    shard.append_and_apply(vec![entry(1, 4, START + 60, commands)]).await.unwrap();
    shard.check();
    assert_eq!(parked_of(&shard, "a"), ["timer-3"]);
    let wheel = reader.scan_wheel(std::ops::Bound::Unbounded, Millis::MAX, 10).unwrap();
    let places: Vec<_> = wheel.iter().map(|slot| (slot.at.0, slot.key.id.as_str())).collect();
    assert_eq!(places, [(START + 60, "timer-1"), (START + 60, "timer-2")], "at once, by generation");
}

#[tokio::test]
async fn a_snapshot_and_a_restart_carry_what_is_parked() {
    let (disk, stores) = memory(1);
    let mut shard = all_parked(&stores).await;
    let before = shard.hash();
    let (header, chunks) = sent(&mut shard).await;
    let (_disk, others) = memory(1);
    let mut to = Shard::open(&others, 0);
    take(&others, &mut to, &header, &chunks).await.unwrap();
    to.check();
    assert_eq!((to.hash(), parked_of(&to, "a").len()), (before, 3));
    drop((shard, stores));
    disk.crash();
    let stores = reopen(&disk, 1).unwrap();
    let mut shard = Shard::open(&stores, 0);
    shard.apply_all().await.unwrap();
    shard.check();
    assert_eq!((shard.hash(), parked_of(&shard, "a").len()), (before, 3));
}

#[tokio::test]
async fn the_check_finds_a_parked_timer_that_nobody_would_find() {
    let (_disk, stores) = memory(1);
    let shard = all_parked(&stores).await;
    let Parked { generation, position, .. } = place(&shard, "a", 3);
    let inner = stores.state().inner();
    let incarnation = inner.replicas[0].current().incarnation;
    let mut batch = Batch::default();
    batch.delete(parked::encode(incarnation, "a", position, generation));
    inner.engine.write(batch, false).unwrap();
    let fault = IndexFault::Keys { table: "parked", found: 3, expected: 4 };
    assert_eq!(shard.stores.reader.check_indexes(), Ok(Some(fault)));
}

#[tokio::test]
async fn a_state_of_format_3_is_opened_as_it_is() {
    let (disk, stores) = memory(2);
    let shard = all_parked(&stores).await;
    let before = shard.hash();
    let engine = &stores.state().inner().engine;
    let mut batch = Batch::default();
    batch.put(pointer::format(), vec![3, 0, 2]);
    engine.write(batch, false).unwrap();
    engine.flush().unwrap();
    drop((shard, stores));
    disk.crash();
    let stores = reopen(&disk, 2).unwrap();
    let shard = Shard::open(&stores, 0);
    shard.check();
    assert_eq!(shard.hash(), before);
    assert_eq!(stores.state().inner().engine.get(&pointer::format()).unwrap().unwrap(), [4, 0, 2][..]);
}

#[tokio::test]
async fn the_workload_of_the_crash_tests_parks_and_releases() {
    for (entries, parked) in [(24, 2), (32, 0)] {
        let (_disk, stores) = memory(1);
        let mut shard = Shard::open(&stores, 0);
        shard.append_and_apply(history(entries)).await.unwrap();
        assert_eq!(shard.stores.reader.shard_state().parked, parked, "after {entries} entries");
    }
}
