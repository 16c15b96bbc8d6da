//! The simulated world: nodes, receivers, clients and the network between them, one step at a time. Knows how to
//! break and mend each; [`crate::nemesis`] decides what and when.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use checkers::history::{Event, Health, Leader};
use node::config::Settings;
use node::config::settings::{AuthMode, Peer};
use turmoil::Sim;

use crate::clock::EPOCH_MS;
use crate::links::{Broken, Effect, Links};
use crate::node::{Machine, data_dir};
use crate::plan::Plan;
use crate::receiver::{Mood, Receiver, nanos};
use crate::recorder::Recorder;
use crate::trace::Trace;
use crate::{client, libc};

/// Where nodes listen for each other.
const PEER_PORT: u16 = 7000;
/// What a disk's syncs take longer than usual, so that it is too slow for a canary's patience and too fast to be given up
/// for: `storage.sync_stall_ms`, and the half second between two looks.
const SLOW_SYNC_MS: std::ops::Range<u64> = 450..2_600;
/// Segments on their way in one connection, and connections that wait to be taken: far more than there are, since
/// turmoil panics at the latter.
const TCP_CAPACITY: usize = 4096;

/// All of it.
pub struct Cluster<'a> {
    /// turmoil.
    pub sim: Sim<'a>,
    /// What is run.
    pub plan: Rc<Plan>,
    /// The nodes.
    pub machines: Vec<Rc<Machine>>,
    /// The receivers.
    pub receivers: Vec<Rc<Receiver>>,
    /// The clients' hosts.
    pub clients: Vec<String>,
    /// The network.
    pub links: Links,
    /// Takes what happens.
    pub recorder: Recorder,
    /// Why the run failed whatever the checkers say.
    pub failures: Vec<String>,
    /// Nodes whose process does not run, or is about to end.
    pub down: std::collections::BTreeSet<u32>,
    /// Nodes whose power may go at any step of their disk.
    pub doomed: std::collections::BTreeSet<u32>,
    /// Nodes whose disk takes long to sync.
    pub stalled: std::collections::BTreeSet<u32>,
    trace: Trace,
    healthy: Option<bool>,
}

impl<'a> Cluster<'a> {
    /// Nodes and receivers; clients are to be added.
    #[must_use]
    pub fn new(plan: Rc<Plan>, work: &Path, recorder: Recorder, trace: Trace) -> Self {
        let mut sim = turmoil::Builder::new()
            .epoch(UNIX_EPOCH + Duration::from_millis(EPOCH_MS))
            .simulation_duration(Duration::from_secs(3600))
            .tick_duration(plan.tick)
            // Less than a step would let a message arrive before it was sent.
            .min_message_latency(plan.tick)
            .max_message_latency(plan.latency_max)
            .tcp_capacity(TCP_CAPACITY)
            .enable_random_order()
            .rng_seed(plan.seed)
            .build();
        libc::set_now(sim.since_epoch());
        let machines = machines(&plan, work);
        let nodes: BTreeMap<_, _> =
            machines.iter().map(|machine| (sim.lookup(machine.name.as_str()), machine.number)).collect();
        let receivers: Vec<_> = (1..=plan.receivers)
            .map(|number| {
                Rc::new(Receiver {
                    number,
                    name: format!("r{number}"),
                    mood: Cell::new(Mood::Good),
                    nodes: nodes.clone(),
                    recorder: recorder.clone(),
                })
            })
            .collect();
        for machine in &machines {
            let of_host = machine.clone();
            sim.host(machine.name.as_str(), move || of_host.clone().software());
        }
        for receiver in &receivers {
            let of_host = receiver.clone();
            sim.host(receiver.name.as_str(), move || of_host.clone().software());
        }
        let mut links = Links::new(plan.latency_max);
        if plan.receiver_latency_max > plan.latency_max {
            for (machine, receiver) in machines.iter().flat_map(|m| receivers.iter().map(move |r| (m, r))) {
                links.lengthen(&sim, &machine.name, &receiver.name, plan.receiver_latency_max);
            }
        }
        Self {
            sim,
            plan,
            machines,
            receivers,
            clients: Vec::new(),
            links,
            recorder,
            failures: Vec::new(),
            down: std::collections::BTreeSet::new(),
            doomed: std::collections::BTreeSet::new(),
            stalled: std::collections::BTreeSet::new(),
            trace,
            healthy: None,
        }
    }

