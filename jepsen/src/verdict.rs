//! The verdict of a run: what the checkers say of its history, and what only the harness has seen; in words, in
//! figures, and as a line of `results.jsonl`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use checkers::index::History;
use checkers::invariants::i12_recovery::{Recovery, recoveries};
use checkers::report::Report;
use checkers::verdict::{Invariant, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::recovery;
use crate::run::history_path;
use crate::stage::Stage;

/// Findings of one kind that are shown.
const LINES_MAX: usize = 5;

/// What the history does not tell: kept beside it, so that a run can be judged again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extra {
    /// The run was ended from outside.
    pub interrupted: bool,
    /// Nodes that ended though no fault had them.
    pub surprises: Vec<String>,
    /// Panics in the nodes' logs.
    pub panics: Vec<String>,
    /// Requests that failed by a fault of the server.
    pub internal: Vec<String>,
    /// Leaders that said that they had forgotten a timer.
    #[serde(default)]
    pub passed: Vec<String>,
    /// What `timerd check` said of the data of nodes whose files were not damaged on purpose.
    #[serde(default)]
    pub unsound: Vec<String>,
    /// What lists at rest said otherwise than other lists or reads.
    #[serde(default)]
    pub lists: Vec<String>,
    /// How many timers were listed at rest.
    #[serde(default)]
    pub listed: usize,
    /// Requests to receivers that are no callbacks.
    pub odd: u64,
    /// Redirects that were followed.
    pub followed: u64,
    /// Nodes whose files were damaged and that stayed away.
    pub damaged: Vec<String>,
    /// Snapshots that were installed.
    pub snapshots: u64,
    /// Sessions that were opened.
    pub sessions: u64,
}

/// A judged run.
#[derive(Debug)]
pub struct Judged {
    pub history: History,
    pub report: Report,
    pub extra: Extra,
    pub verdict: Verdict,
    /// What was asked, in order, and whether it holds.
    pub checks: Vec<(String, bool)>,
}

impl Extra {
    /// What the stage has seen.
    pub fn of(stage: &Stage, interrupted: bool) -> Self {
        let remarks = stage.logs.remarks();
        let damage = stage.nodes.iter().filter_map(|node| Some((node.number, node.damage()?)));
        Self {
            interrupted,
            surprises: stage.surprises(),
            panics: remarks.panics,
            internal: remarks.internal,
            passed: remarks.passed,
            unsound: Vec::new(),
            lists: Vec::new(),
            listed: 0,
            odd: stage.receivers.odd.load(Ordering::Relaxed),
            followed: stage.receivers.followed.load(Ordering::Relaxed),
            damaged: damage.map(|(number, said)| format!("n{number}: {said}")).collect(),
            snapshots: remarks.snapshots,
            sessions: remarks.sessions,
        }
    }

    fn path(out: &Path) -> std::path::PathBuf {
        out.join("extra.json")
    }

    /// Keeps it in the run's directory.
    pub fn write(&self, out: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(Self::path(out), serde_json::to_vec_pretty(self)?)?)
    }

    /// The checks that only the harness can make.
    fn checks(&self) -> [(String, bool); 7] {
        [
            ("no node ended by itself".to_owned(), self.surprises.is_empty()),
            ("no node panicked".to_owned(), self.panics.is_empty()),
            ("no request failed by a fault of the server".to_owned(), self.internal.is_empty()),
            ("no leader had forgotten a timer".to_owned(), self.passed.is_empty()),
            ("the data of every node is whole".to_owned(), self.unsound.is_empty()),
            ("lists at rest say what reads say (I11)".to_owned(), self.lists.is_empty()),
            (
                "receivers got callbacks only, and no redirect was followed".to_owned(),
                self.odd + self.followed == 0,
            ),
        ]
    }
}

impl Judged {
    /// Judges the run in `out`.
    pub fn read(out: &Path) -> anyhow::Result<Self> {
        let path = history_path(out);
        let file = File::open(&path).with_context(|| format!("can't read {}", path.display()))?;
        let history = checkers::read(BufReader::new(file))?;
        let extra = std::fs::read(Extra::path(out)).context("extra.json of the run can't be read")?;
        let extra: Extra = serde_json::from_slice(&extra)?;
        Ok(Self::of(history, extra))
    }

    fn of(history: History, extra: Extra) -> Self {
        let report = checkers::check(&history);
        let mut checks = Vec::new();
        for invariant in Invariant::ALL {
            let broken = report.violations.iter().any(|violation| violation.invariant == invariant);
            checks.push((format!("{invariant:?}"), !broken));
        }
        checks.extend(extra.checks());
        let failed = checks.iter().any(|(_, holds)| !holds);
        let verdict = match report.verdict() {
            _ if failed => Verdict::Violation,
            Verdict::Pass if extra.interrupted => Verdict::Unknown,
            verdict @ (Verdict::Pass | Verdict::Violation | Verdict::Unknown) => verdict,
        };
        Self { history, report, extra, verdict, checks }
    }

