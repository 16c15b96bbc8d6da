//! Makes faults and takes them back, in the driver's time between two steps. Each fault's kind, targets and length
//! are drawn from the seed; each kind of the plan comes at least once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use checkers::history::{Event, FaultBegin, FaultEnd};
use raft_store::engine::memory::Fault;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};

use crate::cluster::Cluster;
use crate::links::{Broken, Effect};
use crate::plan::FaultKind;
use crate::receiver::Mood;

/// A power cut in the middle of a write comes within so many steps of a disk.
const DOOM_STEPS_MAX: u64 = 40;
/// The second power cut of a node that catches up comes within so many, or after [`CATCHING_UP`].
const CATCH_UP_STEPS_MAX: u64 = 400;
/// How long a node catches up at most before its power goes again.
const CATCHING_UP: Duration = Duration::from_secs(5);
/// For how long a peer's clock is remembered: `SAMPLE_AGE_MAX` of `node/src/peer/clocks.rs`, and a bit.
const CLOCK_MEMORY: Duration = Duration::from_secs(11);
/// How long a process may take to stop in order.
const STOP_MAX: Duration = Duration::from_secs(30);

/// A fault in force.
struct Active {
    id: u64,
    kind: FaultKind,
    nodes: Vec<u32>,
    until: Duration,
    undo: Undo,
}

/// How a fault ends.
enum Undo {
    /// Links are whole again.
    Mend(Vec<Broken>),
    /// Nodes are started again, and their links are whole.
    Start(Vec<u32>, Vec<Broken>),
    /// A node is started again, and its power goes again while it catches up.
    StartDoomed { node: u32, broken: Vec<Broken>, kept: usize },
    /// The power of a node will go at a step of its disk.
    Doomed { node: u32, kept: usize },
    /// A process was asked to stop.
    Stopping { node: u32, asked: Duration },
    /// A disk is as fast as before.
    Disk(u32),
    /// A clock is set right.
    Clock(u32),
    /// A receiver is well again.
    Mood(usize),
    /// A receiver's host is started again.
    Receiver(usize),
}

/// Makes faults.
pub struct Nemesis {
    rng: SmallRng,
    active: Vec<Active>,
    next_id: u64,
    next_at: Duration,
    /// Kinds that have not come yet.
    owed: VecDeque<FaultKind>,
    kinds: Vec<FaultKind>,
    /// When clocks were set right.
    righted: BTreeMap<u32, Duration>,
}

impl Nemesis {
    /// For the plan of `cluster`; its first fault comes at once.
    #[must_use]
    pub fn new(cluster: &Cluster<'_>) -> Self {
        let mut rng = SmallRng::seed_from_u64(cluster.plan.seed ^ 0xfa17_5eed);
        let kinds: Vec<_> = cluster.plan.kinds.iter().copied().collect();
        let mut owed = kinds.clone();
        owed.shuffle(&mut rng);
        // First one that certainly changes a leader.
        owed.sort_by_key(|kind| !FaultKind::ENDING.contains(kind));
        let (active, next_at) = (Vec::new(), cluster.sim.elapsed());
        Self { rng, active, next_id: 0, next_at, owed: owed.into(), kinds, righted: BTreeMap::new() }
    }

    /// Whether every kind of the plan has come.
    #[must_use]
    pub fn has_tried_all(&self) -> bool {
        self.owed.is_empty()
    }

    /// Whether no fault is in force.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    /// Between two steps: ends what is over, and begins what is due unless it is time to `heal`.
    pub fn turn(&mut self, cluster: &mut Cluster<'_>, heal: bool) {
        self.watch_processes(cluster);
        let now = cluster.sim.elapsed();
        let mut place = 0;
        while place < self.active.len() {
            let over = heal || now >= self.active[place].until;
            if over && self.end(cluster, place) {
                self.active.remove(place);
            } else {
                place += 1;
            }
        }
        if !heal && now >= self.next_at && self.active.len() < cluster.plan.faults_at_once_max {
            self.begin_next(cluster);
            let mean = cluster.plan.fault_every.as_secs_f64();
            self.next_at = now + Duration::from_secs_f64(mean * self.rng.random_range(0.2..1.8));
        }
        cluster.note_health();
    }

