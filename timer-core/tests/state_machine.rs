//! Random histories of a shard against a model that was written from API.md: what every reply says, what every
//! timer is afterwards, what must hold of a store, and that "nothing is in flight" is never said of a timer
//! that has an attempt on its way. Every history is applied entry by entry on one replica, and many entries at
//! once on another.
#![allow(clippy::expect_used, reason = "a test")]

mod support;

use proptest::prelude::*;
use support::model::{ATTEMPTS_MAX, DURATION_MAX, INTERVAL, INTERVAL_MAX, Model, Now, Seen, TIMES};
use support::ops::{Advance, Batch, Change, Op, Outcome as Result, Request, START, What, When, history};
use support::replica::Replica;
use support::replies::{Flight, seen};
use support::world::{TIMEOUT, World};
use timer_core::attempt::{Answer, Details, Trigger};
use timer_core::command::patch::RetryPatch;
use timer_core::command::{
    AdvanceCursor, AttemptResult, Command, Delete, Entry, Envelope, Expire, Fire, HandOver, OpenSession,
    Outcome, Patch, Precondition, Put, PutMode, Redrive, Refusal, Reply,
};
use timer_core::definition::{Callback, Definition, LatePolicy, Method, Payload, RetryPolicy};
use timer_core::ids::{NodeId, Sequence, TimerKey};
use timer_core::time::{Millis, Span};
use timer_core::timer::{ErrorKind, Fingerprint, InFlight, LastError, RequestKey};

/// All that a history changes.
#[derive(Default)]
struct Machine {
    model: Model,
    world: World,
    replica: Replica,
    index: u64,
    /// Commands of the entry that is being made, and what each must answer. One that may be refused because
    /// something may be in flight ends its entry, and the model follows the reply.
    commands: Vec<Envelope>,
    expected: Vec<Seen>,
    /// Replies that must agree with the world.
    flights: Vec<Flight>,
    /// Entries that the other replica has not applied yet.
    entries: Vec<(u64, Entry)>,
}

fn key(id: u8) -> TimerKey {
    TimerKey::new("default", format!("timer-{id}"))
}

fn payload(value: u8) -> Payload {
    Payload::Json([value].as_slice().into())
}

fn definition(def: u8) -> Definition {
    Definition {
        execute_at: Millis(TIMES[def as usize]),
        callback: Callback { timeout: Span(TIMEOUT), ..Callback::post("http://receiver/") },
        payload: payload(def),
        retry: RetryPolicy {
            attempts_max: ATTEMPTS_MAX,
            duration_max: Span(DURATION_MAX),
            initial_interval: Span(INTERVAL),
            interval_max: Span(INTERVAL_MAX),
            jitter_milli: 0,
            ..RetryPolicy::default()
        },
        late: LatePolicy::Fire,
        labels: [].into(),
    }
}

fn result(result: Result, end: u64, now: u64) -> AttemptResult {
    let error = LastError {
        kind: ErrorKind::TimedOut,
        newer_kind: None,
        status: None,
        message: "late".into(),
        at: Millis(end),
    };
    let failed = |retry_after: Option<u64>, permanent| AttemptResult::Failed {
        error,
        retry_after: retry_after.map(Millis),
        permanent,
    };
    match result {
        Result::Delivered => AttemptResult::Delivered,
        Result::Next => AttemptResult::DeliveredNext { execute_at: Millis(now + 5000), payload: None },
        Result::Failed => failed(None, false),
        Result::Permanent => failed(None, true),
        Result::RetryAfter => failed(Some(end + 2500), false),
        Result::Deferred => AttemptResult::Deferred { until: Millis(now + 10) },
        Result::Skipped => AttemptResult::Skipped,
    }
}

/// One that tells what the attempt came to, for the history.
fn answer(kind: Result) -> Answer {
    Answer::new(200, format!("{kind:?}").as_bytes(), false)
}

impl Machine {
    /// What the next command meets.
    fn now(&self) -> Now {
        let sequence = Sequence::new(self.index, self.commands.len() as u32).0;
        Now { now: self.model.now, sequence }
    }

