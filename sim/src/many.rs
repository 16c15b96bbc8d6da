//! Many seeds, each in a process of its own, so that one that panics or hangs takes no other with it. Prints
//! progress, the failures with the command that repeats them, and one summary line.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::run::Outcome;

/// A run that takes longer hangs.
const RUN_MAX: Duration = Duration::from_secs(300);
/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often progress is told.
const TELL: Duration = Duration::from_secs(10);
/// Failures that are told in full.
const TOLD_MAX: usize = 20;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Start no more after this time.
    pub time_max: Option<Duration>,
    /// Processes at a time.
    pub jobs: usize,
    /// Where each seed gets a directory, which is kept if it fails.
    pub work: PathBuf,
    /// Where to append the sums.
    pub results: Option<PathBuf>,
    /// What was simulated.
    pub commit: String,
}

/// One line of `results.jsonl`: sums over the seeds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// What was simulated.
    pub commit: String,
    /// When, by the real clock, in seconds since 1970.
    pub date: u64,
    /// The first seed.
    pub from: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Of these, those that passed.
    pub passed: u64,
    /// Those in which a promise was broken, or that broke off.
    pub failed: u64,
    /// Those in which not every promise was put to the test.
    pub unknown: u64,
    /// Simulated time.
    pub virtual_hours: f64,
    /// Time of CPU.
    pub cpu_hours: f64,
    /// Simulated time in which a fault was in force.
    pub fault_hours: f64,
    /// Faults by kind: in how many seeds.
    pub fault_kinds: BTreeMap<String, u64>,
    /// Faults.
    pub faults_effective: u64,
    /// Power cuts among them.
    pub power_cuts: u64,
    /// Generations that a client was told of.
    pub acked: u64,
    /// Generations that were delivered.
    pub fired: u64,
    /// Generations that were lost.
    pub lost: u64,
    /// Generations that were delivered too late.
    pub late: u64,
    /// Deliveries before their time.
    pub early: u64,
    /// Deliveries of what nobody had made, or had cancelled.
    pub ghost: u64,
    /// Deliveries of an attempt that had been received before.
    pub duplicates: u64,
    /// Deliveries with a lower token than one before.
    pub zombies: u64,
    /// Operations that took effect or read.
    pub operations_ok: u64,
    /// Operations that were refused.
    pub operations_refused: u64,
    /// Operations whose outcome is unknown.
    pub operations_unknown: u64,
    /// The longest recovery of a shard.
    pub recovery_ms_max: u64,
}

struct Running {
    seed: u64,
    child: Child,
    began: Instant,
    dir: PathBuf,
}

/// Runs the seeds; `false` if one failed.
///
/// # Errors
/// When processes or files can't be made.
#[expect(
    clippy::disallowed_methods,
    reason = "outside of any simulation: processes are waited for in real time"
)]
pub fn many(options: &Options) -> anyhow::Result<bool> {
    fs::create_dir_all(&options.work)?;
    let date = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut sums = Sums { commit: options.commit.clone(), date, from: options.from, ..Sums::default() };
    let mut waiting = options.from..options.from.saturating_add(options.seeds);
    let mut running: Vec<Running> = Vec::new();
    let began = Instant::now();
    let mut told = Instant::now();
    loop {
        if options.time_max.is_some_and(|longest| began.elapsed() >= longest) {
            waiting = 0..0;
        }
        while running.len() < options.jobs.max(1) {
            let Some(seed) = waiting.next() else { break };
            running.push(start(options, seed)?);
        }
        if running.is_empty() {
            break;
        }
        let mut still = Vec::new();
        for mut one in running {
            if one.child.try_wait()?.is_some() {
                count(&mut sums, &one, None);
            } else if one.began.elapsed() > RUN_MAX {
                one.child.kill()?;
                one.child.wait()?;
                count(&mut sums, &one, Some("it hangs"));
            } else {
                still.push(one);
            }
        }
        running = still;
        if told.elapsed() >= TELL {
            told = Instant::now();
            println!(
                "  {} of {} seeds, {} failed, {:.1} virtual hours",
                sums.seeds, options.seeds, sums.failed, sums.virtual_hours
            );
        }
        sleep(LOOK);
    }
    finish(options, &sums)
}

