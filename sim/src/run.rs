//! One run: forms the cluster, lets it work in calm, breaks it, heals it, waits until everything that was due must
//! have fired, reads every timer once more, compares the replicas, and has the checkers judge.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use checkers::history::{self, Action, Event, PhaseChange, PhaseName, Probe, Run, State};
use checkers::report::{Report, Summary};
use checkers::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::clock::EPOCH_MS;
use crate::cluster::Cluster;
use crate::groups::Tender;
use crate::nemesis::Nemesis;
use crate::plan::{FaultKind, Plan};
use crate::recorder::Recorder;
use crate::trace::Trace;
use crate::workload::{CALLBACK_TIMEOUT_MS, Client, retry_policy};
use crate::{clock, libc};

/// How long the nodes may take to become a cluster.
const FORMATION_MAX: Duration = Duration::from_secs(30);
/// How long faults may go on beyond the plan until each kind has come.
const FAULTS_OVERTIME_MAX: Duration = Duration::from_secs(120);
/// How long the end of the last faults may take.
const HEAL_MAX: Duration = Duration::from_secs(90);
/// For how long of healthy time a timer may be due.
const LIVENESS_BOUND: Duration = Duration::from_secs(20);
/// How long a healed shard may take before its time counts as healthy.
const GRACE: Duration = Duration::from_secs(5);
/// Within what time a healed shard takes writes.
const RECOVERY_BOUND: Duration = Duration::from_secs(10);
/// Longer than a held message waits: the longest fault.
const TRANSIT_HELD: Duration = Duration::from_secs(14);
/// Longer than a slow message takes.
const TRANSIT: Duration = Duration::from_secs(1);
/// Processes that read at the end.
const FINAL_READERS: u32 = 6;
/// Their numbers, and the canaries', lie behind those of the clients'.
const CANARY: u32 = 900;
const FINAL_READER: u32 = 1000;

/// What to run, and what to leave behind.
#[derive(Clone, Debug)]
pub struct Options {
    /// Chooses everything.
    pub seed: u64,
    /// A directory of this run's own.
    pub work: PathBuf,
    /// Where to keep the trace, if it is wanted.
    pub trace: Option<PathBuf>,
    /// What of the product's events belongs to the trace: as `RUST_LOG`.
    pub filter: String,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What was run.
    pub plan: Plan,
    /// What the checkers say; none if the run broke off.
    pub report: Option<Report>,
    /// Why it failed whatever they say.
    pub failures: Vec<String>,
    /// Lines of the trace, and their hash.
    pub trace: (u64, String),
    /// Simulated time.
    pub virtual_time: Duration,
    /// CPU time.
    pub cpu_ns: u64,
}

impl Ended {
    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.report {
            _ if !self.failures.is_empty() => Verdict::Violation,
            Some(report) => report.verdict(),
            None => Verdict::Violation,
        }
    }
}

/// What came of a run, for the process that asked for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What it amounts to.
    pub verdict: Verdict,
    /// The figures, if the run can be judged.
    pub summary: Option<Summary>,
    /// Simulated seconds.
    pub virtual_s: f64,
    /// Seconds of CPU.
    pub cpu_s: f64,
    /// The hash of the trace.
    pub trace: String,
}

impl From<&Ended> for Outcome {
    fn from(ended: &Ended) -> Self {
        Self {
            verdict: ended.verdict(),
            summary: ended.report.as_ref().map(|report| report.summary.clone()),
            virtual_s: ended.virtual_time.as_secs_f64(),
            cpu_s: ended.cpu_ns as f64 / 1e9,
            trace: ended.trace.1.clone(),
        }
    }
}

/// Runs one seed. Once a process: see [`crate::libc`].
///
/// # Errors
/// When the harness itself can't do its work.
pub fn run(options: &Options) -> anyhow::Result<Ended> {
    let plan = Plan::of(options.seed);
    let recorder = Recorder::default();
    let trace = Trace::new(options.trace.as_deref())?;
    let _listening = trace.listen(&options.filter);
    let mut failures = Vec::new();
    let mut virtual_time = Duration::ZERO;
    let work = AssertUnwindSafe(|| live(&plan, &options.work, &recorder, &trace, &mut virtual_time));
    match catch_unwind(work) {
        Ok(Ok(found)) => failures.extend(found),
        Ok(Err(e)) => failures.push(format!("the run broke off: {e}")),
        Err(_) => failures.push("a panic: see the line above".to_owned()),
    }
    recorder.write(&options.work.join("history.jsonl"))?;
    let report = recorder.judge();
    let report = match report {
        Ok(report) => Some(report),
        Err(e) => {
            failures.push(format!("the history does not add up: {e}"));
            None
        }
    };
    Ok(Ended { plan, report, failures, trace: trace.finish(), virtual_time, cpu_ns: libc::cpu_ns() })
}