    /// Everything for people.
    pub fn print(&self) {
        let s = &self.report.summary;
        println!();
        println!("seed {}  nodes {}  shards {}", s.seed, s.nodes, s.shards);
        println!(
            "operations: {} ok, {} refused, {} unknown",
            s.operations_ok, s.operations_refused, s.operations_unknown
        );
        println!(
            "timers: {} acknowledged, {} fired, {} lost, {} late, {} early, {} ghost",
            s.acked, s.fired, s.lost, s.late, s.early, s.ghost
        );
        println!(
            "duplicates: {} ({} with a higher token, {} with a lower one; {} of attempts that had been answered), zombies {}",
            s.duplicates, s.duplicates_unfenced, s.duplicates_fenced, s.duplicates_answered, s.zombies
        );
        let late = s.lateness_ms;
        println!("lateness: p50 {} ms, p99 {} ms, max {} ms", late.p50, late.p99, late.max);
        println!("recovery of a shard: at most {} ms{}", s.recovery_ms_max, self.slowest_recovery());
        let (found, alone) = recovery::of(&self.history);
        print!("{}", recovery::text(&found, &alone));
        println!("inputs at the edge of what is allowed: {}", self.edges());
        println!("sessions {}, snapshots installed {}", self.extra.sessions, self.extra.snapshots);
        println!("timers listed at rest: {}", self.extra.listed);
        let (asked, effective) = self.faults();
        println!(
            "faults: {} of {} took effect, {} s under faults",
            s.faults_effective, asked, s.fault_seconds
        );
        for (kind, (of_kind, took)) in effective {
            println!("  {kind:<18} {took} of {of_kind}");
        }
        let lists = [
            ("SURPRISE", &self.extra.surprises),
            ("PANIC", &self.extra.panics),
            ("INTERNAL", &self.extra.internal),
            ("FORGOTTEN", &self.extra.passed),
            ("UNSOUND", &self.extra.unsound),
            ("LISTS", &self.extra.lists),
            ("DAMAGED", &self.extra.damaged),
        ];
        for (word, list) in lists {
            list.iter().take(LINES_MAX).for_each(|line| println!("{word} {line}"));
        }
        self.report.lines(LINES_MAX).iter().for_each(|line| println!("{line}"));
        println!("verdict: {}", word(self.verdict));
        let passed = self.checks.iter().filter(|(_, holds)| *holds).count();
        for (what, _) in self.checks.iter().filter(|(_, holds)| !holds) {
            println!("failed: {what}");
        }
        println!("{passed} passed, {} failed", self.checks.len() - passed);
    }

    /// How many were accepted, refused, and left without a definite answer.
    fn edges(&self) -> String {
        let number = |statuses: std::ops::Range<u16>| {
            self.history.boundaries.iter().filter(|(_, b)| statuses.contains(&b.status)).count()
        };
        let (accepted, refused) = (number(200..300), number(400..500));
        let open = self.history.boundaries.len() - accepted - refused;
        format!("{accepted} accepted, {refused} refused, {open} unknown")
    }

    /// Where the longest recovery is found.
    fn slowest_recovery(&self) -> String {
        let took = |recovery: &Recovery| recovery.written_ns.unwrap_or(0).saturating_sub(recovery.from_ns);
        let slowest = recoveries(&self.history).into_iter().max_by_key(took);
        slowest.map_or_else(String::new, |recovery| {
            format!(" (shard {}, from {:.1} s)", recovery.shard, recovery.from_ns as f64 / 1e9)
        })
    }

    /// Faults asked for, and by kind how many of how many took effect.
    fn faults(&self) -> (usize, BTreeMap<String, (usize, usize)>) {
        let mut by_kind: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for fault in &self.history.timeline.faults {
            let (asked, took) = by_kind.entry(fault.kind.clone()).or_default();
            *asked += 1;
            *took += usize::from(fault.effective);
        }
        (self.history.timeline.faults.len(), by_kind)
    }

    /// The line of `results.jsonl`.
    fn line(&self, profile: &str, commit: &str) -> anyhow::Result<Value> {
        let mut line = json!({
            "commit": commit,
            "date": today()?,
            "profile": profile,
        });
        let figures = serde_json::to_value(&self.report.summary)?;
        for (name, value) in figures.as_object().into_iter().flatten() {
            line[name] = value.clone();
        }
        let (found, alone) = recovery::of(&self.history);
        for (name, recoveries) in recovery::NAMES.into_iter().zip([found, alone]) {
            line[name] = serde_json::to_value(recoveries)?;
        }
        line["boundaries"] = self.history.boundaries.len().into();
        line["verdict"] = word(self.verdict).to_lowercase().into();
        Ok(line)
    }

    /// Appends the line to a file.
    pub fn record(&self, to: &Path, profile: &str, commit: &str) -> anyhow::Result<()> {
        let line = self.line(profile, commit)?;
        let mut file = File::options().create(true).append(true).open(to)?;
        Ok(writeln!(file, "{line}")?)
    }
}

/// The verdict as people read it.
pub const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Violation => "VIOLATION",
        Verdict::Unknown => "UNKNOWN",
    }
}

fn today() -> anyhow::Result<String> {
    let now = i128::from(crate::clock::wall_ms()) * 1_000_000;
    Ok(OffsetDateTime::from_unix_timestamp_nanos(now)?.format(&Rfc3339)?)
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
pub mod tests;
