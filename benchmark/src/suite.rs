//! The three measurements with their figures, and all of them in a row against nodes of our own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::connection::SendError;
use crate::firing::{self, Fired, Firing, FiringError};
use crate::latency::{Latencies, Quantiles};
use crate::load::{self, Load, LoadError};
use crate::nodes::{Nodes, StartError};
use crate::report::{Measurement, Pairs};
use crate::request::Ids;
use crate::routes::Routes;
use crate::{clock, cpu};

/// Timers that are far away never become due while they are measured.
const FAR_AWAY: Duration = Duration::from_secs(365 * 24 * 3600);
/// The largest number of timers in a load that is bounded by time.
const TIMERS_MAX: usize = 10_000_000;

/// The servers under test.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where their REST APIs listen.
    pub addresses: Vec<SocketAddr>,
    /// Their process ids, if they are ours.
    pub process_ids: Vec<u32>,
}

impl Target {
    fn cpu(&self) -> Duration {
        self.process_ids.iter().map(|&pid| cpu::used(pid)).sum()
    }
}

/// How big the suite is.
#[derive(Clone, Debug)]
pub struct Size {
    /// Connections of each load of creates.
    pub clients: Vec<usize>,
    /// How long each of these lasts, the warm-up not included.
    pub creates: Duration,
    /// What is not counted before.
    pub warm_up: Duration,
    /// How timers fire, unless only creates are measured.
    pub firing: Option<FiringSize>,
}

/// How many timers fire.
#[derive(Clone, Copy, Debug)]
pub struct FiringSize {
    /// Timers that are due at once, and how long there is to create them.
    pub callbacks: (usize, Duration),
    /// Timers on an idle server, and how far they are spread.
    pub lateness: (usize, Duration),
}

impl Size {
    /// The size whose figures are published.
    pub fn full() -> Self {
        Self {
            clients: vec![1, 16, 64, 256],
            creates: Duration::from_secs(10),
            warm_up: Duration::from_secs(2),
            firing: Some(FiringSize {
                callbacks: (50_000, Duration::from_secs(40)),
                lateness: (200, Duration::from_secs(20)),
            }),
        }
    }

    /// What of it the number of shards changes most: creates, by the number of clients that the floors name.
    pub fn of_creates(&self) -> Self {
        let clients = if self.clients.contains(&64) { vec![64] } else { self.clients.clone() };
        Self { clients, firing: None, ..self.clone() }
    }

    /// A size that shows in half a minute that everything works; its figures mean little.
    pub fn quick() -> Self {
        Self {
            clients: vec![16],
            creates: Duration::from_secs(3),
            warm_up: Duration::from_secs(1),
            firing: Some(FiringSize {
                callbacks: (2_000, Duration::from_secs(10)),
                lateness: (50, Duration::from_secs(5)),
            }),
        }
    }
}

