//! What a seed chooses (swarm testing: each run leaves most faults out, so that those that are in go deeper).
//! Deliberately absent: when each fault happens ([`crate::nemesis`] draws that as it goes).

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// One node is cut off from everybody.
    PartitionOne,
    /// Nodes are cut into a majority and a minority.
    PartitionMajority,
    /// Two halves that only one node can talk to.
    PartitionBridge,
    /// A leader that one of three others still hears, in a cluster of four: it has no quorum, and whoever hears it would
    /// not vote for another. It lasts longer than a shard may take to recover.
    LeaderStranded,
    /// One node's messages to another are lost, the answers would not be.
    PartitionOneWay,
    /// Messages between two nodes are held and come later, all at once.
    Hold,
    /// Messages take much longer.
    Slow,
    /// A process is killed: what it wrote and did not sync stays.
    Kill,
    /// A node loses its power: what was not synced is gone.
    PowerCutNode,
    /// All nodes lose their power at the same time.
    PowerCutAll,
    /// A node loses its power in the middle of a write to its disk.
    PowerCutMidWrite,
    /// A node loses its power, comes back, and loses it again while it catches up.
    PowerCutCatchingUp,
    /// A node is stopped in order and started again.
    Restart,
    /// A node's clock is off by no more than is promised to be harmless.
    ClockWithin,
    /// A node's clock jumps ahead by much more.
    ClockBeyond,
    /// A node's clock falls behind.
    ClockBehind,
    /// A disk's syncs take hundreds of milliseconds, or seconds.
    DiskStall,
    /// A receiver answers 500.
    ReceiverFails,
    /// A receiver does not answer.
    ReceiverHangs,
    /// A receiver answers late.
    ReceiverSlow,
    /// A receiver's host is down.
    ReceiverDown,
}

impl FaultKind {
    /// Those that any plan may have.
    pub const ALL: [Self; 19] = [
        Self::PartitionOne,
        Self::PartitionMajority,
        Self::PartitionBridge,
        Self::PartitionOneWay,
        Self::Hold,
        Self::Slow,
        Self::Kill,
        Self::PowerCutNode,
        Self::PowerCutAll,
        Self::PowerCutMidWrite,
        Self::Restart,
        Self::ClockWithin,
        Self::ClockBeyond,
        Self::ClockBehind,
        Self::DiskStall,
        Self::ReceiverFails,
        Self::ReceiverHangs,
        Self::ReceiverSlow,
        Self::ReceiverDown,
    ];

    /// Those that end a leader's process.
    pub const ENDING: [Self; 5] =
        [Self::Kill, Self::PowerCutNode, Self::PowerCutAll, Self::PowerCutMidWrite, Self::Restart];

    /// Its name in a history.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PartitionOne => "partitionOne",
            Self::PartitionMajority => "partitionMajority",
            Self::PartitionBridge => "partitionBridge",
            Self::LeaderStranded => "leaderStranded",
            Self::PartitionOneWay => "partitionOneWay",
            Self::Hold => "hold",
            Self::Slow => "slow",
            Self::Kill => "kill",
            Self::PowerCutNode => "powerCutNode",
            Self::PowerCutAll => "powerCutAll",
            Self::PowerCutMidWrite => "powerCutMidWrite",
            Self::PowerCutCatchingUp => "powerCutCatchingUp",
            Self::Restart => "restart",
            Self::ClockWithin => "clockWithin",
            Self::ClockBeyond => "clockBeyond",
            Self::ClockBehind => "clockBehind",
            Self::DiskStall => "diskStall",
            Self::ReceiverFails => "receiverFails",
            Self::ReceiverHangs => "receiverHangs",
            Self::ReceiverSlow => "receiverSlow",
            Self::ReceiverDown => "receiverDown",
        }
    }
}

/// What some seeds lean on: paths so narrow that chance would seldom lead there. Chosen by the seed's last digit and not
/// drawn, so that the other seeds stay what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emphasis {
    /// Chance alone.
    None,
    /// A leader is stranded in a cluster of four.
    StrandedLeader,
    /// Receivers are far away, and clients change timers just as they fire.
    Races,
    /// Nodes that come back get snapshots, which nothing but their own flush makes durable, and lose their power again.
    Snapshots,
}

impl Emphasis {
    /// That of `seed`.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        match seed % 10 {
            0 => Self::StrandedLeader,
            3 => Self::Races,
            7 => Self::Snapshots,
            _ => Self::None,
        }
    }
}

/// The longest that a message to or from a receiver takes that is far away.
const FAR: Duration = Duration::from_millis(300);

