//! Builders of hand-made histories for this crate's tests: times in milliseconds, one call a line. Deliberately not
//! here: anything that makes a history look valid by itself; a test says what it means.

use std::collections::BTreeMap;

use crate::history::{
    Action, Answer, Call, Definition, Delivery, Event, FaultBegin, FaultEnd, Health, InFlight, Leader,
    Outcome, Patch, PhaseChange, PhaseName, Refusal, Reply, RetryPolicy, Return, Run, State,
};
use crate::index::{History, HistoryBuilder};
use crate::verdict::{Breach, Findings};

/// The wall clock when a test's history begins, in milliseconds.
pub(crate) const WALL: u64 = 1_000_000;

/// Waits of 1 s, 2 s, 4 s; 3 attempts.
pub(crate) fn policy() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 3,
        max_duration_ms: 60_000,
        initial_interval_ms: 1000,
        multiplier_milli: 2000,
        max_interval_ms: 8000,
        jitter_milli: 0,
        dead_on: vec![400, 410],
    }
}

/// Bounds: an attempt 2 s, liveness 5 s, recovery 3 s, clocks 250 ms.
pub(crate) fn run() -> Run {
    Run {
        seed: 42,
        options: BTreeMap::new(),
        nodes: 3,
        shards: 1,
        wall_ms_at_zero: WALL,
        attempt_timeout_ms: 2000,
        max_clock_offset_ms: 250,
        liveness_bound_ms: 5000,
        grace_ms: 0,
        recovery_bound_ms: 3000,
        transit_slack_ms: 0,
        sessions_complete: true,
        replicas_seen: true,
        fault_kinds: Vec::new(),
        retry: policy(),
    }
}

/// A definition that is due `at` milliseconds after the begin.
pub(crate) fn due(at: u64) -> Definition {
    Definition { execute_at_ms: WALL + at, payload: 7, label: 0, callback_timeout_ms: None, retry: None }
}

/// The answer about generation and version 0, scheduled for `at`.
pub(crate) fn answer(status: u16, generation: u64, version: u64, at: u64) -> Answer {
    Answer {
        status,
        generation,
        version,
        state: State::Scheduled,
        execute_at_ms: WALL + at,
        payload: Some(7),
        label: 0,
        attempts: 0,
        in_flight: InFlight::No,
        in_flight_until_ms: None,
        replayed: false,
    }
}

/// The same in another state, with so many attempts; the payload goes when it ends otherwise than dead.
pub(crate) fn after(answer: Answer, state: State, attempts: u32) -> Answer {
    let payload = answer.payload.filter(|_| state.is_pending() || state == State::Dead);
    Answer { state, attempts, payload, ..answer }
}

/// A refusal.
pub(crate) fn refused(status: u16, code: &str, version: Option<u64>, timer: Option<Answer>) -> Outcome {
    Outcome::Refused(Refusal { status, code: code.into(), version, timer })
}

/// Nobody knows.
pub(crate) fn unknown() -> Outcome {
    Outcome::Unknown { detail: "timed out".into() }
}

/// An unconditional PUT.
pub(crate) fn put(definition: Definition) -> Action {
    Action::Put { definition, if_match: None }
}

/// A create.
pub(crate) fn create(definition: Definition) -> Action {
    Action::Create { definition }
}

/// A patch to another time.
pub(crate) fn move_to(at: u64, if_match: Option<u64>) -> Action {
    Action::Patch { patch: Patch { execute_at_ms: Some(WALL + at), ..Patch::default() }, if_match }
}

/// A patch of labels.
pub(crate) fn label(label: u64, if_match: Option<u64>) -> Action {
    Action::Patch { patch: Patch { label: Some(label), ..Patch::default() }, if_match }
}

/// A cancel.
pub(crate) fn delete(if_match: Option<u64>) -> Action {
    Action::Delete { if_match, purge: false }
}

/// A token of the session or log index `index`.
pub(crate) fn token(index: u64, number: u64) -> u64 {
    index << 16 | number
}

/// A receiver's plain answer.
pub(crate) fn status(status: u16) -> Reply {
    Reply::Status { status, retry_after_s: None }
}

/// A history under construction, of timer `t` in shard 0.
pub(crate) struct Script {
    pub(crate) run: Run,
    pub(crate) events: Vec<Event>,
    ops: u64,
}