    /// Sees to processes that have ended by themselves.
    fn watch_processes(&mut self, cluster: &mut Cluster<'_>) {
        for machine in cluster.machines.clone() {
            let number = machine.number;
            let place = self.active.iter().position(|fault| match fault.undo {
                Undo::Doomed { node, .. } | Undo::Stopping { node, .. } => node == number,
                _ => false,
            });
            let off = cluster.doomed.contains(&number) && machine.disk.power().is_off();
            let ended = machine.ended();
            match (place, ended) {
                (Some(place), _) if off => self.lose_power(cluster, place),
                (Some(place), Some(Ok(()))) => {
                    cluster.kill(number);
                    self.active[place].undo = Undo::Start(vec![number], Vec::new());
                }
                (_, Some(ended)) => {
                    let reason = ended.err().unwrap_or_else(|| "nobody asked it to".to_owned());
                    cluster.failures.push(format!(
                        "node {number} ended by itself at {:?}: {reason}",
                        cluster.sim.elapsed()
                    ));
                    cluster.kill(number);
                }
                _ => {}
            }
        }
    }

    fn lose_power(&mut self, cluster: &mut Cluster<'_>, place: usize) {
        let Undo::Doomed { node, kept } = self.active[place].undo else { return };
        let broken = cluster.around(&cluster.machine(node).name, Effect::Cut);
        cluster.links.break_all(&cluster.sim, &broken);
        cluster.cut_power(node, kept);
        self.active[place].undo = Undo::Start(vec![node], broken);
    }

    fn begin_next(&mut self, cluster: &mut Cluster<'_>) {
        let kind = match self.owed.front() {
            Some(kind) => *kind,
            None => match self.kinds.choose(&mut self.rng) {
                Some(kind) => *kind,
                None => return,
            },
        };
        let Some((undo, nodes, offset)) = self.make(cluster, kind) else { return };
        self.owed.retain(|owed| *owed != kind);
        let lengths = if kind == FaultKind::LeaderStranded { 15.0..20.0 } else { 0.3..12.0 };
        let length = Duration::from_secs_f64(self.rng.random_range(lengths));
        self.next_id += 1;
        tracing::info!(target: "sim", fault = self.next_id, kind = kind.name(), ?nodes, ?length, "fault begins");
        cluster.recorder.note(Event::FaultBegin(FaultBegin {
            at_ns: cluster.now_ns(),
            fault: self.next_id,
            fault_kind: kind.name().to_owned(),
            nodes: nodes.clone(),
            effective: true,
            established: "made by the simulator itself".to_owned(),
            clock_offset_ms: offset,
        }));
        let until = cluster.sim.elapsed() + length;
        self.active.push(Active { id: self.next_id, kind, nodes, until, undo });
    }

    /// Makes a fault; none if there is nothing to break now.
    fn make(&mut self, cluster: &mut Cluster<'_>, kind: FaultKind) -> Option<(Undo, Vec<u32>, Option<i64>)> {
        let undo = match kind {
            FaultKind::PartitionOne
            | FaultKind::PartitionMajority
            | FaultKind::PartitionBridge
            | FaultKind::LeaderStranded
            | FaultKind::PartitionOneWay
            | FaultKind::Hold
            | FaultKind::Slow => {
                let (broken, nodes) = self.break_links(cluster, kind);
                cluster.links.break_all(&cluster.sim, &broken);
                return Some((Undo::Mend(broken), nodes, None));
            }
            FaultKind::Kill => {
                let node = self.target(cluster)?;
                cluster.kill(node);
                (Undo::Start(vec![node], Vec::new()), vec![node], None)
            }
            FaultKind::PowerCutNode | FaultKind::PowerCutAll => {
                let all = kind == FaultKind::PowerCutAll;
                let first = self.target(cluster)?;
                let up = cluster.machines.iter().map(|machine| machine.number);
                let nodes: Vec<u32> =
                    up.filter(|n| !cluster.down.contains(n) && (all || *n == first)).collect();
                let mut broken = Vec::new();
                for node in &nodes {
                    broken.extend(cluster.around(&cluster.machine(*node).name, Effect::Cut));
                }
                cluster.links.break_all(&cluster.sim, &broken);
                for node in &nodes {
                    let kept = self.kept();
                    cluster.cut_power(*node, kept);
                }
                (Undo::Start(nodes.clone(), broken), nodes, None)
            }
            FaultKind::PowerCutMidWrite => {
                let node = self.target(cluster)?;
                self.doom(cluster, node, DOOM_STEPS_MAX);
                (Undo::Doomed { node, kept: self.kept() }, vec![node], None)
            }
            FaultKind::PowerCutCatchingUp => {
                let node = self.target(cluster)?;
                let broken = cluster.around(&cluster.machine(node).name, Effect::Cut);
                cluster.links.break_all(&cluster.sim, &broken);
                let kept = self.kept();
                cluster.cut_power(node, kept);
                (Undo::StartDoomed { node, broken, kept: self.kept() }, vec![node], None)
            }
            FaultKind::Restart => {
                let node = self.target(cluster)?;
                cluster.machine(node).ask_to_stop();
                cluster.down.insert(node);
                (Undo::Stopping { node, asked: cluster.sim.elapsed() }, vec![node], None)
            }
            FaultKind::DiskStall => {
                let node = self.target(cluster)?;
                if !cluster.stalled.insert(node) {
                    return None;
                }
                let more_ms = self.rng.random_range(100..6_000);
                cluster.machine(node).sync_more_ms.store(more_ms, Ordering::Relaxed);
                (Undo::Disk(node), vec![node], None)
            }
            FaultKind::ClockWithin | FaultKind::ClockBeyond | FaultKind::ClockBehind => {
                return self.set_clock(cluster, kind);
            }
            FaultKind::ReceiverFails | FaultKind::ReceiverHangs | FaultKind::ReceiverSlow => {
                let place = self.rng.random_range(0..cluster.receivers.len());
                let mood = match kind {
                    FaultKind::ReceiverFails => Mood::Failing,
                    FaultKind::ReceiverHangs => Mood::Hanging,
                    _ => Mood::Slow,
                };
                let receiver = cluster.receivers[place].clone();
                if receiver.mood.replace(mood) != Mood::Good {
                    return None;
                }
                (Undo::Mood(place), Vec::new(), None)
            }
            FaultKind::ReceiverDown => {
                let place = self.rng.random_range(0..cluster.receivers.len());
                let name = cluster.receivers[place].name.clone();
                if !cluster.sim.is_host_running(name.as_str()) {
                    return None;
                }
                cluster.sim.crash(name.as_str());
                (Undo::Receiver(place), Vec::new(), None)
            }
        };
        Some(undo)
    }

