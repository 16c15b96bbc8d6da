//! A shard in memory for the unit tests of commands, and short ways to write commands down.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::attempt::{Answer, Attempt, Details, Trigger};
use crate::command::{
    AddSigningSecret, AttemptResult, Command, Delete, Done, Entry, Envelope, Fence, Fire, Notice,
    OpenSession, Outcome, Parked, Patch, Precondition, Put, PutGroup, PutMode, Redrive, Refusal, Reply,
    patch::RetryPatch,
};
use crate::definition::{Callback, Definition, LatePolicy, Payload, RetryPolicy};
use crate::group::{Group, GroupCounts, GroupSettings, Phase};
use crate::ids::{NodeId, Sequence, TimerKey};
use crate::secret::SecretBytes;
use crate::shard_state::ShardState;
use crate::tables::{Overlay, Tables, apply, index_keys, lowest_position};
use crate::time::Millis;
use crate::timer::{ErrorKind, Fingerprint, LastError, RequestKey, Timer};

/// The time at which the tests begin.
pub(crate) const START: u64 = 1_000_000;

#[derive(Default)]
pub(crate) struct Store {
    timers: BTreeMap<TimerKey, Timer>,
    groups: BTreeMap<String, Group>,
    counts: BTreeMap<String, GroupCounts>,
    attempts: BTreeMap<(TimerKey, u8), Attempt>,
}

impl Tables for Store {
    type Error = Infallible;

    fn timer(&self, key: &TimerKey) -> Result<Option<Timer>, Infallible> {
        Ok(self.timers.get(key).cloned())
    }

    fn group(&self, name: &str) -> Result<Option<Group>, Infallible> {
        Ok(self.groups.get(name).cloned())
    }

    fn group_counts(&self, name: &str) -> Result<GroupCounts, Infallible> {
        Ok(self.counts.get(name).copied().unwrap_or_default())
    }

    fn first_position(
        &self,
        from: Millis,
        until: Millis,
        counts: &dyn Fn(&TimerKey) -> bool,
    ) -> Result<Option<Millis>, Infallible> {
        let timers = self.timers.iter().filter(|(key, _)| counts(key)).map(|(_, timer)| timer);
        Ok(lowest_position(timers, from, until))
    }

    fn attempts(&self, key: &TimerKey) -> Result<BTreeMap<u8, Attempt>, Infallible> {
        let of_key = self.attempts.iter().filter(|((timer, _), _)| timer == key);
        Ok(of_key.map(|((_, slot), attempt)| (*slot, attempt.clone())).collect())
    }
}

#[derive(Default)]
pub(crate) struct Shard {
    pub(crate) store: Store,
    pub(crate) state: ShardState,
    pub(crate) index: u64,
    /// Of the last entry.
    pub(crate) notices: Vec<Notice>,
}

impl Shard {
    /// A shard whose leader has opened session 1.
    pub(crate) fn new() -> Self {
        let mut shard = Self::default();
        shard.run(START, open(1));
        shard
    }

    pub(crate) fn run(&mut self, at: u64, command: impl Into<Command>) -> Reply {
        self.entry(at, vec![envelope(None, command)]).remove(0)
    }

    /// As the request `id`, whose body is named by `body`.
    pub(crate) fn request(&mut self, at: u64, id: &str, body: u8, command: impl Into<Command>) -> Reply {
        self.entry(at, vec![envelope(Some((id, body)), command)]).remove(0)
    }

    pub(crate) fn entry(&mut self, at: u64, commands: Vec<Envelope>) -> Vec<Reply> {
        self.index += 1;
        let mut overlay = Overlay::new(&self.store, self.state.clone());
        let entry = Entry { proposed_at: Millis(at), commands };
        let Ok(replies) = apply(&mut overlay, self.index, &entry);
        let changes = overlay.into_changes();
        self.state = changes.state;
        self.notices = changes.notices;
        for change in changes.timers {
            let slots = |timer: &Option<Timer>| index_keys(timer.as_ref()).attempts;
            for slot in slots(&change.after)..slots(&change.before) {
                self.store.attempts.remove(&(change.key.clone(), slot));
            }
            let recorded = change.attempts.into_iter();
            self.store.attempts.extend(recorded.map(|(slot, attempt)| ((change.key.clone(), slot), attempt)));
            match change.after {
                Some(timer) => self.store.timers.insert(change.key, timer),
                None => self.store.timers.remove(&change.key),
            };
        }
        self.store.groups.extend(changes.groups.into_iter().map(|group| (group.name.clone(), group)));
        self.store.counts.extend(changes.group_counts);
        replies
    }

    pub(crate) fn timer(&self, id: &str) -> &Timer {
        &self.store.timers[&key(id)]
    }

    pub(crate) fn store_timer(&self, group: &str, id: &str) -> &Timer {
        &self.store.timers[&TimerKey::new(group, id)]
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.store.timers.contains_key(&key(id))
    }

    /// The history of timer `id`, newest first.
    pub(crate) fn history(&self, id: &str) -> Vec<Attempt> {
        let mut attempts: Vec<Attempt> = self.store.attempts(&key(id)).unwrap().into_values().collect();
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.recorded));
        attempts
    }

    /// The outcome of the next attempt of timer `id`, begun at `at` and answered at once.
    pub(crate) fn outcome(&mut self, at: u64, id: &str, result: AttemptResult) -> Reply {
        let timer = self.timer(id);
        let (generation, attempt) = (timer.generation, timer.next_attempt());
        self.run(at, outcome(id, generation, attempt, at, result))
    }
}

