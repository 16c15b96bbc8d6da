//! `sim`: runs one seed, or many.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use sim::many::many;
use sim::run::{Ended, Options, Outcome, run};

/// Deterministic simulation of durable-timer.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one seed in this process.
    One(One),
    /// Run many seeds, each in a process of its own.
    Many(Many),
}

#[derive(Debug, Args)]
struct One {
    /// Chooses everything.
    #[arg(long)]
    seed: u64,
    /// A directory for identities, history and trace. Emptied first, unless `--keep` says that it is new.
    #[arg(long)]
    work: PathBuf,
    /// Do not empty the directory.
    #[arg(long)]
    keep: bool,
    /// Keep the trace as `trace.log`.
    #[arg(long)]
    trace: bool,
    /// What of the product's and its libraries' events belongs to the trace, as RUST_LOG.
    #[arg(long, default_value = "sim=info,turmoil::sim=info,node=info,raft_store=info")]
    filter: String,
    /// Put this known bug back (`timer_core::mutant`).
    #[cfg(feature = "mutants")]
    #[arg(long)]
    mutant: Option<String>,
}

#[derive(Debug, Args)]
struct Many {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Start no more seeds after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Processes at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Where each seed gets a directory, which is kept if it fails.
    #[arg(long)]
    work: PathBuf,
    /// Append the sums there.
    #[arg(long)]
    results: Option<PathBuf>,
    /// The commit that the sums belong to.
    #[arg(long, default_value = "unknown")]
    commit: String,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::One(one) => run_one(one),
        Command::Many(Many { from, seeds, minutes, jobs, work, results, commit }) => {
            let time_max = minutes.map(|minutes| Duration::from_secs(minutes * 60));
            match many(&sim::many::Options { from, seeds, time_max, jobs, work, results, commit }) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(e) => fail(&e.to_string()),
            }
        }
    }
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("sim: {reason}");
    ExitCode::FAILURE
}

fn run_one(one: One) -> ExitCode {
    if let Err(e) = enter(&one.work, one.keep) {
        return fail(&format!("{}: {e}", one.work.display()));
    }
    #[cfg(feature = "mutants")]
    if let Some(name) = &one.mutant {
        match timer_core::mutant::Mutant::of_name(name) {
            Some(mutant) => mutant.put_back(),
            None => return fail(&format!("there is no mutant {name}")),
        }
    }
    let seed = one.seed;
    sim::libc::seed(seed);
    // A new thread: what it draws its hash keys and its random numbers from is what was just set.
    let thread =
        std::thread::Builder::new().name(format!("seed-{seed}")).stack_size(64 << 20).spawn(move || {
            let trace = one.trace.then(|| PathBuf::from("trace.log"));
            run(&Options { seed, work: PathBuf::from("."), trace, filter: one.filter })
        });
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(ended))) => report(seed, &ended),
        Ok(Ok(Err(e))) => fail(&format!("seed {seed}: {e}")),
        Ok(Err(_)) => fail(&format!("seed {seed}: the harness panicked")),
        Err(e) => fail(&e.to_string()),
    }
}

/// Makes the directory the present one, so that no path depends on where it is.
fn enter(work: &Path, keep: bool) -> std::io::Result<()> {
    if !keep {
        let _ = fs::remove_dir_all(work);
    }
    fs::create_dir_all(work)?;
    std::env::set_current_dir(work)
}

fn report(seed: u64, ended: &Ended) -> ExitCode {
    for failure in &ended.failures {
        println!("FAILURE {failure}");
    }
    if let Some(report) = &ended.report {
        for line in report.lines(20) {
            println!("{line}");
        }
    }
    let outcome = Outcome::from(ended);
    let text = serde_json::to_string(&outcome).unwrap_or_default();
    if let Err(e) = fs::write("outcome.json", &text) {
        return fail(&format!("outcome.json: {e}"));
    }
    println!("{text}");
    println!(
        "seed {seed}: {:?}, {:.1} virtual s in {:.2} CPU s, trace of {} lines {}",
        outcome.verdict, outcome.virtual_s, outcome.cpu_s, ended.trace.0, outcome.trace
    );
    ExitCode::from(outcome.verdict.exit_code())
}