/// What is shared between the driver and the clients.
#[derive(Clone, Default)]
struct Signals {
    /// What the tender of groups found wrong.
    failures: Rc<RefCell<Vec<String>>>,
    begin: Rc<Cell<bool>>,
    over: Rc<Cell<bool>>,
    read: Rc<Cell<bool>>,
    readers_done: Rc<Cell<u32>>,
}

fn live(
    plan: &Plan,
    work: &Path,
    recorder: &Recorder,
    trace: &Trace,
    virtual_time: &mut Duration,
) -> anyhow::Result<Vec<String>> {
    recorder.note(Event::Run(head(plan)));
    let plan = Rc::new(plan.clone());
    let mut cluster = Cluster::new(plan.clone(), work, recorder.clone(), trace.clone());
    let signals = Signals::default();
    add_clients(&mut cluster, &signals);
    let lived = phases(&mut cluster, &signals);
    *virtual_time = cluster.sim.elapsed();
    lived?;
    cluster.failures.extend(signals.failures.take());
    Ok(std::mem::take(&mut cluster.failures))
}

fn phases(cluster: &mut Cluster<'_>, signals: &Signals) -> anyhow::Result<()> {
    until(cluster, FORMATION_MAX, "the cluster to form", |cluster| cluster.has_leaders())?;
    phase(cluster, PhaseName::Calm);
    cluster.note_health();
    signals.begin.set(true);
    pass(cluster, cluster.plan.calm)?;

    phase(cluster, PhaseName::Faults);
    let mut nemesis = Nemesis::new(cluster);
    let began = cluster.sim.elapsed();
    loop {
        nemesis.turn(cluster, false);
        cluster.step()?;
        let took = cluster.sim.elapsed() - began;
        let enough = took >= cluster.plan.faults && nemesis.has_tried_all();
        if enough || took >= cluster.plan.faults + FAULTS_OVERTIME_MAX {
            break;
        }
    }

    phase(cluster, PhaseName::Heal);
    let began = cluster.sim.elapsed();
    while !nemesis.is_idle() && cluster.sim.elapsed() < began + HEAL_MAX {
        nemesis.turn(cluster, true);
        cluster.step()?;
    }
    // Writes go on, so that it shows that every shard takes them again.
    let healed = cluster.sim.elapsed() + RECOVERY_BOUND + Duration::from_secs(2);
    while cluster.sim.elapsed() < healed {
        nemesis.turn(cluster, true);
        cluster.step()?;
    }

    phase(cluster, PhaseName::Quiesce);
    signals.over.set(true);
    pass(cluster, cluster.plan.horizon + Duration::from_secs(10))?;

    phase(cluster, PhaseName::Final);
    signals.read.set(true);
    let limit = LIVENESS_BOUND * 2 + Duration::from_secs(30);
    until(cluster, limit, "the final reads", |_| signals.readers_done.get() == FINAL_READERS)?;
    pass(cluster, Duration::from_secs(2))?;
    probe(cluster)
}

fn head(plan: &Plan) -> Run {
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let transit = if plan.kinds.contains(&FaultKind::Hold) { TRANSIT_HELD } else { TRANSIT };
    Run {
        seed: plan.seed,
        options: plan.options(),
        nodes: plan.nodes,
        shards: plan.shards,
        wall_ms_at_zero: EPOCH_MS,
        attempt_timeout_ms: CALLBACK_TIMEOUT_MS,
        max_clock_offset_ms: 250,
        liveness_bound_ms: ms(LIVENESS_BOUND),
        grace_ms: ms(GRACE),
        recovery_bound_ms: ms(RECOVERY_BOUND),
        transit_slack_ms: ms(transit),
        sessions_complete: true,
        replicas_seen: true,
        fault_kinds: plan.kinds.iter().map(|kind| kind.name().to_owned()).collect(),
        retry: retry_policy(),
    }
}

