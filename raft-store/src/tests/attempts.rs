//! Histories of attempts: bounded, gone with their timers, the same after every way that a state can take, and begun with
//! the first outcome that has what they need.

use timer_core::attempt::{Answer, Attempt, Details, Trigger};
use timer_core::command::{AttemptResult, Command, Delete, Expire, Fence, Outcome, Precondition};
use timer_core::ids::Sequence;
use timer_core::limits::{ATTEMPTS_KEPT_MAX, RETENTION};
use timer_core::time::Millis;

use super::memory;
use super::snapshots::{sent, take};
use super::workload::{START, Shard, entry, history, key, put, reopen, run};
use crate::Stores;
use crate::engine::Batch;
use crate::keys::{attempt, incarnation_range};
use crate::state_machine::IndexFault;
use crate::type_config::Entry;

/// An engine's keys and values of one shard, without the incarnation.
type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// A log that grows, of one shard under one leader.
struct Log {
    shard: Shard,
    next: u64,
}

impl Log {
    /// Whose leader has opened a session.
    async fn open(stores: &Stores) -> Self {
        let mut shard = Shard::open(stores, 0);
        shard.append_and_apply(history(2)).await.unwrap();
        Self { shard, next: 2 }
    }

    async fn run(&mut self, at: u64, commands: Vec<Command>) {
        let entry: Entry = entry(1, self.next, at, commands);
        self.shard.append_and_apply(vec![entry]).await.unwrap();
        self.shard.check();
        self.next += 1;
    }

    /// The outcome of the next attempt of timer `n`.
    fn outcome(&self, n: u64, at: u64, result: AttemptResult) -> Outcome {
        let timer = self.shard.stores.reader.timer(&key(n)).unwrap().unwrap();
        let number = timer.next_attempt();
        let answer = Some(Answer::new(503, format!("answer {number}").as_bytes(), false));
        Outcome {
            key: key(n),
            generation: timer.generation,
            attempt: number,
            session: 1,
            started_at: Millis(at),
            finished_at: Millis(at + 1),
            result,
            details: Some(Details { scheduled_at: Millis(at), trigger: Trigger::Schedule, answer }),
        }
    }

    async fn attempt(&mut self, n: u64, at: u64, result: AttemptResult) {
        let outcome = self.outcome(n, at, result);
        self.run(at, vec![Command::Outcome(Box::new(outcome))]).await;
    }

    /// Not yet, and not yet, and not yet.
    async fn defer(&mut self, n: u64, times: u64) {
        for time in 0..times {
            self.attempt(n, START + time, AttemptResult::Deferred { until: Millis(START) }).await;
        }
    }

    fn history(&self, n: u64) -> Vec<Attempt> {
        self.shard.stores.reader.attempts(&key(n)).unwrap().unwrap()
    }
}

/// What the engine has of histories.
fn rows(stores: &Stores) -> Rows {
    let state = stores.state().inner();
    let incarnation = state.replicas[0].current().incarnation;
    let mut rows = Rows::new();
    let (from, to) = attempt::all(incarnation);
    let visit: crate::engine::Visit<'_> = &mut |key, value| {
        rows.push((key[4..].to_vec(), value.to_vec()));
        Ok(std::ops::ControlFlow::Continue(()))
    };
    state.engine.scan(&from, &to, visit).unwrap();
    rows
}

fn numbers(history: &[Attempt]) -> Vec<u32> {
    history.iter().map(|attempt| attempt.number).collect()
}

fn purge(n: u64) -> Command {
    let (precondition, fence) = (Precondition::default(), Fence::default());
    Command::Delete(Delete { key: key(n), purge: true, precondition, fence })
}

#[tokio::test]
async fn a_history_keeps_the_newest_attempts_newest_first_and_no_row_more() {
    let (_disk, stores) = memory(1);
    let mut log = Log::open(&stores).await;
    assert_eq!(log.shard.stores.reader.attempts(&key(1)), Ok(None), "there is no such timer");
    log.run(START, vec![put(1, START), put(2, START)]).await;
    assert_eq!(log.history(1), []);
    let kept = u64::from(ATTEMPTS_KEPT_MAX);
    log.defer(1, kept + 7).await;
    log.defer(2, 3).await;
    assert_eq!(numbers(&log.history(2)), [3, 2, 1]);
    let history = log.history(1);
    assert_eq!(numbers(&history), (8..=27).rev().collect::<Vec<_>>());
    assert_eq!(&history[0].details.answer.as_ref().unwrap().body()[..], b"answer 27");
    assert_eq!(rows(&stores).len(), usize::from(ATTEMPTS_KEPT_MAX) + 3);
}

