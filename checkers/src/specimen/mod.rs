//! Random valid histories, for tests of the checkers and of harnesses: a tiny sequential service (`service.rs`), and
//! clients whose calls overlap and sometimes learn nothing. Deliberately not here: faults and leaders that change;
//! what a checker makes of those is tested by hand-made histories.

mod random;
mod service;

use std::collections::BTreeMap;

use random::Random;
use service::{Request, Service};

use crate::history::{
    Action, Answer, Call, Definition, Event, Health, Leader, Outcome, Patch, PhaseChange, PhaseName, Probe,
    RetryPolicy, Return, Run, State,
};

/// A millisecond in nanoseconds.
const MS: u64 = 1_000_000;
/// The wall clock at the begin, in milliseconds: 2026-01-01.
const WALL_MS: u64 = 1_767_225_600_000;

/// What a random history is made of.
#[derive(Clone, Copy, Debug)]
pub struct Specimen {
    /// What all randomness comes from.
    pub seed: u64,
    /// Timers, at most 65,535.
    pub timers: u16,
    /// Operations of each, with the final read, 1 to 100.
    pub operations: u16,
    /// Of 1000 mutations, how many have an unknown outcome.
    pub unknown_permille: u64,
}

impl Specimen {
    /// The history's events in the order of time.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let mut random = Random::new(self.seed);
        let mut timed: Vec<(u64, Event)> = Vec::new();
        let mut end_ns = 0;
        let mut services = Vec::new();
        for number in 0..self.timers {
            let mut client = Client::new(self, number, Random::new(random.next()));
            client.run();
            end_ns = end_ns.max(client.now_ns);
            services.push(client);
        }
        // Long enough for every attempt of every policy, so that nothing is left within its bound.
        end_ns += 60_000 * MS;
        let head = self.head(end_ns, &mut timed);
        for mut client in services {
            client.read_last(end_ns);
            timed.append(&mut client.timed);
        }
        timed.sort_by_key(|(at_ns, _)| *at_ns);
        std::iter::once(head).chain(timed.into_iter().map(|(_, event)| event)).collect()
    }

    /// The head; the cluster's lines go to `timed`.
    fn head(&self, end_ns: u64, timed: &mut Vec<(u64, Event)>) -> Event {
        let shards = 4;
        for shard in 0..shards {
            timed.push((0, Event::Health(Health { at_ns: 0, shard, healthy: true })));
            timed.push((0, Event::Leader(Leader { at_ns: 0, shard, term: 1, session: 1, node: 1 })));
            for node in 1..=2 {
                let hash = format!("state of {shard}");
                let probe = Probe { at_ns: end_ns, node, shard, applied_index: 9, hash };
                timed.push((end_ns, Event::Probe(probe)));
            }
        }
        for (at_ns, phase) in [(0, PhaseName::Calm), (end_ns - 1, PhaseName::Final)] {
            timed.push((at_ns, Event::Phase(PhaseChange { at_ns, phase })));
        }
        Event::Run(Run {
            seed: self.seed,
            options: BTreeMap::new(),
            nodes: 2,
            shards,
            wall_ms_at_zero: WALL_MS,
            attempt_timeout_ms: 2000,
            max_clock_offset_ms: 250,
            liveness_bound_ms: 5000,
            grace_ms: 0,
            recovery_bound_ms: 120_000,
            transit_slack_ms: 0,
            sessions_complete: true,
            replicas_seen: true,
            fault_kinds: Vec::new(),
            retry: policy(),
        })
    }
}

/// Three attempts, 100 and 200 ms apart.
fn policy() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 3,
        max_duration_ms: 60_000,
        initial_interval_ms: 100,
        multiplier_milli: 2000,
        max_interval_ms: 1000,
        jitter_milli: 0,
        dead_on: vec![410],
    }
}

/// The clients of one timer, and what became of it.
struct Client {
    name: String,
    number: u16,
    operations: u16,
    unknown_permille: u64,
    random: Random,
    service: Service,
    now_ns: u64,
    called: u64,
    /// A request that may be repeated: its action and key, and how many mutations ago.
    repeatable: Option<(Action, String)>,
    timed: Vec<(u64, Event)>,
}

impl Client {
    fn new(specimen: &Specimen, number: u16, mut random: Random) -> Self {
        let now_ns = 200 * MS + random.below(1000) * MS;
        Self {
            name: format!("t{number:05}"),
            number,
            operations: specimen.operations,
            unknown_permille: specimen.unknown_permille,
            service: Service::new(number, WALL_MS, policy()),
            random,
            now_ns,
            called: 0,
            repeatable: None,
            timed: Vec::new(),
        }
    }

    fn run(&mut self) {
        for _ in 1..self.operations {
            let at_ns = self.now_ns + (1 + self.random.below(300)) * MS + self.random.below(MS);
            self.now_ns = self.advance(at_ns);
            self.operate();
        }
    }

    /// Lets the service do what is due before `at_ns`, and gives the moment at which the next operation may take
    /// effect.
    fn advance(&mut self, at_ns: u64) -> u64 {
        let mut at_ns = at_ns;
        while let Some((deliveries, done_ns)) =
            self.service.attempt_before(at_ns, &self.name, &mut self.random)
        {
            self.timed.push((deliveries.at_ns, Event::Delivery(deliveries)));
            at_ns = at_ns.max(done_ns + 1000);
        }
        at_ns
    }