fn add_clients(cluster: &mut Cluster<'_>, signals: &Signals) {
    for number in 1..=cluster.plan.clients {
        let name = format!("c{number}");
        let mut processes = Vec::new();
        for process in [number * 10, number * 10 + 1] {
            processes.push(client(cluster, process, signals));
        }
        let canaries: Vec<_> = (0..cluster.plan.shards)
            .filter(|shard| u32::from(*shard) % cluster.plan.clients + 1 == number)
            .map(|shard| (shard, client(cluster, CANARY + u32::from(shard), signals)))
            .collect();
        let readers: Vec<_> = (0..FINAL_READERS)
            .filter(|reader| reader % cluster.plan.clients + 1 == number)
            .map(|reader| (reader, client(cluster, FINAL_READER + reader, signals)))
            .collect();
        let signals = signals.clone();
        let tender = (number == 1)
            .then(|| Tender::new(cluster.plan.clone(), signals.over.clone(), signals.failures.clone()));
        cluster.sim.client(name.as_str(), async move {
            wait(&signals.begin).await;
            let mut tasks = tokio::task::JoinSet::new();
            for process in processes {
                tasks.spawn_local(process.work());
            }
            for (shard, canary) in canaries {
                tasks.spawn_local(canary.canary(shard));
            }
            if let Some(tender) = tender {
                tasks.spawn_local(tender.work());
            }
            while tasks.join_next().await.is_some() {}
            wait(&signals.read).await;
            for (reader, client) in readers {
                tasks.spawn_local(read_all(client, reader, signals.readers_done.clone()));
            }
            while tasks.join_next().await.is_some() {}
            Ok(())
        });
        cluster.clients.push(name);
    }
}

fn client(cluster: &Cluster<'_>, process: u32, signals: &Signals) -> Client {
    Client::new(process, cluster.plan.clone(), cluster.recorder.clone(), signals.over.clone())
}

async fn wait(signal: &Cell<bool>) {
    while !signal.get() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads this reader's share of all timers, each until it has ended or must have.
async fn read_all(client: Client, reader: u32, done: Rc<Cell<u32>>) {
    let until = clock::elapsed() + LIVENESS_BOUND * 2;
    let mine = client.recorder.timers().into_iter().zip(0_u32..);
    for ((timer, _), place) in mine.filter(|(_, place)| place % FINAL_READERS == reader) {
        let mut node = place;
        loop {
            node += 1;
            let name = format!("n{}", node % client.plan.nodes + 1);
            let outcome = client.call(&name, &timer, None, &Action::Get).await;
            let ended = match &outcome {
                history::Outcome::Ok(answer) => !matches!(answer.state, State::Scheduled | State::Retrying),
                history::Outcome::Refused(refusal) => refusal.status == 404,
                history::Outcome::Unknown { .. } => false,
            };
            if ended || clock::elapsed() >= until {
                break;
            }
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    }
    done.set(done.get() + 1);
}

fn phase(cluster: &Cluster<'_>, phase: PhaseName) {
    tracing::info!(target: "sim", ?phase, "phase");
    cluster.recorder.note(Event::Phase(PhaseChange { at_ns: cluster.now_ns(), phase }));
}

fn pass(cluster: &mut Cluster<'_>, span: Duration) -> anyhow::Result<()> {
    let until = cluster.sim.elapsed() + span;
    while cluster.sim.elapsed() < until {
        cluster.step()?;
    }
    Ok(())
}

fn until(
    cluster: &mut Cluster<'_>,
    limit: Duration,
    what: &str,
    done: impl Fn(&Cluster<'_>) -> bool,
) -> anyhow::Result<()> {
    let until = cluster.sim.elapsed() + limit;
    while !done(cluster) {
        anyhow::ensure!(cluster.sim.elapsed() < until, "waited {limit:?} for {what}");
        cluster.step()?;
    }
    Ok(())
}

/// Compares the replicas, and each one's indexes with its timers.
fn probe(cluster: &mut Cluster<'_>) -> anyhow::Result<()> {
    let mut hashes: BTreeMap<(u16, u64), String> = BTreeMap::new();
    for machine in cluster.machines.clone() {
        let Some(node) = machine.node() else { continue };
        let Some(running) = node.running() else { continue };
        for host in &running.hosts {
            let (applied, hash) = host.reader().state_hash()?;
            let applied_index = applied.map_or(0, |id| id.index);
            let hash = format!("{hash:016x}");
            hashes.entry((host.shard, applied_index)).or_insert_with(|| hash.clone());
            let (at_ns, node, shard) = (cluster.now_ns(), machine.number, host.shard);
            cluster.recorder.note(Event::Probe(Probe { at_ns, node, shard, applied_index, hash }));
            if let Some(fault) = host.reader().check_indexes()? {
                cluster.failures.push(format!("node {node}, shard {shard}: {fault}"));
            }
        }
    }
    tracing::info!(target: "sim", ?hashes, "replicas");
    Ok(())
}
