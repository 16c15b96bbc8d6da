//! The clients: processes that create, read, change, cancel and purge timers through all nodes, and repeat with the
//! same key what they heard nothing of. What they do derives from the seed; when, from how fast they are answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use checkers::history::{Action, Call, Definition, Event, Outcome, Patch, Return};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{outcome, request};
use crate::bounds::{CALLBACK_TIMEOUT_MS, retry_policy};
use crate::clock::wall_ms;
use crate::http::{Ask, Http};
use crate::node::url;
use crate::random::Random;
use crate::receiver::Receivers;
use crate::recorder::Recorder;
use crate::wire::shard_of;

/// Longer than a node lets a request wait.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(6);
/// Operations on one timer at most, so that their order can be judged; the final reads come on top.
const OPERATIONS_MAX: u32 = 40;
/// So many unknown outcomes make the order of one timer's operations hard to find.
const UNKNOWN_MAX: u32 = 4;
/// Timers that clients have in hand at once: few enough that they meet.
const POOL_MAX: usize = 160;
/// Times that an operation is repeated with its key.
const REPEATS_MAX: u32 = 3;
/// Farther than any run lasts.
const FAR_MS: u64 = 30 * 24 * 3_600_000;

/// What all clients share.
#[derive(Debug)]
pub struct Workload {
    pub recorder: Recorder,
    pub receivers: Arc<Receivers>,
    pub http: Http,
    pub seed: u64,
    pub nodes: u32,
    pub shards: u16,
    /// Operations a second that are aimed at.
    pub rate: u64,
    pub processes: u32,
    timers: Mutex<Timers>,
    /// By shard: when a canary was taken last.
    taken: Vec<Mutex<Instant>>,
}

#[derive(Debug, Default)]
struct Timers {
    open: Vec<Tracked>,
    names: Vec<String>,
}

#[derive(Clone, Debug)]
struct Tracked {
    name: String,
    operations: u32,
    unknown: u32,
    version: Option<u64>,
}

impl Workload {
    pub fn new(
        recorder: Recorder,
        receivers: Arc<Receivers>,
        (seed, nodes, shards): (u64, u32, u16),
        (rate, processes): (u64, u32),
    ) -> Self {
        let taken = (0..shards).map(|_| Mutex::new(Instant::now())).collect();
        let (http, timers) = (Http::new(), Mutex::default());
        Self { recorder, receivers, http, seed, nodes, shards, rate, processes, timers, taken }
    }

    /// Every timer that was ever asked for.
    pub fn names(&self) -> Vec<String> {
        self.timers.lock().names.clone()
    }

    /// One client, until `stop`.
    pub async fn process(self: Arc<Self>, process: u32, stop: CancellationToken) {
        let mut random = Random::named(self.seed, &format!("process {process}"));
        let mut made = 0_u64;
        let think_us = u64::from(self.processes) * 1_000_000 / self.rate.max(1);
        while !stop.is_cancelled() {
            let wait = Duration::from_micros(random.between(think_us / 2, think_us * 3 / 2));
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
            let known = if random.chance(45) { None } else { self.pick(&mut random) };
            let (name, action) = match known {
                Some(tracked) => {
                    let action = choose(&mut random, tracked.version);
                    (tracked.name, action)
                }
                None => {
                    made += 1;
                    let name = format!("t-{process}-{made}");
                    self.enter(&name);
                    (name, Action::Create { definition: definition(&mut random) })
                }
            };
            let keyed = action.is_mutation() && random.chance(60);
            let key = keyed.then(|| format!("{process}-{}", random.next()));
            self.insist(process, &name, key, action, &mut random).await;
        }
    }

    /// Writes to one shard all the time, so that somebody notices when it takes no writes.
    pub async fn canary(self: Arc<Self>, shard: u16, stop: CancellationToken) {
        const PAUSE: Duration = Duration::from_millis(1_000);
        let process = self.processes + u32::from(shard);
        let mut random = Random::named(self.seed, &format!("canary {shard}"));
        let mut number = 0_u64;
        while !stop.is_cancelled() {
            number += 1;
            let name = format!("c-{shard}-{number}");
            if shard_of(&name, self.shards) != shard {
                continue;
            }
            self.timers.lock().names.push(name.clone());
            let action = Action::Create { definition: definition(&mut random) };
            let node = self.any_node(&mut random);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
            let outcome = self.operate(process, node, &name, None, &action).await;
            if let (Outcome::Ok(_), Some(taken)) = (outcome, self.taken.get(usize::from(shard))) {
                *taken.lock() = Instant::now();
            }
        }
    }

    /// For how long some shard has taken no canary.
    pub fn shards_silent_for(&self) -> Duration {
        self.taken.iter().map(|taken| taken.lock().elapsed()).max().unwrap_or_default()
    }

    /// An operation, and again with its key as long as nothing is known of it.
    async fn insist(
        &self,
        process: u32,
        name: &str,
        key: Option<String>,
        action: Action,
        random: &mut Random,
    ) {
        let repeats = if key.is_some() { random.below(u64::from(REPEATS_MAX) + 1) } else { 0 };
        for _ in 0..=repeats {
            let node = self.any_node(random);
            let outcome = self.operate(process, node, name, key.as_deref(), &action).await;
            self.note(name, &outcome);
            match outcome {
                Outcome::Ok(_) => break,
                Outcome::Refused(refusal) if (400..500).contains(&refusal.status) => break,
                Outcome::Refused(_) | Outcome::Unknown { .. } => {}
            }
        }
    }