    /// Has a node's power go within `steps` steps of its disk.
    fn doom(&mut self, cluster: &mut Cluster<'_>, node: u32, steps: u64) {
        let power = cluster.machine(node).disk.power().clone();
        power.plan(power.steps() + self.rng.random_range(0..steps), Fault::PowerCut);
        cluster.doomed.insert(node);
    }

    /// Writes of each engine that stay though they were not synced.
    fn kept(&mut self) -> usize {
        if self.rng.random_bool(0.5) { 0 } else { self.rng.random_range(0..20) }
    }

    /// A node that is up and has no other fault of its process: often one that leads.
    fn target(&mut self, cluster: &Cluster<'_>) -> Option<u32> {
        let free = |n: &u32| !cluster.down.contains(n) && !cluster.doomed.contains(n);
        let shard = self.rng.random_range(0..cluster.plan.shards);
        let first = self.next_id == 0;
        let leader = cluster.leader(shard).filter(free).filter(|_| first || self.rng.random_bool(0.7));
        leader.or_else(|| {
            let up: Vec<u32> = cluster.machines.iter().map(|m| m.number).filter(free).collect();
            up.choose(&mut self.rng).copied()
        })
    }

    fn break_links(&mut self, cluster: &Cluster<'_>, kind: FaultKind) -> (Vec<Broken>, Vec<u32>) {
        let mut nodes: Vec<u32> = cluster.machines.iter().map(|m| m.number).collect();
        nodes.shuffle(&mut self.rng);
        if let Some(target) = self.target(cluster) {
            nodes.retain(|n| *n != target);
            nodes.insert(0, target);
        }
        let name = |n: u32| cluster.machine(n).name.clone();
        let between = |left: &[u32], right: &[u32], effect: Effect| -> Vec<Broken> {
            left.iter()
                .flat_map(|a| right.iter().map(move |b| (*a, *b)))
                .map(|(a, b)| (name(a), name(b), effect))
                .collect()
        };
        let minority = nodes.len() / 2;
        match kind {
            FaultKind::PartitionOne => {
                let first = nodes[0];
                let with_outside = self.rng.random_bool(0.5);
                let broken = if with_outside {
                    cluster.around(&name(first), Effect::Cut)
                } else {
                    between(&nodes[..1], &nodes[1..], Effect::Cut)
                };
                (broken, vec![first])
            }
            FaultKind::PartitionMajority => {
                (between(&nodes[..minority], &nodes[minority..], Effect::Cut), nodes[..minority].to_vec())
            }
            FaultKind::PartitionBridge => {
                let (left, rest) = nodes.split_at(minority);
                (between(left, &rest[1..], Effect::Cut), nodes.clone())
            }
            FaultKind::LeaderStranded => {
                let (leader, others) = nodes.split_at(1);
                (between(leader, &others[1..], Effect::Cut), leader.to_vec())
            }
            FaultKind::PartitionOneWay => {
                let (one, others) = nodes.split_at(1);
                let broken = if self.rng.random_bool(0.5) {
                    between(one, others, Effect::CutOneWay)
                } else {
                    between(others, one, Effect::CutOneWay)
                };
                (broken, one.to_vec())
            }
            FaultKind::Hold => (between(&nodes[..1], &nodes[1..2], Effect::Held), nodes[..2].to_vec()),
            _ => {
                let all = self.rng.random_bool(0.5);
                let left = if all { &nodes[..] } else { &nodes[..1] };
                let mut broken = Vec::new();
                for node in left {
                    broken.extend(cluster.around(&name(*node), Effect::Slow));
                }
                (broken, left.to_vec())
            }
        }
    }

