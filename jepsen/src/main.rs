//! Fault tests of real processes: a cluster of `timerd` in network namespaces of its own, clients and receivers beside
//! it, faults by a seeded plan, and a verdict by the checkers. `jepsen/README.md` says how to run it and how to read
//! what it leaves. Deliberately absent: any route out of the machine, and any fault of something it did not start.

mod api;
mod book;
mod boundaries;
mod bounds;
mod clock;
mod detour;
mod disk;
mod faults;
mod final_lists;
mod final_reads;
mod http;
mod kind;
mod lies;
mod logs;
mod names;
mod network;
mod node;
mod outstanding;
mod plan;
mod probe;
mod process;
mod random;
mod receiver;
mod recorder;
mod recovery;
mod replicas;
mod run;
mod script;
mod shell;
mod stage;
mod sums;
mod timeline;
mod verdict;
mod wire;
mod workload;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use checkers::verdict::Verdict;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::kind::Kind;
use crate::run::Setup;
use crate::verdict::Judged;

/// Breaks a cluster of real timerd processes in every way this machine can, and judges what the clients and the
/// receivers saw. Needs root. Exit code: 0 pass, 1 a promise was broken, 2 unknown (something was not put to the test).
#[derive(Debug, Parser)]
#[command(name = "jepsen", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a cluster, break it, judge it
    Run(RunArgs),
    /// Judge a recorded run again, and draw its timeline anew
    Check {
        /// The run's directory, as `run` printed it
        dir: PathBuf,
        /// Append the result to this file
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
        /// The commit that was tested, for the recorded result
        #[arg(long, default_value = "unknown")]
        commit: String,
    },
    /// Print the plan of faults of a seed, and run nothing
    Plan(RunArgs),
    /// Try every facility that the faults need on this machine
    Probe,
    /// List the kinds of fault
    Kinds,
    /// Add up the runs of a results file
    Sums {
        /// The file that `--record` appends to
        file: PathBuf,
    },
}

/// Which faults a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// Six kinds, of processes, links and receivers
    Smoke,
    /// Power cuts, of one node and of all
    Power,
    /// Ten kinds that rotate with the seed
    Mix,
    /// Every kind
    Soak,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Which faults
    #[arg(long, value_enum, default_value = "smoke")]
    profile: Profile,
    /// Nodes of the cluster
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=7))]
    nodes: u32,
    /// Shards of the cluster
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    shards: u16,
    /// What the plan of faults, the clients and the receivers derive from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds of calm and faults together; healing, the last timers and the last reads come on top
    #[arg(long, default_value_t = 60)]
    time: u64,
    /// Operations a second that the clients aim at
    #[arg(long, default_value_t = 120)]
    rate: u64,
    /// These kinds of fault instead of the profile's, separated by commas ("none" for none)
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
    /// Ask for these kinds and do not make them: the verdict must be UNKNOWN
    #[arg(long, value_delimiter = ',')]
    disable: Vec<String>,
    /// The server to test
    #[arg(long, env = "JEPSEN_TIMERD", default_value = "timerd")]
    timerd: PathBuf,
    /// The same server built with `--features failpoints`, for the kinds `crashInside` and `crashInSnapshot`; without it no
    /// profile has them
    #[arg(long, env = "JEPSEN_FAILPOINTS")]
    failpoints: Option<PathBuf>,
    /// Where runs leave their directories [default: ~/.cache/durable-timer/jepsen]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Append the result to this file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The commit that is tested, for the recorded result
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// Keep the nodes' data also if nothing was wrong
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Run(args) => run(&args),
        Command::Check { dir, record, commit } => check(&dir, record.as_deref(), &commit),
        Command::Plan(args) => show_plan(&args),
        Command::Probe => probe::probe(&Kind::ALL).map(|()| {
            println!("every facility works here");
            Verdict::Pass
        }),
        Command::Kinds => {
            Kind::ALL.into_iter().for_each(|kind| println!("{}", kind.name()));
            Ok(Verdict::Pass)
        }
        Command::Sums { file } => sums(&file),
    };
    match result {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(e) => {
            eprintln!("jepsen: {e:#}");
            ExitCode::from(Verdict::Unknown.exit_code())
        }
    }
}

