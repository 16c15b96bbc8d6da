//! A service of one timer that does one thing after another and knows everything it does. Written apart from the
//! rules of the checker, which reason about what can't be known, so that the one can test the other. Deliberately
//! not here: nodes, logs, and attempts that overlap with anything.

use std::collections::VecDeque;

use super::MS;
use super::random::Random;
use crate::history::{
    Action, Answer, Definition, Delivery, InFlight, Outcome, Patch, Refusal, Reply, RetryPolicy, State,
};

/// A request.
pub(super) struct Request<'a> {
    pub(super) action: &'a Action,
    pub(super) key: Option<&'a str>,
    /// Names the request if there is no key.
    pub(super) op: u64,
}

/// One timer's service.
pub(super) struct Service {
    number: u16,
    wall_ms: u64,
    policy: RetryPolicy,
    record: Option<Record>,
    last_index: u64,
}

struct Record {
    definition: Definition,
    generation: u64,
    version: u64,
    state: State,
    attempts: u32,
    next_ns: u64,
    patched: bool,
    answers: VecDeque<(String, u64, u64, State, u16)>,
}

impl Service {
    pub(super) fn new(number: u16, wall_ms: u64, policy: RetryPolicy) -> Self {
        Self { number, wall_ms, policy, record: None, last_index: 0 }
    }

    pub(super) fn version(&self) -> Option<u64> {
        self.record.as_ref().map(|record| record.version)
    }

    /// The version of what happens at `at_ns`: a log index per microsecond.
    fn sequence(&mut self, at_ns: u64) -> u64 {
        self.last_index = (at_ns / 1000 + 10).max(self.last_index + 1);
        self.last_index * 4096
    }

    fn ns_of(&self, wall_ms: u64) -> u64 {
        wall_ms.saturating_sub(self.wall_ms) * MS
    }

    /// Makes the attempt that is due before `at_ns`, if there is one: what is received, and when the outcome is
    /// counted.
    pub(super) fn attempt_before(
        &mut self,
        at_ns: u64,
        name: &str,
        random: &mut Random,
    ) -> Option<(Delivery, u64)> {
        let record =
            self.record.as_mut().filter(|record| record.state.is_pending() && record.next_ns < at_ns)?;
        let received_ns = record.next_ns + random.below(4 * MS);
        let answered_ns = received_ns + MS + random.below(MS);
        let done_ns = answered_ns + MS;
        record.attempts += 1;
        let (attempt, generation) = (record.attempts, record.generation);
        let status = if random.below(4) == 0 { 500 } else { 200 };
        // The first attempt is planned for the time that was asked for, even if that had passed.
        let retry_ms = self.wall_ms + record.next_ns / MS;
        let scheduled_at_ms = if attempt == 1 { record.definition.execute_at_ms } else { retry_ms };
        if status == 200 {
            record.state = State::Delivered;
        } else if attempt >= self.policy.max_attempts {
            record.state = State::Dead;
        } else {
            record.state = State::Retrying;
            record.next_ns = answered_ns + self.policy.wait_max_ms(attempt) * MS + MS;
        }
        let token = (received_ns / 1000 + 10) << 16 | u64::from(self.number);
        let version = self.sequence(done_ns);
        if let Some(record) = &mut self.record {
            record.version = version;
        }
        let delivery = Delivery {
            at_ns: received_ns,
            received_ms: self.wall_ms + received_ns / MS,
            receiver: 1,
            node: Some(1),
            timer: name.to_owned(),
            generation,
            attempt,
            token,
            scheduled_at_ms,
            reply: Reply::Status { status, retry_after_s: None },
            answered_ns: Some(answered_ns),
        };
        Some((delivery, done_ns))
    }

    /// Does what `request` asks for, at `at_ns`.
    pub(super) fn apply(&mut self, request: &Request<'_>, at_ns: u64) -> Outcome {
        if let Some(again) = self.again(request) {
            return again;
        }
        let action = request.action;
        if let Some(refusal) = self.refusal(action) {
            return refusal;
        }
        let sequence = self.sequence(at_ns);
        let shown = match (action, self.record.take()) {
            (Action::Create { definition } | Action::Put { definition, .. }, old) => {
                self.put(definition, old, sequence, at_ns)
            }
            (_, None) => return refused(404, "TIMER_NOT_FOUND", None, None),
            (Action::Get, Some(record)) => (200, false, record),
            (Action::Patch { patch, .. }, Some(record)) => self.patched(patch, record, sequence, at_ns),
            (Action::Delete { purge: true, .. }, Some(record)) => {
                return Outcome::Ok(record.answer(200));
            }
            (Action::Delete { .. }, Some(mut record)) => {
                let changes = record.state != State::Cancelled;
                if changes {
                    (record.state, record.version) = (State::Cancelled, sequence);
                }
                (200, changes, record)
            }
        };
        let (status, changes, mut record) = shown;
        // Without a key of the client's nobody repeats what changed nothing.
        if changes || (action.is_mutation() && request.key.is_some()) {
            let name = request.key.map_or_else(|| format!("op {}", request.op), str::to_owned);
            record.answers.push_back((name, record.generation, record.version, record.state, status));
            if record.answers.len() > 4 {
                record.answers.pop_front();
            }
        }
        let answer = record.answer(status);
        self.record = Some(record);
        Outcome::Ok(answer)
    }