#[tokio::test]
async fn a_history_is_erased_with_its_timer_and_with_no_other() {
    let (_disk, stores) = memory(1);
    let mut log = Log::open(&stores).await;
    log.run(START, (1..=4).map(|n| put(n, START)).collect()).await;
    for n in 1..=4 {
        log.defer(n, n * 8).await;
        log.attempt(n, START + 100, AttemptResult::Delivered).await;
    }
    log.run(START + 200, vec![purge(2)]).await;
    assert_eq!(log.shard.stores.reader.attempts(&key(2)), Ok(None));
    let version = log.shard.stores.reader.timer(&key(3)).unwrap().unwrap().version;
    let expire = Expire { timers: vec![(key(3), version), (key(4), Sequence(1))] };
    log.run(START + 200 + RETENTION.0, vec![Command::Expire(expire)]).await;
    assert_eq!(log.shard.stores.reader.attempts(&key(3)), Ok(None));
    assert_eq!((log.history(1).len(), log.history(4).len()), (9, 20));
    assert_eq!(rows(&stores).len(), 29);
    // Erased and made anew in one entry, over a full ring: what was attempted before is gone.
    log.run(START + 300 + RETENTION.0, vec![purge(4), put(4, START)]).await;
    assert_eq!(log.history(4), []);
    log.defer(4, 2).await;
    assert_eq!((numbers(&log.history(4)), rows(&stores).len()), (vec![2, 1], 11));
}

#[tokio::test]
async fn the_check_finds_a_row_too_many_one_too_few_and_one_that_is_none() {
    let (_disk, stores) = memory(1);
    let mut log = Log::open(&stores).await;
    log.run(START, vec![put(1, START)]).await;
    log.defer(1, 2).await;
    let inner = stores.state().inner();
    let incarnation = inner.replicas[0].current().incarnation;
    let slot = |slot| attempt::encode(incarnation, &key(1), slot);
    let row = inner.engine.get(&slot(0)).unwrap().unwrap();
    let write = |key: Vec<u8>, value: Option<bytes::Bytes>| {
        let mut batch = Batch::default();
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
        inner.engine.write(batch, false).unwrap();
        log.shard.stores.reader.check_indexes()
    };
    let fault = |found| Ok(Some(IndexFault::Keys { table: "history", found, expected: 2 }));
    assert_eq!(write(slot(2), Some(row.clone())), fault(3));
    assert_eq!(write(slot(2), None), Ok(None));
    assert_eq!(write(slot(0), None), fault(1));
    let stray = attempt::encode(incarnation, &key(9), 0);
    assert_eq!(write(stray.clone(), Some(row.clone())), fault(2), "another timer's instead");
    assert_eq!(write(stray, None), fault(1));
    let damaged = write(slot(0), Some(bytes::Bytes::from_static(b"\xff")));
    assert!(damaged.unwrap_err().to_string().contains("an attempt: "), "it can't be read");
}

#[tokio::test]
async fn a_snapshot_carries_the_histories() {
    let (_disk, stores) = memory(1);
    let mut from = Log::open(&stores).await;
    from.run(START, vec![put(1, START), put(2, START)]).await;
    from.defer(1, 25).await;
    let (header, chunks) = sent(&mut from.shard).await;
    let (_disk, others) = memory(1);
    let mut to = Shard::open(&others, 0);
    take(&others, &mut to, &header, &chunks).await.unwrap();
    to.check();
    assert_eq!(to.stores.reader.attempts(&key(1)), Ok(Some(from.history(1))));
    assert_eq!(to.stores.reader.attempts(&key(2)), Ok(Some(Vec::new())));
    assert_eq!(to.hash(), from.shard.hash());
}