    /// One operation that takes effect now, called before and answered later.
    fn operate(&mut self) {
        let repeated = self.repeatable.take().filter(|_| self.random.below(2) == 0);
        let (action, key) = match repeated {
            Some((action, key)) => (action, Some(key)),
            None => {
                let action = self.action();
                let keyed = action.is_mutation() && self.random.below(8) == 0;
                (action, keyed.then(|| format!("k{}", self.called)))
            }
        };
        let unknown = action.is_mutation() && self.random.below(1000) < self.unknown_permille;
        let before_ns = if unknown { 2000 * MS } else { 150 * MS };
        let call_ns = self.now_ns - self.random.below(before_ns).min(self.now_ns);
        let back_ns = self.now_ns + self.random.below(150 * MS);
        if key.is_some() {
            self.repeatable = Some((action.clone(), key.clone().unwrap_or_default()));
        }
        let request = Request { action: &action, key: key.as_deref(), op: self.called };
        let outcome = if unknown {
            if self.random.below(2) == 0 {
                self.service.apply(&request, self.now_ns);
            }
            Outcome::Unknown { detail: "the connection was lost".into() }
        } else {
            self.service.apply(&request, self.now_ns)
        };
        // Some clients that learn nothing do not even come back.
        let returns = !unknown || self.random.below(2) == 0;
        self.record(call_ns, returns.then_some(back_ns), key, action, outcome);
    }

    fn record(
        &mut self,
        call_ns: u64,
        back_ns: Option<u64>,
        key: Option<String>,
        action: Action,
        outcome: Outcome,
    ) {
        let op = u64::from(self.number) << 16 | self.called;
        let shard = self.number % 4;
        let process = u32::from(self.number) << 7 | (self.called % 128) as u32;
        self.called += 1;
        let call = Call { at_ns: call_ns, op, process, timer: self.name.clone(), shard, key, action };
        self.timed.push((call_ns, Event::Call(call)));
        if let Some(at_ns) = back_ns {
            self.timed.push((at_ns, Event::Return(Return { at_ns, op, outcome })));
        }
    }

    fn read_last(&mut self, end_ns: u64) {
        self.now_ns = self.advance(end_ns);
        let outcome = self.service.apply(&Request { action: &Action::Get, key: None, op: 0 }, self.now_ns);
        self.record(self.now_ns, Some(self.now_ns + MS), None, Action::Get, outcome);
    }

    fn action(&mut self) -> Action {
        let definition = self.definition();
        // A version that is in force, or that was.
        let if_match = Some(match self.random.below(3) {
            0 => 4096,
            _ => self.service.version().unwrap_or(4096),
        });
        let condition = if_match.filter(|_| self.random.below(3) == 0);
        match self.random.below(20) {
            0..=6 => Action::Get,
            7..=9 => Action::Create { definition },
            10..=12 => Action::Put { definition, if_match: condition },
            13..=14 => {
                let patch = Patch { execute_at_ms: Some(definition.execute_at_ms), ..Patch::default() };
                Action::Patch { patch, if_match: condition }
            }
            15..=16 => {
                let label = Some(self.random.below(4));
                Action::Patch { patch: Patch { label, ..Patch::default() }, if_match: condition }
            }
            17 => Action::Delete { if_match: condition, purge: true },
            _ => Action::Delete { if_match: condition, purge: false },
        }
    }

    fn definition(&mut self) -> Definition {
        let after_ms = if self.random.below(3) == 0 { 10_000_000 } else { self.random.below(2000) };
        Definition {
            execute_at_ms: WALL_MS + self.now_ns / MS + after_ms,
            payload: self.random.below(3),
            label: 0,
            callback_timeout_ms: None,
            retry: None,
        }
    }
}

/// Changes the answer of a read so that it is wrong, and says whether there was one to change: for tests that want
/// to see a checker bite. `which` picks the read and `how` what is changed. Only reads of a version that another
/// answer shows as well are changed, since of others nobody can say that they are wrong.
#[must_use]
pub fn falsify_read(events: &mut [Event], which: usize, how: Falsehood) -> bool {
    let mut called: BTreeMap<u64, (String, bool)> = BTreeMap::new();
    let mut shown: BTreeMap<(String, u64), u32> = BTreeMap::new();
    for event in events.iter() {
        if let Event::Call(call) = event {
            called.insert(call.op, (call.timer.clone(), call.action.is_mutation()));
        } else if let Event::Return(Return { op, outcome: Outcome::Ok(answer), .. }) = event
            && let Some((timer, _)) = called.get(op).filter(|_| !answer.replayed)
        {
            *shown.entry((timer.clone(), answer.version)).or_default() += 1;
        }
    }
    let mut answers: Vec<&mut Answer> = Vec::new();
    for event in events {
        if let Event::Return(Return { op, outcome: Outcome::Ok(answer), .. }) = event
            && let Some((timer, false)) = called.get(op)
            && shown.get(&(timer.clone(), answer.version)).is_some_and(|times| *times > 1)
        {
            answers.push(answer);
        }
    }
    let count = answers.len().max(1);
    let Some(answer) = answers.into_iter().nth(which % count) else { return false };
    match how {
        Falsehood::Version => answer.version += 1,
        Falsehood::Generation => answer.generation -= 1,
        Falsehood::Time => answer.execute_at_ms += 1,
        Falsehood::Label => answer.label += 100,
        Falsehood::Attempts => answer.attempts += 1,
        Falsehood::Payload => answer.payload = Some(answer.payload.unwrap_or(0) + 100),
        Falsehood::State if answer.state == State::Dead => answer.state = State::Delivered,
        Falsehood::State => answer.state = State::Dead,
    }
    true
}

/// What a false answer says wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Falsehood {
    /// A version that never was.
    Version,
    /// A generation that never was.
    Generation,
    /// Another time.
    Time,
    /// Other labels.
    Label,
    /// One attempt more.
    Attempts,
    /// A payload that no timer of a specimen has; one that had ended may have shown none.
    Payload,
    /// Another state.
    State,
}
