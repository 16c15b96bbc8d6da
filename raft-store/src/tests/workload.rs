//! A stand-in for Raft: it appends, waits, applies, and drives timers through their whole lives.

use std::collections::BTreeMap;

use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage, RaftStateMachine};
use openraft::type_config::TypeConfigExt;
use timer_core::attempt::{Answer, Details, Trigger};
use timer_core::command::{
    AdvanceCursor, AttemptResult, Command, Delete, Entry as Commands, Envelope, Expire, Fence, OpenSession,
    Outcome, Park, Parked, Precondition, Put, PutMode, Release, SetGroup,
};
use timer_core::definition::{Callback, Definition, LatePolicy, Payload as Body, RetryPolicy};
use timer_core::group::Group;
use timer_core::ids::{NodeId, Sequence, ShardId, TimerKey};
use timer_core::time::Millis;
use timer_core::timer::Fingerprint;

use crate::type_config::{Entry, LogId, Membership, Payload, Vote, log_id};
use crate::{EntryData, PeerNode, ShardStores, StoreError, Stores, TypeConfig};

/// When the workload begins.
pub(super) const START: u64 = 1_000_000;

/// One shard under a scripted leader.
pub(super) struct Shard {
    pub(super) stores: ShardStores,
    /// The last entry whose append was acknowledged.
    pub(super) acked: Option<LogId>,
}

impl Shard {
    pub(super) fn open(stores: &Stores, shard: u16) -> Self {
        let stores = stores.shard(ShardId(shard), None).unwrap();
        Self { stores, acked: None }
    }

    /// Appends entries and waits for the acknowledgement.
    pub(super) async fn append(&mut self, entries: Vec<Entry>) -> std::io::Result<()> {
        let last = entries.last().map(|e| e.log_id);
        let (done, outcome) = TypeConfig::oneshot();
        self.stores.log.append(entries, IOFlushed::signal(done)).await?;
        outcome.await.unwrap()?;
        self.acked = last;
        Ok(())
    }

    /// Applies the entries from the applied one on, as openraft does: out of the log.
    pub(super) async fn apply_all(&mut self) -> std::io::Result<()> {
        let next = self.stores.reader.applied().map_or(0, |id| id.index() + 1);
        let entries = self.stores.log.try_get_log_entries(next..).await?;
        let items = entries.into_iter().map(|entry| Ok((entry, None)));
        self.stores.state_machine.apply(futures_util::stream::iter(items)).await
    }

    pub(super) async fn append_and_apply(&mut self, entries: Vec<Entry>) -> std::io::Result<()> {
        self.append(entries).await?;
        self.apply_all().await
    }

    pub(super) async fn vote(&mut self, term: u64) -> std::io::Result<()> {
        self.stores.log.save_vote(&Vote::new_committed(term, 1)).await
    }

    /// Panics unless all indexes and histories have what the timers call for.
    pub(super) fn check(&self) {
        assert_eq!(self.stores.reader.check_indexes(), Ok(None));
    }

    pub(super) fn hash(&self) -> (Option<LogId>, u64) {
        self.stores.reader.state_hash().unwrap()
    }
}

/// An entry of commands.
pub(super) fn entry(term: u64, index: u64, at: u64, commands: Vec<Command>) -> Entry {
    let commands = commands.into_iter().map(Envelope::own).collect();
    let bytes = proto::entry::encode(&Commands { proposed_at: Millis(at), commands });
    Entry { log_id: log_id(term, 1, index), payload: Payload::Normal(EntryData(bytes)) }
}

/// An entry of opaque bytes, for tests of the log alone.
pub(super) fn bytes_entry(term: u64, index: u64, len: usize) -> Entry {
    let bytes = Bytes::from(vec![u8::try_from(index % 251).unwrap(); len]);
    Entry { log_id: log_id(term, 1, index), payload: Payload::Normal(EntryData(bytes)) }
}

pub(super) fn key(n: u64) -> TimerKey {
    TimerKey::new("default", format!("timer-{n}"))
}

pub(super) fn put(n: u64, execute_at: u64) -> Command {
    Command::Put(Box::new(Put {
        key: key(n),
        definition: Definition {
            execute_at: Millis(execute_at),
            callback: Callback::post("http://receiver/"),
            payload: Body::Json(vec![b'1'; 100].into()),
            retry: RetryPolicy::default(),
            late: LatePolicy::Fire,
            labels: BTreeMap::new(),
        },
        delay: None,
        fingerprint: Fingerprint(u128::from(execute_at).to_be_bytes()),
        mode: PutMode::CreateOrReplace,
        precondition: Precondition::default(),
        fence: Fence { session: 1, attempt: None },
    }))
}

