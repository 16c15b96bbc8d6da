//! What clients do: changes of timers that several of them share, timers of their own that just fire, and canary
//! writes to every shard that show when it works. Deliberately absent: the final reads ([`crate::run`]).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use checkers::history::{Action, Call, Definition, Event, Outcome, Patch, RetryPolicy, Return};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::client;
use crate::clock::{elapsed, true_ms};
use crate::plan::{Emphasis, Plan};
use crate::receiver::{self, PathPlan, nanos};
use crate::recorder::Recorder;

/// The time-out of every callback.
pub const CALLBACK_TIMEOUT_MS: u64 = 2_000;
/// Operations on one timer at most: the checkers' search is exponential at its worst.
const OPERATIONS_MAX: u32 = 60;
/// Times that a request with unknown outcome is repeated.
const REPEATS_MAX: u32 = 3;
/// Between two canary writes to a shard.
const CANARY_EVERY: Duration = Duration::from_millis(700);
/// How long a canary waits: all nodes of five are tried within the time that a shard may take to recover.
const CANARY_PATIENCE: Duration = Duration::from_millis(1_200);

/// The retry policy of every timer: short, so that a run sees its end.
#[must_use]
pub fn retry_policy() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 40,
        max_duration_ms: 600_000,
        initial_interval_ms: 300,
        multiplier_milli: 2_000,
        max_interval_ms: 2_000,
        jitter_milli: 200,
        dead_on: vec![410],
    }
}

/// One client's process: one operation at a time.
pub struct Client {
    /// Unique among the processes of a run.
    pub process: u32,
    /// The run.
    pub plan: Rc<Plan>,
    /// Takes calls and returns.
    pub recorder: Recorder,
    /// Set when no more is to be asked for.
    pub over: Rc<Cell<bool>>,
    /// How long it waits for an answer.
    patience: Duration,
    rng: SmallRng,
    /// The last version that it saw of a timer.
    versions: BTreeMap<String, u64>,
    operations: BTreeMap<String, u32>,
    made: u32,
}

impl Client {
    /// A process that has yet to begin.
    #[must_use]
    pub fn new(process: u32, plan: Rc<Plan>, recorder: Recorder, over: Rc<Cell<bool>>) -> Self {
        let rng = SmallRng::seed_from_u64(plan.seed.wrapping_mul(1_000_003).wrapping_add(process.into()));
        let (versions, operations) = (BTreeMap::new(), BTreeMap::new());
        let patience = client::PATIENCE;
        Self { process, plan, recorder, over, patience, rng, versions, operations, made: 0 }
    }

    /// Asks for one thing after the other until it is over.
    pub async fn work(mut self) {
        while !self.over.get() {
            if self.plan.emphasis == Emphasis::Races && self.rng.random_bool(0.4) {
                self.race().await;
            } else {
                let (timer, action) = self.choose();
                self.ask(&timer, action).await;
            }
            let think = self.plan.think.mul_f64(self.rng.random_range(0.1..2.0));
            tokio::time::sleep(think).await;
        }
    }

    /// Makes a timer and changes it about when it is due, which is when it is hard to say what is on its way.
    async fn race(&mut self) {
        self.made += 1;
        let timer = format!("default/race-{}-{}", self.process, self.made);
        let mut definition = self.definition();
        definition.execute_at_ms = true_ms() + self.rng.random_range(200..1_500);
        let until_due = |now: u64| Duration::from_millis(definition.execute_at_ms.saturating_sub(now));
        let beside = Duration::from_millis(self.rng.random_range(0..500));
        self.ask(&timer, Action::Create { definition: definition.clone() }).await;
        let until = (until_due(true_ms()) + beside).saturating_sub(Duration::from_millis(100));
        tokio::time::sleep(until).await;
        let action = match self.rng.random_range(0..3) {
            0 => Action::Delete { if_match: None, purge: false },
            1 => Action::Put { definition: self.definition(), if_match: None },
            _ => Action::Patch { patch: self.patch(), if_match: None },
        };
        self.ask(&timer, action).await;
    }

    /// Performs an operation, with a key or without.
    async fn ask(&mut self, timer: &str, action: Action) {
        let key = (action.is_mutation() && self.rng.random_bool(0.6)).then(|| self.key());
        self.perform(timer, key, action).await;
    }

    /// Writes a new timer to `shard` again and again, through one node after the other, so that one that is cut off
    /// says nothing about the shard.
    pub async fn canary(mut self, shard: u16) {
        self.patience = CANARY_PATIENCE;
        let mut number = 0;
        while !self.over.get() {
            number += 1;
            let timer = name_in_shard(&format!("canary-{shard}-{number}"), shard, self.plan.shards);
            let mut definition = self.definition();
            definition.execute_at_ms = true_ms() + self.rng.random_range(0..1_500);
            let node = format!("n{}", number % self.plan.nodes + 1);
            self.call(&node, &timer, None, &Action::Put { definition, if_match: None }).await;
            tokio::time::sleep(CANARY_EVERY).await;
        }
    }

    fn key(&mut self) -> String {
        self.made += 1;
        format!("k{}-{}", self.process, self.made)
    }