fn start(options: &Options, seed: u64) -> anyhow::Result<Running> {
    let dir = options.work.join(format!("seed-{seed}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir)?;
    let output = fs::File::create(dir.join("output.txt"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["one", "--seed", &seed.to_string(), "--keep", "--work"]).arg(&dir);
    let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
    Ok(Running { seed, child, began: Instant::now(), dir })
}

/// Adds a run that has ended, and tells of it if it failed.
fn count(sums: &mut Sums, one: &Running, why: Option<&str>) {
    sums.seeds += 1;
    let outcome = fs::read_to_string(one.dir.join("outcome.json"));
    let outcome = outcome.ok().and_then(|text| serde_json::from_str::<Outcome>(&text).ok());
    match outcome.as_ref().map(|outcome| outcome.verdict) {
        Some(checkers::verdict::Verdict::Pass) if why.is_none() => sums.passed += 1,
        Some(checkers::verdict::Verdict::Unknown) if why.is_none() => {
            sums.unknown += 1;
            tell(sums.unknown, one, "UNKNOWN");
        }
        _ => {
            sums.failed += 1;
            tell(sums.failed, one, why.unwrap_or("FAILED"));
        }
    }
    let Some(outcome) = outcome else { return };
    sums.virtual_hours += outcome.virtual_s / 3600.0;
    sums.cpu_hours += outcome.cpu_s / 3600.0;
    if let Some(summary) = &outcome.summary {
        add(sums, summary);
    }
    if outcome.verdict == checkers::verdict::Verdict::Pass {
        let _ = fs::remove_dir_all(&one.dir);
    }
}

fn add(sums: &mut Sums, of_run: &checkers::report::Summary) {
    sums.fault_hours += of_run.fault_seconds as f64 / 3600.0;
    for kind in &of_run.fault_kinds {
        *sums.fault_kinds.entry(kind.clone()).or_default() += 1;
    }
    for (sum, more) in [
        (&mut sums.faults_effective, of_run.faults_effective),
        (&mut sums.power_cuts, of_run.power_cuts),
        (&mut sums.acked, of_run.acked),
        (&mut sums.fired, of_run.fired),
        (&mut sums.lost, of_run.lost),
        (&mut sums.late, of_run.late),
        (&mut sums.early, of_run.early),
        (&mut sums.ghost, of_run.ghost),
        (&mut sums.duplicates, of_run.duplicates),
        (&mut sums.zombies, of_run.zombies),
        (&mut sums.operations_ok, of_run.operations_ok),
        (&mut sums.operations_refused, of_run.operations_refused),
        (&mut sums.operations_unknown, of_run.operations_unknown),
    ] {
        *sum += more;
    }
    sums.recovery_ms_max = sums.recovery_ms_max.max(of_run.recovery_ms_max);
}

fn tell(number: u64, one: &Running, what: &str) {
    if number > TOLD_MAX as u64 {
        return;
    }
    println!("{what}: seed {}; again: make sim SEED={}; kept: {}", one.seed, one.seed, one.dir.display());
    for line in head(&one.dir.join("output.txt"), 6) {
        println!("    {line}");
    }
}

fn head(path: &Path, lines: usize) -> Vec<String> {
    let Ok(file) = fs::File::open(path) else { return Vec::new() };
    let cut = |line: String| line.chars().take(240).collect();
    std::io::BufReader::new(file).lines().map_while(Result::ok).take(lines).map(cut).collect()
}

fn finish(options: &Options, sums: &Sums) -> anyhow::Result<bool> {
    if let Some(path) = &options.results {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        writeln!(file, "{}", serde_json::to_string(sums)?)?;
    }
    println!(
        "{} seeds passed, {} failed, {} unknown: {:.2} virtual hours in {:.2} CPU hours; {} timers acknowledged, \
         {} fired, {} lost, {} early, {} ghost, {} duplicates; {} faults, {} power cuts",
        sums.passed,
        sums.failed,
        sums.unknown,
        sums.virtual_hours,
        sums.cpu_hours,
        sums.acked,
        sums.fired,
        sums.lost,
        sums.early,
        sums.ghost,
        sums.duplicates,
        sums.faults_effective,
        sums.power_cuts
    );
    Ok(sums.failed == 0 && sums.unknown == 0)
}