/// Why a suite has no figures.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// No nodes.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No creates.
    #[error("creates: {0}")]
    Load(#[from] LoadError),
    /// No routing table.
    #[error("the routing table: {0}")]
    Routes(#[from] SendError),
    /// No callbacks.
    #[error("callbacks: {0}")]
    Firing(#[from] FiringError),
    /// No place for the data.
    #[error("no directory for data in {}: {source}", dir.display())]
    Directory {
        /// Where.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Starts `nodes` nodes of `timerd`, measures everything at `size`, ends them and removes their data.
/// `say` gets a line before each step.
///
/// # Errors
/// At the first step that fails; the nodes are ended.
pub async fn run(
    timerd: &Path,
    nodes: usize,
    shards: u16,
    size: &Size,
    work_dir: &Path,
    say: &dyn Fn(&str),
) -> Result<Vec<Measurement>, SuiteError> {
    let dir = tempfile::tempdir_in(work_dir)
        .map_err(|source| SuiteError::Directory { dir: work_dir.to_owned(), source })?;
    say(&format!("starting {nodes} node(s) with {shards} shard(s)"));
    let running = Nodes::start(timerd, nodes, shards, dir.path()).await?;
    let target = Target { addresses: running.addresses(), process_ids: running.process_ids() };
    let outcome = measure(&target, size, say).await;
    running.stop().await;
    let mut rows = outcome?;
    for row in &mut rows {
        row.setup.0.push(("shards", shards.into()));
    }
    Ok(rows)
}

async fn measure(target: &Target, size: &Size, say: &dyn Fn(&str)) -> Result<Vec<Measurement>, SuiteError> {
    let mut rows = Vec::new();
    if let Some(firing) = size.firing {
        // First, while nothing else goes on.
        let (count, spread) = firing.lateness;
        say(&format!("lateness: {count} timers over {} s", spread.as_secs()));
        rows.push(lateness(target, count, spread).await?);
        let (count, lead) = firing.callbacks;
        say(&format!("callbacks: {count} timers due at once, in {} s", lead.as_secs()));
        rows.push(callbacks(target, count, lead).await?);
    }
    // Where there is one node, every way is straight.
    let ways = if target.addresses.len() > 1 { &[false, true][..] } else { &[true] };
    for &clients in &size.clients {
        for &straight in ways {
            say(&format!(
                "creates: {clients} client(s){} for {} s",
                if straight { "" } else { " through any node" },
                (size.creates + size.warm_up).as_secs()
            ));
            let (duration, warm_up) = (size.creates, size.warm_up);
            rows.push(creates(target, Creates { clients, duration, warm_up, straight }).await?);
        }
    }
    Ok(rows)
}

/// A load of creates.
#[derive(Clone, Copy, Debug)]
pub struct Creates {
    /// Connections, or with `straight` and several nodes as many requests under way.
    pub clients: usize,
    /// How long, after the warm-up.
    pub duration: Duration,
    /// What is not counted before.
    pub warm_up: Duration,
    /// Each timer goes to its leader instead of to any node.
    pub straight: bool,
}

/// Creates timers.
///
/// # Errors
/// When the server refuses.
pub async fn creates(target: &Target, creates: Creates) -> Result<Measurement, SuiteError> {
    let Creates { clients, duration, warm_up, straight } = creates;
    let routes = match target.addresses.first() {
        Some(first) if straight => Some(Routes::of(*first).await?),
        Some(_) | None => None,
    };
    let due_us = clock::from_now_us(FAR_AWAY);
    let (server_before, own_before) = (target.cpu(), cpu::used_here());
    let loaded = load::run(&Load {
        targets: &target.addresses,
        routes: routes.as_ref(),
        clients,
        ids: &Ids::new(clock::now_us()),
        due_us: &|_| due_us,
        callback_url: "http://127.0.0.1:9/",
        payload_bytes: 100,
        count_max: TIMERS_MAX,
        duration_max: warm_up + duration,
        failures_max: load::FAILURES_MAX,
        warm_up,
    })
    .await?;
    let all_seconds = (warm_up + loaded.elapsed).as_secs_f64();
    let rate = (loaded.created as f64) / loaded.elapsed.as_secs_f64();
    let cores = |used: Duration| used.as_secs_f64() / all_seconds;

    let mut figures = vec![("created", json!(loaded.created)), ("perSecond", json!(rate.round()))];
    figures.extend(quantiles(&loaded.latencies));
    if !target.process_ids.is_empty() {
        figures.push(("serverCores", json!(cores(target.cpu().saturating_sub(server_before)))));
    }
    figures.push(("clientCores", json!(cores(cpu::used_here().saturating_sub(own_before)))));
    figures.push(("refused", json!(loaded.refused.values().sum::<u64>())));
    Ok(Measurement {
        measure: "creates",
        setup: setup(
            target,
            &[("clients", json!(clients)), ("to", json!(if straight { "leader" } else { "any node" }))],
        ),
        figures: Pairs(figures),
    })
}

/// Fires `count` timers that are due in the same instant, `lead` from now.
///
/// # Errors
/// When they could not be created in time.
pub async fn callbacks(target: &Target, count: usize, lead: Duration) -> Result<Measurement, FiringError> {
    let fired = fire(target, 64, count, lead, Duration::ZERO).await?;
    let seconds = fired.drained_in.as_secs_f64();
    let rate = if seconds > 0.0 { ((fired.delivered as f64) / seconds).round() } else { 0.0 };
    let mut figures = vec![("perSecond", json!(rate)), ("dueToLastS", json!(seconds))];
    figures.extend(outcome(&fired));
    Ok(Measurement {
        measure: "callbacks",
        setup: setup(target, &[("timers", json!(count))]),
        figures: Pairs(figures),
    })
}

/// Fires `count` timers that are due one after the other within `spread`.
///
/// # Errors
/// When they could not be created in time.
pub async fn lateness(target: &Target, count: usize, spread: Duration) -> Result<Measurement, FiringError> {
    let fired = fire(target, 4, count, Duration::from_secs(3), spread).await?;
    Ok(Measurement {
        measure: "lateness",
        setup: setup(target, &[("timers", json!(count)), ("spreadS", json!(spread.as_secs()))]),
        figures: Pairs(outcome(&fired)),
    })
}

async fn fire(
    target: &Target,
    clients: usize,
    count: usize,
    lead: Duration,
    spread: Duration,
) -> Result<Fired, FiringError> {
    firing::run(&Firing {
        targets: &target.addresses,
        clients,
        run: clock::now_us(),
        count,
        lead,
        spread,
        wait_max: Duration::from_secs(120),
    })
    .await
}

fn setup(target: &Target, more: &[(&'static str, Value)]) -> Pairs {
    let mut pairs = vec![("nodes", json!(target.addresses.len()))];
    pairs.extend_from_slice(more);
    Pairs(pairs)
}

fn outcome(fired: &Fired) -> Vec<(&'static str, Value)> {
    let mut figures = vec![
        ("delivered", json!(fired.delivered)),
        ("missing", json!(fired.missing)),
        ("repeated", json!(fired.repeated)),
        ("early", json!(fired.early)),
    ];
    figures.extend(quantiles(&fired.lateness));
    figures
}

fn quantiles(latencies: &Latencies) -> [(&'static str, Value); 3] {
    let Quantiles { p50_ms, p99_ms, max_ms } = latencies.quantiles();
    [("p50Ms", json!(p50_ms)), ("p99Ms", json!(p99_ms)), ("maxMs", json!(max_ms))]
}
