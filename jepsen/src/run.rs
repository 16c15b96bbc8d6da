//! One run from its begin to its verdict: the stage is set, the phases follow each other, the history is judged, and
//! everything is taken down again, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use checkers::history::PhaseName;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::boundaries::Boundaries;
use crate::clock::RunClock;
use crate::kind::Kind;
use crate::names::Names;
use crate::network::Network;
use crate::plan::Plan;
use crate::receiver::{self, Receivers};
use crate::recorder::Recorder;
use crate::stage::{Scene, Stage};
use crate::verdict::Extra;
use crate::workload::Workload;
use crate::{bounds, faults, replicas};
use crate::{final_lists, final_reads};

/// Clients at once: so many, because each that has asked a node that is silent waits for seconds.
const PROCESSES: u32 = 40;
/// The phase of healing: long enough to see a shard that does not recover.
const HEAL: Duration = Duration::from_millis(bounds::RECOVERY_BOUND_MS + 2_000);
/// As soon as every shard has taken writes for so long, it is over.
const HEALED: Duration = Duration::from_secs(5);

/// What a run is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    pub seed: u64,
    pub profile: String,
    pub nodes: u32,
    pub shards: u16,
    pub time_s: u64,
    pub rate: u64,
    pub kinds: Vec<Kind>,
    pub disabled: BTreeSet<Kind>,
    pub timerd: PathBuf,
    pub failpoints: Option<PathBuf>,
    pub out: PathBuf,
}

impl Setup {
    /// How long it is calm at first, in ms.
    pub const fn calm_ms(&self) -> u64 {
        let tenth = self.time_s * 100;
        if tenth > 15_000 { 15_000 } else { tenth }
    }