    /// The first answer of a request that is repeated.
    fn again(&self, request: &Request<'_>) -> Option<Outcome> {
        let (key, record) = (request.key?, self.record.as_ref()?);
        let (_, generation, version, state, status) =
            record.answers.iter().find(|kept| kept.0 == key)?.clone();
        let now = record.answer(status);
        Some(Outcome::Ok(Answer { generation, version, state, replayed: true, ..now }))
    }

    fn refusal(&self, action: &Action) -> Option<Outcome> {
        let record = self.record.as_ref();
        let creates = action.definition().is_some();
        if !creates && record.is_none() {
            return Some(refused(404, "TIMER_NOT_FOUND", None, None));
        }
        let version = record.map(|record| record.version);
        let in_force = record.is_some_and(|record| record.state != State::Cancelled);
        let exists = matches!(action, Action::Create { .. }) && in_force;
        let other = action.if_match().is_some_and(|wanted| version != Some(wanted));
        if exists || other {
            return Some(refused(412, "VERSION_MISMATCH", version, None));
        }
        let record = record?;
        let pending = record.state.is_pending();
        let shown = Some(record.answer(409));
        match action {
            Action::Patch { .. } if !pending => Some(refused(409, "TIMER_FINISHED", None, shown)),
            Action::Delete { purge: true, .. } if pending => {
                Some(refused(409, "TIMER_NOT_FINISHED", None, shown))
            }
            Action::Delete { purge: false, .. } if !pending && record.state != State::Cancelled => {
                Some(refused(409, "TIMER_FINISHED", None, shown))
            }
            Action::Create { .. }
            | Action::Put { .. }
            | Action::Patch { .. }
            | Action::Get
            | Action::Delete { .. } => None,
        }
    }

    fn put(
        &self,
        definition: &Definition,
        old: Option<Record>,
        sequence: u64,
        at_ns: u64,
    ) -> (u16, bool, Record) {
        let in_force = old.as_ref().is_some_and(|record| record.state != State::Cancelled);
        match old {
            Some(record) if in_force && !record.patched && record.definition == *definition => {
                (200, false, record)
            }
            old => {
                let answers = old.map(|record| record.answers).unwrap_or_default();
                let record = self.scheduled(definition.clone(), sequence, at_ns, answers);
                (if in_force { 200 } else { 201 }, true, record)
            }
        }
    }

    fn patched(&self, patch: &Patch, mut old: Record, sequence: u64, at_ns: u64) -> (u16, bool, Record) {
        let mut definition = old.definition.clone();
        definition.execute_at_ms = patch.execute_at_ms.unwrap_or(definition.execute_at_ms);
        definition.payload = patch.payload.unwrap_or(definition.payload);
        definition.label = patch.label.unwrap_or(definition.label);
        if definition == old.definition {
            return (200, false, old);
        }
        let renews = definition.execute_at_ms != old.definition.execute_at_ms
            || definition.payload != old.definition.payload;
        if renews {
            let mut record = self.scheduled(definition, sequence, at_ns, old.answers);
            record.patched = true;
            return (200, true, record);
        }
        (old.definition, old.version, old.patched) = (definition, sequence, true);
        (200, true, old)
    }

    fn scheduled(
        &self,
        definition: Definition,
        sequence: u64,
        at_ns: u64,
        answers: VecDeque<(String, u64, u64, State, u16)>,
    ) -> Record {
        let next_ns = self.ns_of(definition.execute_at_ms).max(at_ns + MS);
        Record {
            definition,
            generation: sequence,
            version: sequence,
            state: State::Scheduled,
            attempts: 0,
            next_ns,
            patched: false,
            answers,
        }
    }
}

impl Record {
    fn answer(&self, status: u16) -> Answer {
        let keeps_payload = self.state.is_pending() || self.state == State::Dead;
        Answer {
            status,
            generation: self.generation,
            version: self.version,
            state: self.state,
            execute_at_ms: self.definition.execute_at_ms,
            payload: Some(self.definition.payload).filter(|payload| keeps_payload && *payload != 0),
            label: self.definition.label,
            attempts: self.attempts,
            in_flight: InFlight::No,
            in_flight_until_ms: None,
            replayed: false,
        }
    }
}

fn refused(status: u16, code: &str, version: Option<u64>, timer: Option<Answer>) -> Outcome {
    Outcome::Refused(Refusal { status, code: code.into(), version, timer })
}
