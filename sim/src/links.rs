//! The state of every link of the simulated network. Faults overlap, so each is counted: a link is whole again
//! when the last fault on it has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use turmoil::Sim;

/// What faults have done to one link, by how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Faults {
    cut: u32,
    /// From the first to the second.
    cut_there: u32,
    cut_back: u32,
    held: u32,
    slow: u32,
}

/// What a fault does to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// All messages are lost.
    Cut,
    /// Those from the first to the second are lost.
    CutOneWay,
    /// All messages are held and delivered when the fault ends.
    Held,
    /// All messages take up to [`SLOW_MAX`].
    Slow,
}

/// The longest that a message on a slow link takes.
pub const SLOW_MAX: Duration = Duration::from_millis(400);

/// A link with an effect on it, by the names of its hosts.
pub type Broken = (String, String, Effect);

/// All links.
pub struct Links {
    links: BTreeMap<(String, String), Faults>,
    latency_max: Duration,
    /// Links that are longer, and the longest that a message on them takes.
    far: BTreeMap<(String, String), Duration>,
}

impl Links {
    /// A whole network whose messages take up to `latency_max`.
    #[must_use]
    pub fn new(latency_max: Duration) -> Self {
        Self { links: BTreeMap::new(), latency_max, far: BTreeMap::new() }
    }

    /// Has messages between two hosts take up to `latency_max`, for the whole run.
    pub fn lengthen(&mut self, sim: &Sim<'_>, a: &str, b: &str, latency_max: Duration) {
        self.far.insert(key(a, b).0, latency_max);
        sim.set_link_max_message_latency(a, b, latency_max);
    }

    /// Puts effects on links.
    pub fn break_all(&mut self, sim: &Sim<'_>, broken: &[Broken]) {
        for (from, to, effect) in broken {
            self.change(sim, from, to, |faults, forwards| *count(faults, *effect, forwards) += 1);
        }
    }

    /// Takes them back.
    pub fn mend_all(&mut self, sim: &Sim<'_>, broken: &[Broken]) {
        for (from, to, effect) in broken {
            self.change(sim, from, to, |faults, forwards| *count(faults, *effect, forwards) -= 1);
        }
    }

    /// Whether no fault is on the link between two hosts.
    #[must_use]
    pub fn is_whole(&self, a: &str, b: &str) -> bool {
        self.links.get(&key(a, b).0).is_none_or(|faults| *faults == Faults::default())
    }

    fn change(&mut self, sim: &Sim<'_>, from: &str, to: &str, change: impl FnOnce(&mut Faults, bool)) {
        let (key, forwards) = key(from, to);
        let faults = self.links.entry(key.clone()).or_default();
        let before = *faults;
        change(faults, forwards);
        let latency_max = self.far.get(&key).copied().unwrap_or(self.latency_max);
        apply(sim, &key, before, *faults, latency_max);
    }
}

/// The link's key, and whether `a` is its first host.
fn key(a: &str, b: &str) -> ((String, String), bool) {
    let (first, second) = if a < b { (a, b) } else { (b, a) };
    ((first.to_owned(), second.to_owned()), a < b)
}

fn count(faults: &mut Faults, effect: Effect, forwards: bool) -> &mut u32 {
    match effect {
        Effect::Cut => &mut faults.cut,
        Effect::CutOneWay if forwards => &mut faults.cut_there,
        Effect::CutOneWay => &mut faults.cut_back,
        Effect::Held => &mut faults.held,
        Effect::Slow => &mut faults.slow,
    }
}

/// What turmoil is to do with the messages of a link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Whole,
    Cut,
    Held,
    OneWay { there: bool },
}

fn mode(faults: Faults) -> Mode {
    let (there, back) = (faults.cut_there > 0, faults.cut_back > 0);
    match faults {
        _ if faults.cut > 0 || (there && back) => Mode::Cut,
        // turmoil has no one-way cut of a link that holds.
        _ if there || back => Mode::OneWay { there },
        _ if faults.held > 0 => Mode::Held,
        _ => Mode::Whole,
    }
}

fn apply(sim: &Sim<'_>, (a, b): &(String, String), before: Faults, after: Faults, latency_max: Duration) {
    let (a, b) = (a.as_str(), b.as_str());
    if mode(before) != mode(after) {
        match mode(after) {
            Mode::Whole => sim.release(a, b),
            Mode::Cut => sim.partition(a, b),
            Mode::Held => sim.hold(a, b),
            Mode::OneWay { there } => {
                sim.release(a, b);
                let (from, to) = if there { (a, b) } else { (b, a) };
                sim.partition_oneway(from, to);
            }
        }
    }
    if (before.slow > 0) != (after.slow > 0) {
        let longest = if after.slow > 0 { SLOW_MAX } else { latency_max };
        sim.set_link_max_message_latency(a, b, longest);
    }
}