fn run(args: &RunArgs) -> anyhow::Result<Verdict> {
    probe::sweep();
    let mut setup = setup(args)?;
    let plan = setup.plan()?;
    probe::probe(&setup.kinds)?;
    setup.timerd = which(&setup.timerd)?;
    setup.out = make_directory(args)?;
    println!(
        "seed {}  profile {}  nodes {}  shards {}",
        setup.seed, setup.profile, setup.nodes, setup.shards
    );
    println!("the plan, from the begin of the faults at {} s:", setup.calm_ms() / 1000);
    plan.lines().iter().for_each(|line| println!("  {line}"));
    let extra = run::run(&setup)?;
    extra.write(&setup.out)?;
    let judged = judge(&setup.out)?;
    if judged.verdict == Verdict::Pass && !args.keep {
        remove_data(&setup);
    }
    if let Some(path) = &args.record {
        judged.record(path, &setup.profile, &args.commit)?;
    }
    Ok(judged.verdict)
}

fn check(dir: &std::path::Path, record: Option<&std::path::Path>, commit: &str) -> anyhow::Result<Verdict> {
    let judged = judge(dir)?;
    if let Some(path) = record {
        let profile = judged.history.run.options.get("profile").cloned().unwrap_or_default();
        judged.record(path, &profile, commit)?;
    }
    Ok(judged.verdict)
}

fn judge(dir: &std::path::Path) -> anyhow::Result<Judged> {
    let judged = Judged::read(dir)?;
    let page = dir.join("timeline.html");
    std::fs::write(&page, timeline::page(&judged)).context("the timeline can't be written")?;
    println!("timeline: {}", page.display());
    judged.print();
    Ok(judged)
}

fn show_plan(args: &RunArgs) -> anyhow::Result<Verdict> {
    setup(args)?.plan()?.lines().iter().for_each(|line| println!("{line}"));
    Ok(Verdict::Pass)
}

fn sums(file: &std::path::Path) -> anyhow::Result<Verdict> {
    let text = std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    print!("{}", sums::of(&text)?);
    Ok(Verdict::Pass)
}

fn setup(args: &RunArgs) -> anyhow::Result<Setup> {
    let find = |name: &String| {
        Kind::find(name).with_context(|| format!("there is no fault {name:?}: see `jepsen kinds`"))
    };
    let kinds = match args.kinds.as_slice() {
        [] => {
            let mut kinds = kind::of_profile(args.profile, args.seed);
            kinds.retain(|kind| !kind.is_of_failpoints() || args.failpoints.is_some());
            kinds
        }
        [none] if none == "none" => Vec::new(),
        named => named.iter().map(find).collect::<Result<_, _>>()?,
    };
    let disabled = args.disable.iter().map(find).collect::<Result<BTreeSet<_>, _>>()?;
    let profile = args.profile.to_possible_value().map(|value| value.get_name().to_owned());
    let profile = if args.kinds.is_empty() { profile.unwrap_or_default() } else { "own".into() };
    Ok(Setup {
        seed: args.seed,
        profile,
        nodes: args.nodes,
        shards: args.shards,
        time_s: args.time,
        rate: args.rate,
        kinds,
        disabled,
        timerd: args.timerd.clone(),
        failpoints: args.failpoints.as_deref().map(which).transpose()?,
        out: PathBuf::new(),
    })
}

/// The binary by its whole path, since the nodes are started elsewhere.
fn which(timerd: &std::path::Path) -> anyhow::Result<PathBuf> {
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(timerd)).find(|candidate| candidate.is_file())
    };
    let found = if timerd.is_file() { Some(timerd.to_path_buf()) } else { in_path() };
    let found = found.with_context(|| format!("there is no {}: give --timerd", timerd.display()))?;
    Ok(found.canonicalize()?)
}

fn make_directory(args: &RunArgs) -> anyhow::Result<PathBuf> {
    let base = match (&args.out, std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
        (Some(out), _, _) => out.clone(),
        (None, Some(cache), _) => PathBuf::from(cache).join("durable-timer/jepsen"),
        (None, None, Some(home)) => PathBuf::from(home).join(".cache/durable-timer/jepsen"),
        (None, None, None) => PathBuf::from("/var/tmp/durable-timer-jepsen"),
    };
    let profile = format!("{:?}", args.profile).to_lowercase();
    let dir = base.join(format!("{profile}-{}-{}", args.seed, std::process::id()));
    std::fs::create_dir_all(&dir).with_context(|| format!("can't make {}", dir.display()))?;
    println!("run: {}", dir.display());
    Ok(dir.canonicalize()?)
}

fn remove_data(setup: &Setup) {
    for number in 1..=setup.nodes {
        let data = setup.out.join(format!("data-n{number}"));
        if data.exists()
            && let Err(e) = std::fs::remove_dir_all(&data)
        {
            println!("{} stays: {e}", data.display());
        }
    }
}
