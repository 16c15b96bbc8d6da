//! The plan of a run: which fault comes when, to whom, and for how long. It derives from the seed alone, so that it
//! can be printed before and had again after. Deliberately not here: what the cluster makes of it.

use crate::kind::{Kind, Needs};
use crate::random::Random;
use crate::script::RECEIVERS;

/// Within an episode faults begin this far apart at most.
const SPREAD_MS: u64 = 1_500;
/// What coming back from a fault takes; it counts as part of the episode.
const RETURN_MS: u64 = 1_500;
/// The shortest calm after an episode.
const CALM_MS_MIN: u64 = 1_500;

/// A fault to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub kind: Kind,
    /// When it begins, in ms since the phase of faults began.
    pub begin_ms: u64,
    pub length_ms: u64,
    /// The nodes concerned, from 1; for a receiver's fault none.
    pub nodes: Vec<u32>,
    /// The receiver concerned, if one is.
    pub receiver: Option<usize>,
    /// What further choices derive from.
    pub draw: u64,
}

/// All faults of a run, by their begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub faults: Vec<Planned>,
    /// The length of the phase of faults, in ms.
    pub length_ms: u64,
}

/// The time does not suffice.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the time is too short for every kind: {missing} would never come; give --time {needed_s} or more")]
pub struct TooShort {
    missing: String,
    needed_s: u64,
}

/// What is occupied during an episode.
#[derive(Default)]
struct Occupied {
    nodes: Vec<u32>,
    links: bool,
    all: bool,
    receivers: Vec<usize>,
}

impl Plan {
    /// A plan for `nodes` nodes.
    ///
    /// # Errors
    /// Not every kind fits in.
    pub fn make(seed: u64, kinds: &[Kind], nodes: u32, length_ms: u64) -> Result<Self, TooShort> {
        let plan = Self::draw(seed, kinds, nodes, length_ms);
        let missing = |plan: &Self| {
            let absent = kinds.iter().filter(|kind| plan.faults.iter().all(|fault| fault.kind != **kind));
            absent.map(|kind| kind.name()).collect::<Vec<_>>()
        };
        let lacking = missing(&plan);
        if lacking.is_empty() {
            return Ok(plan);
        }
        let enough = |needed_ms: &u64| missing(&Self::draw(seed, kinds, nodes, *needed_ms)).is_empty();
        let needed_ms = (1..200).map(|n| length_ms + n * 10_000).find(enough).unwrap_or(u64::MAX);
        Err(TooShort { missing: lacking.join(", "), needed_s: needed_ms / 1000 })
    }

    fn draw(seed: u64, kinds: &[Kind], nodes: u32, length_ms: u64) -> Self {
        let mut random = Random::named(seed, "plan");
        let victim = 1 + u32::try_from(random.below(u64::from(nodes))).unwrap_or(0);
        let mut queue: Vec<Kind> = Vec::new();
        let mut faults = Vec::new();
        let mut now_ms = 0;
        while !kinds.is_empty() {
            let wanted = match random.below(100) {
                0..=44 => 1,
                45..=79 => 2,
                _ => 3,
            };
            let episode = episode(&mut random, &mut queue, kinds, (nodes, victim), wanted);
            let end = |fault: &Planned| fault.begin_ms + fault.length_ms + RETURN_MS;
            let busy_ms = episode.iter().map(end).max().unwrap_or(0);
            if now_ms + busy_ms > length_ms {
                break;
            }
            for mut fault in episode {
                fault.begin_ms += now_ms;
                faults.push(fault);
            }
            // A quarter of the time is calm.
            now_ms += busy_ms + (busy_ms / 3).max(CALM_MS_MIN);
        }
        faults.sort_by_key(|fault| fault.begin_ms);
        Self { faults, length_ms }
    }

    /// The plan for people, one fault a line.
    pub fn lines(&self) -> Vec<String> {
        self.faults.iter().map(Planned::line).collect()
    }
}

impl Planned {
    fn line(&self) -> String {
        let whom = match (self.receiver, self.nodes.as_slice()) {
            (Some(receiver), _) => format!("receiver {}", receiver + 1),
            (None, nodes) => nodes.iter().map(|n| format!("n{n}")).collect::<Vec<_>>().join(" "),
        };
        let (begin, length) = (self.begin_ms as f64 / 1000.0, self.length_ms as f64 / 1000.0);
        format!("{begin:>7.1} s  {length:>4.1} s  {:<18} {whom}", self.kind.name())
    }
}

/// Up to `wanted` faults that go together. Kinds come in turns, so that each has had its own before any comes
/// again; what does not go together waits for the next episode.
fn episode(
    random: &mut Random,
    queue: &mut Vec<Kind>,
    kinds: &[Kind],
    (nodes, victim): (u32, u32),
    wanted: usize,
) -> Vec<Planned> {
    let mut occupied = Occupied::default();
    let mut episode: Vec<Planned> = Vec::new();
    if queue.len() < wanted {
        let mut turn = kinds.to_vec();
        random.shuffle(&mut turn);
        queue.extend(turn);
    }
    let mut place = 0;
    while place < queue.len() && episode.len() < wanted {
        match occupied.take(random, queue[place], (nodes, victim)) {
            Some((of_nodes, receiver)) => {
                let kind = queue.remove(place);
                let (shortest, longest) = kind.length_ms();
                let begin_ms = if episode.is_empty() { 0 } else { random.below(SPREAD_MS) };
                let length_ms = random.between(shortest, longest);
                let draw = random.next();
                episode.push(Planned { kind, begin_ms, length_ms, nodes: of_nodes, receiver, draw });
            }
            None => place += 1,
        }
    }
    episode
}

impl Occupied {
    /// The nodes and the receiver of a fault of `kind`, if what it needs is free.
    fn take(
        &mut self,
        random: &mut Random,
        kind: Kind,
        (nodes, victim): (u32, u32),
    ) -> Option<(Vec<u32>, Option<usize>)> {
        let every = (1..=nodes).collect::<Vec<_>>();
        match kind.needs() {
            Needs::Node => {
                let free: Vec<u32> = every.into_iter().filter(|n| !self.nodes.contains(n)).collect();
                if self.all || free.is_empty() {
                    return None;
                }
                let node = *random.pick(&free);
                self.nodes.push(node);
                Some((vec![node], None))
            }
            Needs::Victim => {
                let free = !self.all && !self.nodes.contains(&victim);
                self.nodes.push(victim);
                free.then(|| (vec![victim], None))
            }
            Needs::All => {
                let free = !self.all && !self.links && self.nodes.is_empty();
                self.all |= free;
                free.then_some((every, None))
            }
            Needs::Links => {
                let free = !self.all && !self.links;
                self.links |= free;
                // In random order: who is on which side.
                let mut order = every;
                random.shuffle(&mut order);
                free.then_some((order, None))
            }
            Needs::Receiver => {
                let free: Vec<usize> = (0..RECEIVERS).filter(|n| !self.receivers.contains(n)).collect();
                if free.is_empty() {
                    return None;
                }
                let receiver = *random.pick(&free);
                self.receivers.push(receiver);
                Some((Vec::new(), Some(receiver)))
            }
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