impl Script {
    /// An empty one, with shard 0 healthy from the begin.
    pub(crate) fn new() -> Self {
        Self { run: run(), events: Vec::new(), ops: 0 }.health(0, true)
    }

    pub(crate) fn with_run(mut self, change: impl FnOnce(&mut Run)) -> Self {
        change(&mut self.run);
        self
    }

    /// Adds an event.
    pub(crate) fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// An operation on `t` from `call` to `back`, in milliseconds.
    pub(crate) fn op(self, call: u64, back: u64, action: Action, outcome: Outcome) -> Self {
        self.keyed(call, back, None, action, outcome)
    }

    /// An operation that succeeds.
    pub(crate) fn ok(self, call: u64, back: u64, action: Action, answer: Answer) -> Self {
        self.op(call, back, action, Outcome::Ok(answer))
    }

    /// An operation with an idempotency key.
    pub(crate) fn keyed(
        mut self,
        call: u64,
        back: u64,
        key: Option<&str>,
        action: Action,
        outcome: Outcome,
    ) -> Self {
        self.ops += 1;
        let (op, timer, key) = (self.ops, "t".into(), key.map(str::to_owned));
        let call = Call { at_ns: call * 1_000_000, op, process: 1, timer, shard: 0, key, action };
        self.events.push(Event::Call(call));
        self.event(Event::Return(Return { at_ns: back * 1_000_000, op, outcome }))
    }

    /// A delivery of `t`, answered a millisecond later if there is a status.
    pub(crate) fn delivery(self, at: u64, generation: u64, attempt: u32, token: u64, reply: Reply) -> Self {
        let delivery = delivery(at, generation, attempt, token, reply);
        self.event(Event::Delivery(delivery))
    }

    /// Shard 0 becomes able or unable.
    pub(crate) fn health(self, at: u64, healthy: bool) -> Self {
        self.event(Event::Health(Health { at_ns: at * 1_000_000, shard: 0, healthy }))
    }

    /// A leader of shard 0 opens its session.
    pub(crate) fn leader(self, at: u64, session: u64, node: u32) -> Self {
        let leader = Leader { at_ns: at * 1_000_000, shard: 0, term: session, session, node };
        self.event(Event::Leader(leader))
    }

    /// A fault that takes effect, from `begin` to `end`.
    pub(crate) fn fault(self, begin: u64, end: u64, kind: &str, clock_offset_ms: Option<i64>) -> Self {
        let fault = self.events.len() as u64;
        self.event(Event::FaultBegin(FaultBegin {
            at_ns: begin * 1_000_000,
            fault,
            fault_kind: kind.into(),
            nodes: vec![1],
            effective: true,
            established: "by the test".into(),
            clock_offset_ms,
        }))
        .event(Event::FaultEnd(FaultEnd { at_ns: end * 1_000_000, fault }))
    }

    /// A phase begins. Also how a test makes a run go on until `at`.
    pub(crate) fn phase(self, at: u64, phase: PhaseName) -> Self {
        self.event(Event::Phase(PhaseChange { at_ns: at * 1_000_000, phase }))
    }

    /// The indexed history; the head is line 1.
    pub(crate) fn history(self) -> History {
        let mut builder = HistoryBuilder::new();
        let events = std::iter::once(Event::Run(self.run)).chain(self.events);
        for (line, event) in events.enumerate() {
            builder.push(line as u64 + 1, event).unwrap();
        }
        builder.finish().unwrap()
    }

    /// What `check` finds wrong.
    pub(crate) fn breaches(self, check: impl FnOnce(&History) -> Findings) -> Vec<Breach> {
        check(&self.history()).violations.into_iter().map(|violation| violation.breach).collect()
    }
}

/// A delivery of `t`, scheduled for when it is received.
pub(crate) fn delivery(at: u64, generation: u64, attempt: u32, token: u64, reply: Reply) -> Delivery {
    Delivery {
        at_ns: at * 1_000_000,
        received_ms: WALL + at,
        receiver: 1,
        node: None,
        timer: "t".into(),
        generation,
        attempt,
        token,
        scheduled_at_ms: WALL + at,
        reply,
        answered_ns: reply.status().map(|_| (at + 1) * 1_000_000),
    }
}