/// What one run is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of the run.
    pub seed: u64,
    /// What it leans on.
    pub emphasis: Emphasis,
    /// 3 or 5; 4 where a leader is to be stranded.
    pub nodes: u32,
    /// Of the cluster.
    pub shards: u16,
    /// Hosts that are called back.
    pub receivers: u32,
    /// Hosts that call the API.
    pub clients: u32,
    /// A step of the simulation: no message is faster.
    pub tick: Duration,
    /// The longest that a message takes while no fault slows it.
    pub latency_max: Duration,
    /// The same to and from receivers.
    pub receiver_latency_max: Duration,
    /// How long the calm phase before the faults is.
    pub calm: Duration,
    /// How long faults come and go.
    pub faults: Duration,
    /// Faults that may come.
    pub kinds: BTreeSet<FaultKind>,
    /// The mean time between two faults.
    pub fault_every: Duration,
    /// Faults that may be in force at once.
    pub faults_at_once_max: usize,
    /// `raft.log_keep_entries`.
    pub log_keep_entries: u64,
    /// `storage.flush_interval_ms`.
    pub flush_interval_ms: u64,
    /// `raft.linger_ms`.
    pub linger_ms: u64,
    /// `delivery.look_ahead_ms`.
    pub look_ahead_ms: u64,
    /// `delivery.concurrency_max`.
    pub concurrency_max: u64,
    /// The longest that a sync of the log takes while no fault delays it.
    pub sync_max: Duration,
    /// The mean pause of a client between two operations.
    pub think: Duration,
    /// How far ahead timers are set, at most.
    pub horizon: Duration,
    /// Timers that several clients work on.
    pub shared_timers: u32,
    /// Of 100 timers, how many meet a receiver that fails at first.
    pub failing_percent: u32,
}

impl Plan {
    /// What `seed` chooses.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x005e_ed0f_51a1);
        let rng = &mut rng;
        let ms = Duration::from_millis;
        let pick = |rng: &mut SmallRng, of: &[u64]| of.choose(rng).copied().unwrap_or_default();
        let kinds_wanted = rng.random_range(1..=6);
        let mut kinds: BTreeSet<_> = FaultKind::ALL.choose_multiple(rng, kinds_wanted).copied().collect();
        // Without a change of leader a run says little.
        kinds.extend(FaultKind::ENDING.choose(rng));
        // Nor if nothing can fire while there is a fault.
        if kinds.iter().all(|kind| *kind == FaultKind::PowerCutAll) {
            kinds.insert(FaultKind::Kill);
        }
        let nodes = if rng.random_bool(0.7) { 3 } else { 5 };
        let shards = rng.random_range(1..=4);
        let clients = rng.random_range(2..=3);
        let latency_max = ms(pick(rng, &[5, 10, 20, 50]));
        let mut plan = Self {
            seed,
            emphasis: Emphasis::of(seed),
            nodes,
            shards,
            receivers: 2,
            clients,
            tick: ms(5),
            latency_max,
            receiver_latency_max: latency_max,
            calm: ms(4_000),
            faults: ms(rng.random_range(30_000..=90_000)),
            kinds,
            fault_every: ms(pick(rng, &[3_000, 6_000, 12_000])),
            faults_at_once_max: rng.random_range(1..=3),
            log_keep_entries: pick(rng, &[1, 10, 100, 20_000]),
            flush_interval_ms: pick(rng, &[1_000, 3_000, 30_000]),
            linger_ms: pick(rng, &[0, 1, 5]),
            look_ahead_ms: pick(rng, &[1_000, 5_000, 60_000]),
            concurrency_max: pick(rng, &[8, 64, 1_000]),
            sync_max: ms(pick(rng, &[1, 3, 10, 40])),
            think: ms(pick(rng, &[100, 200, 400])),
            horizon: ms(pick(rng, &[2_000, 8_000, 25_000])),
            shared_timers: rng.random_range(2..=12),
            failing_percent: *[0, 10, 40].choose(rng).unwrap_or(&0),
        };
        plan.lean();
        plan
    }

    fn lean(&mut self) {
        match self.emphasis {
            Emphasis::None => {}
            Emphasis::StrandedLeader => {
                self.kinds.insert(FaultKind::LeaderStranded);
                self.nodes = 4;
            }
            Emphasis::Races => {
                self.receiver_latency_max = FAR;
                // A place is taken for a second and more.
                self.concurrency_max = self.concurrency_max.max(64);
            }
            Emphasis::Snapshots => {
                self.kinds.insert(FaultKind::PowerCutCatchingUp);
                self.log_keep_entries = 1;
                self.flush_interval_ms = 30_000;
                self.fault_every = Duration::from_secs(3);
            }
        }
    }

    /// For the history's head.
    #[must_use]
    pub fn options(&self) -> std::collections::BTreeMap<String, String> {
        let text = format!("{self:?}");
        [("plan".to_owned(), text)].into()
    }
}