    /// One of the nodes.
    pub fn any_node(&self, random: &mut Random) -> u32 {
        1 + u32::try_from(random.below(u64::from(self.nodes))).unwrap_or(0)
    }

    /// One operation through `node`, written to the history.
    pub async fn operate(
        &self,
        process: u32,
        node: u32,
        timer: &str,
        key: Option<&str>,
        action: &Action,
    ) -> Outcome {
        let op = self.recorder.next_number();
        let ask = request(timer, action, key);
        let url = format!("{}{}", url(node), ask.path);
        self.recorder.write(&Event::Call(Call {
            at_ns: self.recorder.now_ns(),
            op,
            process,
            timer: timer.to_owned(),
            shard: shard_of(timer, self.shards),
            key: key.map(str::to_owned),
            action: action.clone(),
        }));
        let asked = Ask {
            method: ask.method,
            url: &url,
            headers: &ask.headers,
            body: ask.body.as_ref().map(|body| Bytes::from(body.to_string())),
            time_max: ANSWER_TIME_MAX,
        };
        let outcome = outcome(self.http.ask(asked).await);
        if let Outcome::Ok(answer) = &outcome {
            self.receivers.outstanding.acknowledged(timer, answer);
        }
        let returned = Return { at_ns: self.recorder.now_ns(), op, outcome: outcome.clone() };
        self.recorder.write(&Event::Return(returned));
        outcome
    }

    fn enter(&self, name: &str) {
        let mut timers = self.timers.lock();
        timers.names.push(name.to_owned());
        if timers.open.len() >= POOL_MAX {
            timers.open.swap_remove(0);
        }
        timers.open.push(Tracked { name: name.to_owned(), operations: 0, unknown: 0, version: None });
    }

    /// A timer that others have in hand too.
    fn pick(&self, random: &mut Random) -> Option<Tracked> {
        let mut timers = self.timers.lock();
        let count = timers.open.len();
        if count == 0 {
            return None;
        }
        let place = random.below(count as u64) as usize;
        let tracked = timers.open.get_mut(place)?;
        // Repeats count too.
        tracked.operations += 1 + REPEATS_MAX;
        let found = tracked.clone();
        if tracked.operations >= OPERATIONS_MAX || tracked.unknown >= UNKNOWN_MAX {
            timers.open.swap_remove(place);
        }
        Some(found)
    }

    fn note(&self, name: &str, outcome: &Outcome) {
        let mut timers = self.timers.lock();
        let Some(tracked) = timers.open.iter_mut().find(|tracked| tracked.name == name) else { return };
        match outcome {
            Outcome::Ok(answer) => tracked.version = Some(answer.version),
            Outcome::Refused(refusal) => tracked.version = refusal.version.or(tracked.version),
            Outcome::Unknown { .. } => tracked.unknown += 1,
        }
    }
}

/// What is done to a timer whose version was `version` when somebody looked last.
fn choose(random: &mut Random, version: Option<u64>) -> Action {
    let condition = version.filter(|_| random.chance(50));
    match random.below(100) {
        0..=29 => Action::Get,
        30..=44 => Action::Put { definition: definition(random), if_match: condition },
        45..=57 => {
            let patch = Patch { execute_at_ms: Some(due(random)), ..Patch::default() };
            Action::Patch { patch, if_match: condition }
        }
        58..=69 => {
            let patch = Patch { label: Some(random.between(1, 5)), ..Patch::default() };
            Action::Patch { patch, if_match: condition }
        }
        70..=74 => {
            let patch = Patch { payload: Some(random.between(1, 9)), ..Patch::default() };
            Action::Patch { patch, if_match: condition }
        }
        75..=81 => Action::Create { definition: definition(random) },
        82..=94 => Action::Delete { if_match: condition, purge: false },
        _ => Action::Delete { if_match: condition, purge: true },
    }
}

/// When a timer is due: mostly soon, sometimes after the next fault, sometimes never in this run, sometimes at once.
fn due(random: &mut Random) -> u64 {
    let now = wall_ms();
    match random.below(100) {
        0..=4 => now,
        5..=64 => now + random.between(200, 4_000),
        65..=79 => now + random.between(4_000, 12_000),
        _ => now + FAR_MS + random.below(1_000_000),
    }
}

fn definition(random: &mut Random) -> Definition {
    Definition {
        execute_at_ms: due(random),
        payload: random.below(10),
        label: random.below(6),
        callback_timeout_ms: Some(CALLBACK_TIMEOUT_MS),
        retry: Some(retry_policy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_asks_for_the_same_kinds_of_operation() {
        let kinds = |seed| {
            let mut random = Random::new(seed);
            (0..200).map(|_| choose(&mut random, Some(7)).name()).collect::<Vec<_>>()
        };
        assert_eq!(kinds(1), kinds(1));
        assert_ne!(kinds(1), kinds(2));
        for kind in ["get", "put", "patch", "create", "delete", "purge"] {
            assert!(kinds(1).contains(&kind), "{kind}");
        }
    }
}