/// The whole log of a life of timers, from the first membership: entry `i` has index `i`. Deterministic, so
/// that it can be told from the applied index what a state must be.
pub(super) fn history(entries: u64) -> Vec<Entry> {
    let member = BTreeMap::from([(1, PeerNode { name: "n1".into(), address: "n1:1".into() })]);
    let members = Payload::Membership(Membership::from(member));
    let mut log = vec![Entry { log_id: log_id(1, 1, 0), payload: members }];
    let open = Command::OpenSession(OpenSession { node: NodeId(1) });
    log.push(entry(1, 1, START, vec![open]));
    for index in 2..entries {
        let at = START + index * 10;
        let round = index / 8;
        let commands = match index % 8 {
            0 | 1 => (0..4).map(|n| put(index * 4 + n, at + 5 + n)).collect(),
            // Outcomes of the first puts of this round, and one that is history only.
            2 => vec![
                outcome(round * 8, 0, at, 1),
                outcome(round * 8 + 1, 1, at, 1),
                outcome(round * 8, 0, at, 2),
            ],
            3 => vec![Command::Delete(Delete {
                key: key(round * 8 * 4 + 2),
                purge: false,
                precondition: Precondition::default(),
                fence: Fence { session: 1, attempt: None },
            })],
            // The same id again: a new generation in the same wheel.
            4 => vec![put(round * 8 * 4 + 3, at + 500)],
            5 => vec![Command::AdvanceCursor(AdvanceCursor { session: 1, to: Millis(START + 1) })],
            6 => vec![Command::Expire(Expire { timers: vec![(key(round * 8 * 4), Sequence(1))] })],
            _ => pause_or_resume(round, at),
        };
        log.push(entry(1, index, at, commands));
    }
    log
}

/// In even rounds pauses the group and parks two timers of the round, in odd ones lets them go.
fn pause_or_resume(round: u64, at: u64) -> Vec<Command> {
    let of = round - round % 2;
    let put_at = of * 8 + 1;
    let place = |n: u32| Parked {
        key: key(put_at * 4 + u64::from(n)),
        generation: Sequence::new(put_at, n),
        position: Millis(START + put_at * 10 + 5 + u64::from(n)),
    };
    let (session, timers) = (1, vec![place(2), place(3)]);
    let paused = round == of;
    let group = Group {
        version: Sequence(10 + round),
        paused_at: paused.then_some(Millis(at)),
        ..Group::unchanged_default(1)
    };
    let step = if paused {
        Command::Park(Park { session, timers })
    } else {
        Command::Release(Release { session, timers })
    };
    vec![Command::SetGroup(Box::new(SetGroup { group })), step]
}

/// The receiver took the first attempt of timer `n` of the put at `index`, which `session` had made.
fn outcome(index: u64, n: u32, at: u64, session: u64) -> Command {
    let answer = Answer::new(200, &vec![b'x'; usize::try_from(index * 37 % 1500).unwrap()], false);
    Command::Outcome(Box::new(Outcome {
        key: key(index * 4 + u64::from(n)),
        generation: Sequence::new(index, n),
        attempt: 1,
        session,
        started_at: Millis(at),
        finished_at: Millis(at + 1),
        result: AttemptResult::Delivered,
        details: Some(Details { scheduled_at: Millis(at), trigger: Trigger::Schedule, answer: Some(answer) }),
    }))
}

/// Runs a history entry by entry in small groups, with flushes and purges, until something fails.
pub(super) async fn run(stores: &Stores, shard: &mut Shard, log: &[Entry]) -> Result<(), std::io::Error> {
    let known = stores.log_status(ShardId(0)).last.map_or(0, |id| id.index() + 1);
    shard.apply_all().await?;
    let rest = &log[usize::try_from(known).unwrap()..];
    shard.vote(1).await?;
    for (round, group) in rest.chunks(3).enumerate() {
        shard.append_and_apply(group.to_vec()).await?;
        shard.stores.log.save_committed(group.last().map(|e| e.log_id)).await?;
        if round % 4 == 3 {
            let persisted = stores.flush().map_err(std::io::Error::from)?;
            // As openraft does with a snapshot policy that keeps some entries.
            let upto = persisted[0].applied.and_then(|id| id.index().checked_sub(3));
            if let Some(upto) = upto.filter(|upto| *upto < log.len() as u64) {
                shard.stores.log.purge(log[usize::try_from(upto).unwrap()].log_id).await?;
            }
        }
    }
    Ok(())
}

/// The state after each entry of a history: what a run on a disk without faults has.
pub(super) async fn states(log: &[Entry]) -> Vec<u64> {
    let (_disk, stores) = super::memory(1);
    let mut shard = Shard::open(&stores, 0);
    let mut states = Vec::new();
    for entry in log {
        shard.append_and_apply(vec![entry.clone()]).await.unwrap();
        shard.check();
        states.push(shard.hash().1);
    }
    states
}

/// A failure that a power cut explains.
pub(super) fn is_power_cut(error: &std::io::Error) -> bool {
    error.to_string().contains("the power is off")
}

/// Reopens the stores after a crash.
pub(super) fn reopen(disk: &crate::engine::memory::MemoryDisk, shards: u16) -> Result<Stores, StoreError> {
    Stores::memory(disk, shards, &super::options())
}