    /// The plan of its faults.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        let length_ms = (self.time_s * 1000).saturating_sub(self.calm_ms());
        Ok(Plan::make(self.seed, &self.kinds, self.nodes, length_ms)?)
    }

    fn options(&self) -> BTreeMap<String, String> {
        let names = |kinds: &mut dyn Iterator<Item = &Kind>| {
            kinds.map(|kind| kind.name()).collect::<Vec<_>>().join(",")
        };
        [
            ("profile", self.profile.clone()),
            ("time", self.time_s.to_string()),
            ("rate", self.rate.to_string()),
            ("kinds", names(&mut self.kinds.iter())),
            ("disable", names(&mut self.disabled.iter())),
            ("timerd", self.timerd.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Runs it in a network of its own; the history is in the run's directory afterwards.
///
/// # Errors
/// The stage could not be set, or the history is not whole.
pub fn run(setup: &Setup) -> anyhow::Result<Extra> {
    let plan = setup.plan()?;
    let pid = std::process::id();
    let network = Arc::new(Network::make(pid, setup.nodes, Names::make(setup.out.join("hosts"))?)?);
    // From here on this thread and those that it starts are among the clients.
    network.enter_client()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(perform(setup, plan, network));
    runtime.shutdown_timeout(Duration::from_secs(5));
    result
}

async fn perform(setup: &Setup, plan: Plan, network: Arc<Network>) -> anyhow::Result<Extra> {
    let stop = CancellationToken::new();
    let mut servers = watch_signals(&stop)?;
    let clock = RunClock::start();
    let names: Vec<String> = setup.kinds.iter().map(|kind| kind.name().to_owned()).collect();
    let head = bounds::head(setup.seed, setup.nodes, setup.shards, &names, clock, setup.options());
    let recorder = Recorder::create(&history_path(&setup.out), clock, head)?;
    let receivers = Arc::new(Receivers {
        recorder: recorder.clone(),
        moods: Default::default(),
        outstanding: Default::default(),
        seed: setup.seed,
        odd: 0.into(),
        followed: 0.into(),
        at_other: Default::default(),
    });
    let mut listening = receiver::serve(receivers.clone(), stop.child_token()).await?;
    let scene = Scene {
        pid: std::process::id(),
        nodes: setup.nodes,
        shards: setup.shards,
        timerd: setup.timerd.clone(),
        failpoints: setup.failpoints.clone(),
        out: setup.out.clone(),
        kinds: setup.kinds.clone(),
        disabled: setup.disabled.clone(),
    };
    let (for_stage, quit) = (recorder.clone(), stop.clone());
    let (on_network, with_receivers) = (network.clone(), receivers.clone());
    let stage =
        crate::shell::blocking(move || Stage::set(scene, on_network, for_stage, with_receivers, quit));
    let stage = Arc::new(stage.await?);
    stage.start().await?;
    let supervision = CancellationToken::new();
    let supervisor = tokio::spawn(stage.clone().supervise(supervision.clone()));
    let lists = phases(setup, plan, &stage, &stop).await;
    supervision.cancel();
    let _ = supervisor.await;
    let interrupted = stop.is_cancelled();
    stop.cancel();
    servers.shutdown().await;
    listening.shutdown().await;
    let mut extra = Extra::of(&stage, interrupted);
    (extra.lists, extra.listed) = lists.unwrap_or_else(|e| (vec![format!("{e:#}")], 0));
    if !interrupted {
        extra.unsound = replicas::compare(&stage).await;
    }
    let stage = Arc::into_inner(stage).context("somebody still uses the stage")?;
    keep_data(&stage, &setup.out);
    // It waits for processes and disks.
    crate::shell::blocking(move || {
        drop(stage);
        Ok(())
    })
    .await?;
    recorder.finish()?;
    Ok(extra)
}

/// Ends the run early, and in order, on SIGINT and SIGTERM.
fn watch_signals(stop: &CancellationToken) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tasks.spawn(async move {
            if signals.recv().await.is_some() {
                println!("interrupted: everything is taken back");
                stop.cancel();
            }
        });
    }
    Ok(tasks)
}

/// Gives what the lists at the end do not agree on, and how many timers they had.
async fn phases(
    setup: &Setup,
    plan: Plan,
    stage: &Arc<Stage>,
    stop: &CancellationToken,
) -> anyhow::Result<(Vec<String>, usize)> {
    let recorder = &stage.recorder;
    let workload = Arc::new(Workload::new(
        recorder.clone(),
        stage.receivers.clone(),
        (setup.seed, setup.nodes, setup.shards),
        (setup.rate, PROCESSES),
    ));
    say(recorder, PhaseName::Calm);
    let over = stop.child_token();
    let mut clients = JoinSet::new();
    for process in 0..PROCESSES {
        clients.spawn(workload.clone().process(process, over.clone()));
    }
    for shard in 0..setup.shards {
        clients.spawn(workload.clone().canary(shard, over.clone()));
    }
    let boundaries = Arc::new(Boundaries::default());
    clients.spawn(boundaries.clone().send(workload.clone(), over.clone()));
    stage.hold(setup.calm_ms()).await;
    if !plan.faults.is_empty() {
        say(recorder, PhaseName::Faults);
        make_faults(stage, plan).await;
    }
    say(recorder, PhaseName::Heal);
    heal(stage, &workload).await;
    over.cancel();
    while clients.join_next().await.is_some() {}
    say(recorder, PhaseName::Quiesce);
    final_reads::quiesce(&workload, stop).await;
    say(recorder, PhaseName::Final);
    final_reads::read_all(&workload, stop).await;
    boundaries.read_back(&workload, stop).await;
    if stop.is_cancelled() {
        return Ok((Vec::new(), 0));
    }
    final_lists::compare(setup.seed, setup.nodes, &workload.names()).await
}

async fn make_faults(stage: &Arc<Stage>, plan: Plan) {
    let begun = Instant::now();
    let mut under_way = JoinSet::new();
    for planned in plan.faults {
        let wait = Duration::from_millis(planned.begin_ms).saturating_sub(begun.elapsed());
        stage.hold(u64::try_from(wait.as_millis()).unwrap_or(0)).await;
        if stage.stop.is_cancelled() {
            break;
        }
        under_way.spawn(faults::make(stage.clone(), planned));
    }
    let rest = Duration::from_millis(plan.length_ms).saturating_sub(begun.elapsed());
    stage.hold(u64::try_from(rest.as_millis()).unwrap_or(0)).await;
    while under_way.join_next().await.is_some() {}
}

/// Waits until every shard has taken writes again for a while, or until it is clear that one does not.
async fn heal(stage: &Stage, workload: &Workload) {
    let deadline = Instant::now() + HEAL;
    let mut well_since = None;
    while Instant::now() < deadline && !stage.stop.is_cancelled() {
        if workload.shards_silent_for() < Duration::from_millis(2_500) {
            let since = *well_since.get_or_insert_with(Instant::now);
            if since.elapsed() > HEALED {
                return;
            }
        } else {
            well_since = None;
        }
        stage.hold(250).await;
    }
}

fn say(recorder: &Recorder, phase: PhaseName) {
    println!("{:>7.1} s  phase {phase:?}", recorder.now_ns() as f64 / 1e9);
    recorder.phase(phase);
}

/// The history of a run's directory.
pub fn history_path(out: &Path) -> PathBuf {
    out.join("history.jsonl")
}

/// Copies the nodes' data to the run's directory; it is removed again if nothing was wrong.
fn keep_data(stage: &Stage, out: &Path) {
    for node in &stage.nodes {
        let to = out.join(format!("data-n{}", node.number));
        let copied = crate::shell::run(&["cp", "-a", &node.data().to_string_lossy(), &to.to_string_lossy()]);
        if let Err(e) = copied {
            println!("the data of n{} is not kept: {e}", node.number);
        }
    }
}