    fn choose(&mut self) -> (String, Action) {
        let shared = self.rng.random_bool(0.5);
        let timer = if shared {
            format!("default/shared-{}", self.rng.random_range(0..self.plan.shared_timers))
        } else {
            self.made += 1;
            format!("default/own-{}-{}", self.process, self.made)
        };
        let count = self.operations.entry(timer.clone()).or_default();
        *count += 1;
        if *count > OPERATIONS_MAX / (2 * self.plan.clients) {
            self.made += 1;
            return (format!("default/own-{}-{}", self.process, self.made), self.create());
        }
        let if_match = self.versions.get(&timer).copied().filter(|_| self.rng.random_bool(0.3));
        let action = match self.rng.random_range(0..100) {
            0..35 if shared => Action::Put { definition: self.definition(), if_match },
            35..50 if shared => Action::Delete { if_match, purge: false },
            50..65 if shared => Action::Patch { patch: self.patch(), if_match },
            65..75 if shared => self.create(),
            _ if shared => Action::Get,
            0..50 => self.create(),
            _ => Action::Put { definition: self.definition(), if_match: None },
        };
        (timer, action)
    }

    fn create(&mut self) -> Action {
        Action::Create { definition: self.definition() }
    }

    fn execute_at_ms(&mut self) -> u64 {
        let ahead = self.plan.horizon.mul_f64(self.rng.random_range(0.0..1.0));
        // Some are due already when they are made.
        let past = if self.rng.random_bool(0.1) { 500 } else { 0 };
        true_ms() + u64::try_from(ahead.as_millis()).unwrap_or(0) - past
    }

    fn definition(&mut self) -> Definition {
        Definition {
            execute_at_ms: self.execute_at_ms(),
            payload: self.rng.random_range(1..1_000_000),
            label: self.rng.random_range(0..3),
            callback_timeout_ms: Some(CALLBACK_TIMEOUT_MS),
            retry: Some(retry_policy()),
        }
    }

    fn patch(&mut self) -> Patch {
        match self.rng.random_range(0..3) {
            0 => Patch { execute_at_ms: Some(self.execute_at_ms()), ..Patch::default() },
            1 => Patch { payload: Some(self.rng.random_range(1..1_000_000)), ..Patch::default() },
            _ => Patch { label: Some(self.rng.random_range(1..4)), ..Patch::default() },
        }
    }

    /// Performs an operation; with a key, again while its outcome is unknown.
    async fn perform(&mut self, timer: &str, key: Option<String>, action: Action) {
        let mut repeats = 0;
        loop {
            let node = format!("n{}", self.rng.random_range(1..=self.plan.nodes));
            let outcome = self.call(&node, timer, key.as_deref(), &action).await;
            if let Outcome::Ok(answer) = &outcome {
                self.versions.insert(timer.to_owned(), answer.version);
            }
            let again = matches!(outcome, Outcome::Unknown { .. }) && key.is_some();
            if !again || repeats >= REPEATS_MAX || self.over.get() {
                return;
            }
            repeats += 1;
            let pause = Duration::from_millis(self.rng.random_range(10..500));
            tokio::time::sleep(pause).await;
        }
    }

    /// One request, noted with its answer.
    pub async fn call(&self, node: &str, timer: &str, key: Option<&str>, action: &Action) -> Outcome {
        let shard = shard_of(timer, self.plan.shards);
        let op = self.recorder.next_op();
        self.recorder.touched(timer, shard);
        self.recorder.note(Event::Call(Call {
            at_ns: nanos(elapsed()),
            op,
            process: self.process,
            timer: timer.to_owned(),
            shard,
            key: key.map(str::to_owned),
            action: action.clone(),
        }));
        let url = url_of(timer, &self.plan);
        let outcome = client::perform(self.patience, node, timer, &url, key, action).await;
        tracing::info!(target: "sim", op, node, timer, action = action.name(), key, ?outcome, "answered");
        let returned = Return { at_ns: nanos(elapsed()), op, outcome: outcome.clone() };
        self.recorder.note(Event::Return(returned));
        outcome
    }
}

/// The shard of `timer`, by the hash of API.md.
#[must_use]
pub fn shard_of(timer: &str, shards: u16) -> u16 {
    let (group, id) = timer.split_once('/').unwrap_or(("default", timer));
    shard_router::shard_of(group, id, shards, shards)
}

/// The first name that begins with `prefix` and lies in `shard`.
fn name_in_shard(prefix: &str, shard: u16, shards: u16) -> String {
    let names = (0..).map(|number: u32| format!("default/{prefix}-{number}"));
    names.into_iter().find(|name| shard_of(name, shards) == shard).unwrap_or_default()
}

/// Where `timer` calls back, and how its receiver answers at first: the same for every definition of it, since
/// the checkers know of no URLs.
fn url_of(timer: &str, plan: &Plan) -> String {
    let mut rng = SmallRng::seed_from_u64(plan.seed ^ hash(timer));
    let failing = !timer.contains("canary") && rng.random_range(0..100) < plan.failing_percent;
    let attempts = rng.random_range(1..=3);
    let path = if failing {
        let plans = [
            PathPlan::Status(attempts, 500),
            PathPlan::Status(attempts, 302),
            PathPlan::Status(1, 410),
            PathPlan::RetryAfter(attempts),
            PathPlan::Hang(1),
            PathPlan::Reset(attempts),
        ];
        plans.choose(&mut rng).copied().unwrap_or(PathPlan::Good)
    } else {
        PathPlan::Good
    };
    let receiver = rng.random_range(1..=plan.receivers);
    format!("http://r{receiver}:{}{}", receiver::PORT, path.path())
}

/// FNV-1a: any fixed spread will do.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