    /// Nanoseconds since the run began.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        nanos(self.sim.elapsed())
    }

    /// One step.
    ///
    /// # Errors
    /// When a host's software ended, which none does.
    pub fn step(&mut self) -> anyhow::Result<()> {
        let stepped = self.sim.step().map_err(|e| anyhow::anyhow!("{e}"));
        libc::set_now(self.sim.since_epoch());
        self.trace.driver(self.sim.elapsed());
        for office in self.trace.take_offices() {
            self.recorder.note(Event::Leader(Leader {
                at_ns: office.at_ns,
                shard: u16::try_from(office.shard).unwrap_or(u16::MAX),
                term: office.term,
                session: office.session,
                node: office.node,
            }));
        }
        stepped.map(drop)
    }

    /// The node that leads `shard`, as far as any node knows.
    #[must_use]
    pub fn leader(&self, shard: u16) -> Option<u32> {
        self.machines.iter().find_map(|machine| {
            let node = machine.node()?;
            let host = node.running()?.hosts.get(usize::from(shard))?;
            host.office().map(|_| machine.number)
        })
    }

    /// Whether every shard has a leader in office.
    #[must_use]
    pub fn has_leaders(&self) -> bool {
        (0..self.plan.shards).all(|shard| self.leader(shard).is_some())
    }

    /// The machine with this number.
    #[must_use]
    pub fn machine(&self, number: u32) -> &Rc<Machine> {
        let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
        &self.machines[place]
    }

    /// Ends a process at once: what it wrote stays, synced or not.
    pub fn kill(&mut self, number: u32) {
        self.end(number, usize::MAX);
    }

    /// Cuts a node's power: of the writes that were not synced, the first `kept` stay.
    pub fn cut_power(&mut self, number: u32, kept: usize) {
        self.end(number, kept);
    }

    fn end(&mut self, number: u32, kept: usize) {
        let machine = self.machine(number).clone();
        self.down.insert(number);
        self.doomed.remove(&number);
        // First the disk, so that nothing that is dropped with the process can still write.
        machine.disk.crash_keeping(kept);
        machine.forget_process();
        self.sim.crash(machine.name.as_str());
    }

    /// Starts a node's process, unless another fault that had ended it has started it again.
    pub fn start(&mut self, number: u32) {
        let name = self.machine(number).name.clone();
        if self.down.remove(&number) {
            self.sim.bounce(name.as_str());
        }
    }

    /// The links between a host and all others, with an effect on each.
    #[must_use]
    pub fn around(&self, name: &str, effect: Effect) -> Vec<Broken> {
        let others = self.hosts().into_iter().filter(|other| other != name);
        others.map(|other| (name.to_owned(), other, effect)).collect()
    }

    /// The names of all hosts.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let nodes = self.machines.iter().map(|machine| machine.name.clone());
        let receivers = self.receivers.iter().map(|receiver| receiver.name.clone());
        nodes.chain(receivers).chain(self.clients.iter().cloned()).collect()
    }

    /// Notes whether the shards are able to work, if that has changed: whether a majority is up, has a whole
    /// network to each other, to every receiver and to every client, and the receivers are up.
    pub fn note_health(&mut self) {
        let healthy = self.is_healthy();
        if self.healthy == Some(healthy) {
            return;
        }
        self.healthy = Some(healthy);
        let at_ns = self.now_ns();
        for shard in 0..self.plan.shards {
            self.recorder.note(Event::Health(Health { at_ns, shard, healthy }));
        }
    }

    fn is_healthy(&mut self) -> bool {
        // On a disk that is slow and does not hang a leader keeps its lead, and a write takes two syncs: longer than the
        // canaries wait.
        let slow =
            |machine: &Rc<Machine>| SLOW_SYNC_MS.contains(&machine.sync_more_ms.load(Ordering::Relaxed));
        if self.machines.iter().any(slow) {
            return false;
        }
        let mut outside: Vec<String> = self.clients.clone();
        for receiver in &self.receivers {
            // With few places, those that a receiver keeps waiting are missing for the others.
            let blocks = matches!(receiver.mood.get(), Mood::Hanging | Mood::Slow);
            let scarce = self.plan.concurrency_max < 100;
            if (blocks && scarce) || !self.sim.is_host_running(receiver.name.as_str()) {
                return false;
            }
            outside.push(receiver.name.clone());
        }
        let fit: Vec<&str> = self
            .machines
            .iter()
            .filter(|machine| !self.down.contains(&machine.number) && !self.stalled.contains(&machine.number))
            .map(|machine| machine.name.as_str())
            .filter(|name| outside.iter().all(|other| self.links.is_whole(name, other)))
            .collect();
        let majority = self.machines.len() / 2 + 1;
        // Up to five nodes: every subset can be looked at.
        (0_u32..1 << fit.len()).any(|subset| {
            let members: Vec<&str> =
                (0..).zip(&fit).filter(|(bit, _)| subset >> bit & 1 == 1).map(|(_, name)| *name).collect();
            members.len() >= majority
                && members.iter().all(|a| members.iter().all(|b| a == b || self.links.is_whole(a, b)))
        })
    }
}

fn machines(plan: &Plan, work: &Path) -> Vec<Rc<Machine>> {
    let peers: Vec<_> = (1..=plan.nodes)
        .map(|n| Peer { name: format!("n{n}"), address: format!("n{n}:{PEER_PORT}") })
        .collect();
    (1..=plan.nodes)
        .map(|number| {
            let settings = settings(plan, number, &peers, work);
            let seed = plan.seed.wrapping_mul(7919).wrapping_add(number.into());
            Machine::new(number, settings, plan.sync_max, seed)
        })
        .collect()
}

fn settings(plan: &Plan, number: u32, peers: &[Peer], work: &Path) -> Settings {
    let name = format!("n{number}");
    let any = |port: u16| std::net::SocketAddr::from(([0, 0, 0, 0], port));
    let mut settings = Settings::dev(any(client::PORT), data_dir(work, &name));
    settings.http.advertise_url = format!("http://{name}:{}", client::PORT);
    settings.http.request_timeout_ms = 5_000;
    settings.peer.listen = any(PEER_PORT);
    settings.peer.advertise = format!("{name}:{PEER_PORT}");
    settings.node.name = name;
    settings.cluster.name = "sim".to_owned();
    settings.cluster.peers = peers.to_vec();
    settings.cluster.shards = plan.shards;
    settings.raft.log_keep_entries = plan.log_keep_entries;
    settings.raft.linger_ms = plan.linger_ms;
    settings.delivery.look_ahead_ms = plan.look_ahead_ms;
    settings.delivery.concurrency_max = plan.concurrency_max;
    settings.delivery.allow = vec!["private".to_owned()];
    settings.storage.flush_interval_ms = plan.flush_interval_ms;
    settings.auth.mode = AuthMode::None;
    settings
}