    fn set_clock(
        &mut self,
        cluster: &mut Cluster<'_>,
        kind: FaultKind,
    ) -> Option<(Undo, Vec<u32>, Option<i64>)> {
        // A majority keeps the true time, and has kept it for as long as its peers may go by what it showed last:
        // against a majority that errs no clock can be held.
        let now = cluster.sim.elapsed();
        let lately = |n: u32| self.righted.get(&n).is_some_and(|at| now < *at + CLOCK_MEMORY);
        let wrong = cluster.machines.iter().filter(|m| m.clock.offset_ms() != 0 || lately(m.number)).count();
        if wrong >= cluster.machines.len() / 2 {
            return None;
        }
        let node = self.target(cluster).filter(|node| cluster.machine(*node).clock.offset_ms() == 0)?;
        let offset_ms = match kind {
            FaultKind::ClockWithin => self.rng.random_range(-200..=200),
            FaultKind::ClockBeyond => self.rng.random_range(300..=20_000),
            _ => -self.rng.random_range(300..=3_000),
        };
        cluster.machine(node).clock.set_offset(offset_ms);
        Some((Undo::Clock(node), vec![node], Some(offset_ms)))
    }

    /// Ends a fault; `false` if that takes longer.
    fn end(&mut self, cluster: &mut Cluster<'_>, place: usize) -> bool {
        match &self.active[place].undo {
            Undo::Mend(broken) => cluster.links.mend_all(&cluster.sim, broken),
            Undo::Start(nodes, broken) => {
                cluster.links.mend_all(&cluster.sim, broken);
                for node in nodes.clone() {
                    cluster.start(node);
                }
            }
            Undo::StartDoomed { node, broken, kept } => {
                let (node, kept) = (*node, *kept);
                cluster.links.mend_all(&cluster.sim, broken);
                cluster.start(node);
                self.doom(cluster, node, CATCH_UP_STEPS_MAX);
                let fault = &mut self.active[place];
                fault.undo = Undo::Doomed { node, kept };
                fault.until = cluster.sim.elapsed() + CATCHING_UP;
                return false;
            }
            Undo::Doomed { .. } => {
                // Its disk had too little to do: it goes now, and comes back a turn later.
                self.lose_power(cluster, place);
                return false;
            }
            Undo::Stopping { node, asked } => {
                if cluster.sim.elapsed() > *asked + STOP_MAX {
                    cluster.failures.push(format!("node {node} did not stop within {STOP_MAX:?}"));
                    let node = *node;
                    cluster.kill(node);
                    self.active[place].undo = Undo::Start(vec![node], Vec::new());
                }
                return false;
            }
            Undo::Disk(node) => {
                cluster.machine(*node).sync_more_ms.store(0, Ordering::Relaxed);
                cluster.stalled.remove(node);
            }
            Undo::Clock(node) => {
                cluster.machine(*node).clock.set_offset(0);
                self.righted.insert(*node, cluster.sim.elapsed());
            }
            Undo::Mood(receiver) => cluster.receivers[*receiver].mood.set(Mood::Good),
            Undo::Receiver(receiver) => {
                let name = cluster.receivers[*receiver].name.clone();
                cluster.sim.bounce(name.as_str());
            }
        }
        let fault = &self.active[place];
        tracing::info!(target: "sim", fault = fault.id, kind = fault.kind.name(), nodes = ?fault.nodes, "fault ends");
        let ended = FaultEnd { at_ns: cluster.now_ns(), fault: fault.id };
        cluster.recorder.note(Event::FaultEnd(ended));
        true
    }
}