    fn push(&mut self, request: Request, command: Command, expected: Seen) {
        let request =
            request.map(|(id, body)| RequestKey { id: id.to_string(), body: Fingerprint([body; 16]) });
        self.commands.push(Envelope { request, ..Envelope::own(command) });
        self.expected.push(expected);
    }

    fn precondition(&self, id: u8, when: When) -> Precondition {
        let timer = self.model.timers.get(&id);
        let (version, generation) = timer.map_or((7, 7), |timer| (timer.version, timer.generation));
        let mut precondition = Precondition::default();
        match when {
            When::Always => {}
            When::Absent => precondition.absent = true,
            When::Present => precondition.present = true,
            When::Version => precondition.versions = vec![Sequence(3), Sequence(version)],
            When::StaleVersion => precondition.versions = vec![Sequence(version + 1)],
            When::Generation => precondition.generation = Some(Sequence(generation)),
            When::StaleGeneration => precondition.generation = Some(Sequence(generation + 1)),
            When::NothingInFlight => precondition.nothing_in_flight = true,
        }
        precondition
    }

    fn define(&mut self, id: u8, what: What, when: When, request: Request) {
        let at = self.now();
        let generation = self.model.timers.get(&id).map_or(0, |timer| timer.generation);
        let (precondition, fence) = (self.precondition(id, when), self.world.fence(&key(id)));
        self.flights.push(Flight {
            command: self.commands.len(),
            key: key(id),
            generation,
            ends: self.world.in_flight(&key(id), generation),
            calm: self.world.is_calm(),
        });
        let before = self.model.timers.get(&id).cloned();
        let (command, expected) = match what {
            What::Put { def, create_only } => {
                let put = Put {
                    key: key(id),
                    definition: definition(def),
                    delay: None,
                    fingerprint: Fingerprint([def; 16]),
                    mode: if create_only { PutMode::CreateOnly } else { PutMode::CreateOrReplace },
                    precondition,
                    fence,
                };
                (Command::Put(Box::new(put)), self.model.put(id, def, create_only, when, request, at))
            }
            What::Patch(change) => {
                let label = || [("label".into(), Some("on".into()))].into();
                let patch = Patch {
                    key: key(id),
                    execute_at: (change == Change::Time).then_some(Millis(TIMES[2] + 1)),
                    delay: None,
                    url: None,
                    method: (change == Change::Method).then_some(Method::Get),
                    headers: Vec::new(),
                    timeout: None,
                    body: None,
                    payload: (change == Change::Payload).then(|| payload(99)),
                    retry: RetryPatch::default(),
                    late: None,
                    labels: if change == Change::Label { label() } else { [].into() },
                    precondition,
                    fence,
                };
                (Command::Patch(Box::new(patch)), self.model.patch(id, change, when, request, at))
            }
            What::Delete { purge } => {
                let delete = Delete { key: key(id), purge, precondition, fence };
                (Command::Delete(delete), self.model.delete(id, purge, when, request, at))
            }
        };
        self.push(request, command, expected);
        if when == When::NothingInFlight {
            self.flush_refusable(id, before);
        } else if self.replica_would_purge() {
            self.world.forget(&key(id));
        }
    }

    fn replica_would_purge(&self) -> bool {
        matches!(self.expected.last(), Some(Seen::Done { effect: "purged", replayed: false, .. }))
    }

    /// Ends the entry after a command that is refused if something may be in flight, and follows the reply.
    fn flush_refusable(&mut self, id: u8, before: Option<support::model::Timer>) {
        let purges = self.replica_would_purge();
        let Some(reply) = self.flush() else { return };
        if let Reply::Refused(Refusal::AttemptInFlight(in_flight)) = reply {
            assert_ne!(in_flight, InFlight::No);
            match before {
                Some(timer) => self.model.timers.insert(id, timer),
                None => panic!("refused for a timer that is not there"),
            };
            self.compare();
        } else if purges {
            self.world.forget(&key(id));
        }
    }

