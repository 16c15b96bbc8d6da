//! `sim`: runs one seed, or many.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sim::run::{Options, run};

/// Deterministic simulation of durable-timer.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one seed in this process.
    One {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// A directory for identities, history and trace; made, and emptied first.
        #[arg(long)]
        work: PathBuf,
        /// Keep the trace there.
        #[arg(long)]
        trace: bool,
        /// What of the product's events the trace has, as RUST_LOG.
        #[arg(long, default_value = "sim=info,turmoil::sim=info,node=info,raft_store=info")]
        filter: String,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::One { seed, work, trace, filter } => one(seed, work, trace, filter),
    }
}

fn one(seed: u64, work: PathBuf, trace: bool, filter: String) -> ExitCode {
    let _ = std::fs::remove_dir_all(&work);
    if let Err(e) = std::fs::create_dir_all(&work).and_then(|()| std::env::set_current_dir(&work)) {
        eprintln!("{}: {e}", work.display());
        return ExitCode::FAILURE;
    }
    sim::libc::seed(seed);
    // A fresh thread: what it draws its keys from is what was just set.
    let thread = std::thread::Builder::new().name(format!("seed-{seed}")).stack_size(64 << 20).spawn(move || {
        let trace = trace.then(|| PathBuf::from("trace.log"));
        run(&Options { seed, work: PathBuf::from("."), trace, filter })
    });
    let ended = match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(ended))) => ended,
        Ok(Ok(Err(e))) => {
            eprintln!("seed {seed}: {e}");
            return ExitCode::FAILURE;
        }
        Ok(Err(_)) | Err(_) => return ExitCode::FAILURE,
    };
    for failure in &ended.failures {
        println!("FAILURE {failure}");
    }
    if let Some(report) = &ended.report {
        for line in report.lines(20) {
            println!("{line}");
        }
        println!("{}", serde_json::to_string(&report.summary).unwrap_or_default());
    }
    println!(
        "seed {seed}: {:?}, {:.1} virtual s in {:.2} CPU s, trace {} lines {}",
        ended.verdict(),
        ended.virtual_time.as_secs_f64(),
        ended.cpu_ns as f64 / 1e9,
        ended.trace.0,
        ended.trace.1
    );
    ExitCode::from(ended.verdict().exit_code())
}