#[tokio::test]
async fn histories_are_the_same_whether_entries_came_one_by_one_or_many_at_once_or_again_after_a_crash() {
    let log = history(62);
    let (_disk, one_by_one) = memory(1);
    let mut shard = Shard::open(&one_by_one, 0);
    for entry in &log {
        shard.append_and_apply(vec![entry.clone()]).await.unwrap();
    }
    let (_disk, at_once) = memory(1);
    let mut shard = Shard::open(&at_once, 0);
    shard.append_and_apply(log.clone()).await.unwrap();
    let (disk, crashed) = memory(1);
    run(&crashed, &mut Shard::open(&crashed, 0), &log).await.unwrap();
    disk.crash();
    let crashed = reopen(&disk, 1).unwrap();
    let mut shard = Shard::open(&crashed, 0);
    shard.apply_all().await.unwrap();
    let expected = rows(&one_by_one);
    assert!(expected.len() > 20, "{} rows", expected.len());
    assert_eq!(rows(&at_once), expected);
    assert_eq!(rows(&crashed), expected);
}

/// The outcome as a version without histories had proposed it.
fn of_before(outcome: Outcome) -> Command {
    Command::Outcome(Box::new(Outcome { details: None, ..outcome }))
}

#[tokio::test]
async fn a_history_begins_with_the_first_outcome_after_those_of_a_version_without_histories() {
    let (_disk, stores) = memory(1);
    let mut log = Log::open(&stores).await;
    log.run(START, vec![put(1, START)]).await;
    let outcome = of_before(log.outcome(1, START, AttemptResult::Deferred { until: Millis(START) }));
    log.run(START, vec![outcome]).await;
    assert_eq!((log.history(1), rows(&stores)), (Vec::new(), Rows::new()));
    log.defer(1, 1).await;
    assert_eq!(numbers(&log.history(1)), [2]);
}

#[tokio::test]
async fn an_entry_of_a_version_without_histories_changes_what_it_changed_there() {
    let (_disk, stores) = memory(1);
    let mut log = Log::open(&stores).await;
    log.run(START, vec![put(1, START)]).await;
    let outcome = of_before(log.outcome(1, START, AttemptResult::Deferred { until: Millis(START) }));
    // Twice: it counts, and then it is what only a history would keep.
    log.run(START, vec![outcome.clone()]).await;
    let hash_of_keys = || {
        let state = stores.state().inner();
        let (from, to) = incarnation_range(state.replicas[0].current().incarnation);
        let mut keys = 0;
        let visit: crate::engine::Visit<'_> = &mut |_, _| {
            keys += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        };
        state.engine.scan(&from, &to, visit).unwrap();
        keys
    };
    let (keys, timer) = (hash_of_keys(), log.shard.stores.reader.timer(&key(1)).unwrap().unwrap());
    log.run(START, vec![outcome]).await;
    assert_eq!(log.shard.stores.reader.timer(&key(1)).unwrap().unwrap(), timer);
    assert_eq!((timer.deferrals, timer.attempts_recorded, hash_of_keys()), (1, 0, keys));
}

/// Run with `--nocapture` to see it.
#[test]
fn a_usual_attempt_costs_some_dozens_of_bytes() {
    use timer_core::command::Envelope;
    use timer_core::ids::TimerKey;
    let (now, session) = (Millis(1_800_000_000_000), 500_000);
    let details =
        Details { scheduled_at: now, trigger: Trigger::Schedule, answer: Some(Answer::new(204, b"", false)) };
    let key = TimerKey::new("default", "order-4711-reminder");
    let generation = Sequence::new(1_000_000, 7);
    let (started_at, finished_at, result) = (now, Millis(now.0 + 12), AttemptResult::Delivered);
    let outcome = Outcome {
        key: key.clone(),
        generation,
        attempt: 1,
        session,
        started_at,
        finished_at,
        result: result.clone(),
        details: Some(details.clone()),
    };
    let row = proto::record::encode_attempt(&Attempt {
        recorded: Sequence::new(1_000_001, 7),
        generation,
        number: 1,
        session,
        counted: true,
        started_at,
        finished_at,
        result,
        details,
    });
    let in_log = |outcome: Outcome| {
        proto::entry::encode_envelope(&Envelope::own(Command::Outcome(Box::new(outcome)))).len()
    };
    let with = in_log(outcome.clone());
    let without = in_log(Outcome { details: None, ..outcome });
    let key = attempt::encode(1, &key, 0).len();
    println!("a row of {} bytes under a key of {key}; {with} bytes in the log, {without} before", row.len());
    assert!(row.len() + key < 120 && with - without < 30);
}