    fn outcome(&mut self, id: u8, attempt: (u64, u32, u64), kind: Result) {
        let (at, end) = (self.now(), self.world.clock());
        let outcome = Outcome {
            key: key(id),
            generation: Sequence(attempt.0),
            attempt: attempt.1,
            session: attempt.2,
            started_at: Millis(end),
            finished_at: Millis(end),
            result: result(kind, end, at.now),
            details: Some(Details {
                scheduled_at: Millis(end),
                trigger: Trigger::Schedule,
                answer: Some(answer(kind)),
            }),
        };
        let expected = self.model.outcome(id, attempt, kind, end, at);
        self.push(None, Command::Outcome(Box::new(outcome)), expected);
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Define { id, what, when, request } => self.define(id, what, when, request),
            Op::Fire { id, when, request } => {
                let fire = Fire { key: key(id), precondition: self.precondition(id, when) };
                let expected = self.model.fire(id, when, request, self.now());
                self.push(request, Command::Fire(fire), expected);
            }
            Op::Redrive { id, when, request } => {
                let redrive = Redrive { key: key(id), precondition: self.precondition(id, when) };
                let expected = self.model.redrive(id, when, request, self.now());
                self.push(request, Command::Redrive(redrive), expected);
            }
            Op::Start { id } => {
                // A leader sends what is applied.
                self.flush();
                if let Some(timer) = self.model.timers.get(&id)
                    && let Some(due) = timer.next
                {
                    self.world.start(key(id), timer.generation, timer.next_attempt(), due);
                }
            }
            Op::Answer { pick, result } => {
                if let Some(attempt) = self.world.answered(pick) {
                    let id = (0..=u8::MAX).find(|id| key(*id) == attempt.key).expect("a key of ours");
                    self.outcome(id, (attempt.generation, attempt.number, attempt.session), result);
                }
            }
            Op::Stray { id, offset, old, result } => {
                if let Some(timer) = self.model.timers.get(&id) {
                    let number = timer.next_attempt().saturating_add_signed(offset.into());
                    let wrong = (timer.generation - u64::from(old), number);
                    // The right one would be an answer without an attempt.
                    if wrong != (timer.generation, timer.next_attempt()) {
                        self.outcome(id, (wrong.0, wrong.1, self.world.former), result);
                    }
                }
            }
            Op::Lose { skew } => {
                // What it has proposed carries its own clock.
                self.flush();
                self.world.lose(skew.into());
            }
            Op::Open => self.open(),
            Op::HandOver => {
                if let Some(session) = self.world.leader.session.filter(|_| !self.world.leader.handed_over) {
                    let attempts = self.world.hand_over();
                    self.push(None, Command::HandOver(HandOver { session, attempts }), Seen::Ack);
                }
            }
            // Until the next is open, it is not over.
            Op::FormerSession if self.world.leader.session.is_none() => {}
            Op::FormerSession => {
                let (session, to) = (self.world.former, Millis(self.model.now));
                self.push(None, Command::AdvanceCursor(AdvanceCursor { session, to }), Seen::Ack);
                let attempts = Vec::new();
                self.push(None, Command::HandOver(HandOver { session, attempts }), Seen::Ack);
            }
            Op::Advance { to } => self.advance(to),
            Op::Expire { stale } => {
                let named: Vec<(u8, u64)> = self
                    .model
                    .timers
                    .iter()
                    .map(|(id, timer)| (*id, timer.version - u64::from(stale)))
                    .collect();
                let timers = named.iter().map(|(id, version)| (key(*id), Sequence(*version))).collect();
                self.model.expire(&named, self.model.now);
                self.push(None, Command::Expire(Expire { timers }), Seen::Ack);
            }
        }
    }

    fn open(&mut self) {
        self.flush();
        self.world.open(self.index);
        let open = OpenSession { node: NodeId(self.index % 3) };
        self.push(None, Command::OpenSession(open), Seen::Session(self.index));
    }

    fn advance(&mut self, to: Advance) {
        let Some(session) = self.world.leader.session else { return };
        // As a leader does: up to the first that is pending, within the time of what is applied.
        self.flush();
        let first = self.replica.store.timers.values().filter_map(|timer| timer.position).min();
        let right = self.replica.state.last_time.min(first.unwrap_or(Millis::MAX)).0;
        let to = match to {
            Advance::Right => right,
            Advance::Backwards => self.model.cursor.saturating_sub(5),
            Advance::Beyond => self.model.now + 1_000_000_000,
        };
        if to <= self.model.now {
            self.model.cursor = self.model.cursor.max(to);
        }
        let to = Millis(to);
        self.push(None, Command::AdvanceCursor(AdvanceCursor { session, to }), Seen::Ack);
    }

    /// Applies the entry that has been made and compares. Gives the last reply.
    fn flush(&mut self) -> Option<Reply> {
        if self.commands.is_empty() {
            return None;
        }
        let commands = std::mem::take(&mut self.commands);
        let entry = Entry { proposed_at: Millis(self.world.clock()), commands };
        let entry = (self.index, entry);
        let replies = self.replica.apply(std::slice::from_ref(&entry));
        self.entries.push(entry);
        for ((reply, expected), n) in replies.iter().zip(std::mem::take(&mut self.expected)).zip(0..) {
            if matches!(reply, Reply::Refused(Refusal::AttemptInFlight(_))) {
                assert!(matches!(expected, Seen::Done { replayed: false, .. }), "{expected:?}");
            } else {
                assert_eq!(seen(reply), expected, "command {n} of {:?}", self.entries.last());
            }
        }
        for flight in std::mem::take(&mut self.flights) {
            flight.check(&replies[flight.command]);
        }
        if !matches!(replies.last(), Some(Reply::Refused(Refusal::AttemptInFlight(_)))) {
            self.compare();
        }
        self.index += 1;
        replies.into_iter().next_back()
    }

    fn compare(&self) {
        assert_eq!(self.replica.state.last_time, Millis(self.model.now));
        assert_eq!(self.replica.state.cursor, Millis(self.model.cursor));
        assert_eq!(self.replica.store.timers.len(), self.model.timers.len());
        for (id, want) in &self.model.timers {
            let timer = &self.replica.store.timers[&key(*id)];
            assert_eq!(timer.state.as_str(), want.state, "{}", timer.key);
            assert_eq!((timer.generation.0, timer.version.0), (want.generation, want.version));
            assert_eq!(timer.definition.execute_at.0, want.at);
            assert_eq!(timer.definition.payload, want.payload.map_or(Payload::None, payload));
            assert_eq!(!timer.definition.labels.is_empty(), want.label);
            assert_eq!(timer.fingerprint, want.put.map(|def| Fingerprint([def; 16])));
            let counts = (timer.attempts, timer.attempts_forgiven, timer.deferrals, timer.manual);
            assert_eq!(counts, (want.attempts, want.forgiven, want.deferrals, want.manual));
            assert_eq!(timer.first_attempt_at.map(|at| at.0), want.first);
            assert_eq!(timer.next_attempt_at.map(|at| at.0), want.next);
            assert_eq!((timer.created_at.0, timer.purge_at.map(|at| at.0)), (want.created, want.purge));
            let history = self.replica.store.history(&timer.key);
            let seen = history
                .iter()
                .map(|a| (a.generation.0, a.number, a.session, a.counted, a.details.answer.clone()));
            let wanted = want.history.iter().map(|(generation, number, session, counted, kind)| {
                (*generation, *number, *session, *counted, Some(answer(*kind)))
            });
            assert!(seen.eq(wanted), "{}: {history:?}, not {:?}", timer.key, want.history);
        }
    }
}

fn run(history: &[Batch]) {
    let mut machine = Machine { index: 1, ..Machine::default() };
    machine.world.time = START;
    let mut at_once = Replica::default();
    for batch in history {
        machine.world.time += batch.wait;
        for op in &batch.ops {
            // Log time, before the first command of an entry and after a change of leader.
            machine.model.now = machine.replica.state.last_time.0.max(machine.world.clock());
            machine.step(op);
        }
        machine.flush();
        if batch.ends {
            at_once.apply(&std::mem::take(&mut machine.entries));
            assert_eq!(at_once, machine.replica, "many entries at once");
        }
    }
    at_once.apply(&machine.entries);
    assert_eq!(at_once, machine.replica, "many entries at once");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_shard_does_what_the_api_says(history in history()) {
        run(&history);
    }
}