pub(crate) fn envelope(request: Option<(&str, u8)>, command: impl Into<Command>) -> Envelope {
    let request = request.map(|(id, body)| RequestKey { id: id.into(), body: Fingerprint([body; 16]) });
    Envelope { request, ..Envelope::own(command.into()) }
}

pub(crate) fn key(id: &str) -> TimerKey {
    TimerKey::new("default", id)
}

pub(crate) fn definition(at: u64) -> Definition {
    Definition {
        execute_at: Millis(at),
        callback: Callback::post("http://receiver/"),
        payload: Payload::Json(b"1".as_slice().into()),
        retry: RetryPolicy { jitter_milli: 0, ..RetryPolicy::default() },
        late: LatePolicy::Fire,
        labels: BTreeMap::new(),
    }
}

/// A put whose definition and fingerprint both come from `at`.
pub(crate) fn put(id: &str, at: u64) -> Put {
    Put {
        key: key(id),
        definition: definition(at),
        delay: None,
        fingerprint: Fingerprint(u128::from(at).to_be_bytes()),
        mode: PutMode::CreateOrReplace,
        precondition: Precondition::default(),
        fence: fence(1, None),
    }
}

pub(crate) fn patch(id: &str) -> Patch {
    Patch {
        key: key(id),
        execute_at: None,
        delay: None,
        url: None,
        method: None,
        headers: Vec::new(),
        timeout: None,
        body: None,
        payload: None,
        retry: RetryPatch::default(),
        late: None,
        labels: BTreeMap::new(),
        precondition: Precondition::default(),
        fence: fence(1, None),
    }
}

pub(crate) fn delete(id: &str) -> Delete {
    Delete { key: key(id), purge: false, precondition: Precondition::default(), fence: fence(1, None) }
}

pub(crate) fn fire(id: &str) -> Fire {
    Fire { key: key(id), precondition: Precondition::default() }
}

pub(crate) fn redrive(id: &str) -> Redrive {
    Redrive { key: key(id), precondition: Precondition::default() }
}

pub(crate) fn put_group(name: &str, settings: GroupSettings) -> PutGroup {
    PutGroup { name: name.into(), settings, keeps_shards: false, precondition: Precondition::default() }
}

/// A copy of a group whose generation and version are `version`.
pub(crate) fn group_in(name: &str, version: u64) -> Group {
    Group {
        name: name.into(),
        generation: Sequence(version),
        version: Sequence(version),
        phase: Phase::Open,
        settings: GroupSettings { shards: 1, ..GroupSettings::default() },
        paused_at: None,
        created_at: Millis(START),
        updated_at: Millis(START),
        settled: true,
        answers: Vec::new(),
        secrets: Vec::new(),
    }
}

/// A secret whose bytes are all `byte`, in a cluster of four shards.
pub(crate) fn add_secret(group: &str, byte: u8) -> AddSigningSecret {
    AddSigningSecret { group: group.into(), secret: SecretBytes::new([byte; 32]), shards: 4 }
}

/// Where `timer` waits.
pub(crate) fn place(timer: &Timer) -> Parked {
    let position = timer.position.unwrap_or_default();
    Parked { key: timer.key.clone(), generation: timer.generation, position }
}

pub(crate) fn fence(session: u64, attempt: Option<(Sequence, u64)>) -> Fence {
    Fence { session, attempt: attempt.map(|(generation, until)| (generation, Millis(until))) }
}

pub(crate) fn open(node: u64) -> OpenSession {
    OpenSession { node: NodeId(node) }
}

pub(crate) fn outcome(
    id: &str,
    generation: Sequence,
    attempt: u32,
    at: u64,
    result: AttemptResult,
) -> Outcome {
    let (started_at, finished_at) = (Millis(at), Millis(at));
    Outcome { key: key(id), generation, attempt, session: 1, started_at, finished_at, result, details: None }
}

/// `outcome` as it goes into the history.
pub(crate) fn recorded(outcome: Outcome) -> Outcome {
    let details = Details {
        scheduled_at: outcome.started_at,
        trigger: Trigger::Schedule,
        answer: Some(Answer::new(200, b"done", false)),
    };
    Outcome { details: Some(details), ..outcome }
}

pub(crate) fn failed(at: u64) -> AttemptResult {
    failure(at, None, false)
}

pub(crate) fn failure(at: u64, retry_after: Option<u64>, permanent: bool) -> AttemptResult {
    let error = LastError {
        kind: ErrorKind::HttpStatus,
        newer_kind: None,
        status: Some(500),
        message: "500 Internal Server Error".into(),
        at: Millis(at),
    };
    AttemptResult::Failed { error, retry_after: retry_after.map(Millis), permanent }
}

/// What was done, of a reply that must say so.
pub(crate) fn done(reply: Reply) -> Done {
    let Reply::Done(done) = reply else { panic!("not done: {reply:?}") };
    *done
}

/// Why not, of a reply that must say so.
pub(crate) fn refused(reply: Reply) -> Refusal {
    let Reply::Refused(refusal) = reply else { panic!("not refused: {reply:?}") };
    refusal
}

macro_rules! command_from {
    ($($name:ident),+; $($boxed:ident),+) => {
        $(impl From<$name> for Command {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        })+
        $(impl From<$boxed> for Command {
            fn from(command: $boxed) -> Self {
                Self::$boxed(Box::new(command))
            }
        })+
    };
}

use crate::command::{
    AdvanceCursor, Expire, HandOver, Park, PauseGroup, Release, RemoveSigningSecret, SetGroup, StepGroup,
};
command_from!(
    Delete, Fire, Redrive, OpenSession, HandOver, AdvanceCursor, Expire, StepGroup, PauseGroup, Park, Release,
    AddSigningSecret, RemoveSigningSecret;
    Put, Patch, Outcome, PutGroup, SetGroup
);
