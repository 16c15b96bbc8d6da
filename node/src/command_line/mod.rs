//! Arguments and commands of `timerd`.

pub mod check;
pub mod dev;
pub mod run;
pub mod serve;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A durable, replicated timer service: call this URL with this payload at that time.
#[derive(Debug, Parser)]
#[command(name = "timerd", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `timerd` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a single node without configuration, for development and tests.
    Dev(DevArguments),
    /// Run a member of a cluster.
    Serve(ServeArguments),
    /// Check the data directory of a node that does not run: whether it is whole, and a hash of each shard's state,
    /// which is the same on all nodes that have applied as much.
    Check(CheckArguments),
    /// Check or show settings.
    Config {
        /// Which.
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// Arguments of `timerd dev`.
#[derive(Debug, Args)]
pub struct DevArguments {
    /// Where the REST API listens.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where timers are kept. Without it everything is kept in memory and gone with the process.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Which clock timers go by: the system's, or one that stands still until `POST /api/v1/dev/clock`.
    #[arg(long, value_enum, default_value_t = ClockKind::System)]
    pub clock: ClockKind,
}

/// Which clock timers go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClockKind {
    /// The machine's.
    System,
    /// One that stands still until it is told to go on.
    Manual,
}

/// Arguments of `timerd serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// A file of settings; may be given several times, later ones win. `TIMERD_*` variables win over files.
    #[arg(long, value_name = "FILE", required = true)]
    pub config: Vec<PathBuf>,
}

/// Arguments of `timerd check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// For people or for programs.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A table.
    Text,
    /// One JSON object.
    Json,
}

/// What can be done with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say every fault of the settings, or OK.
    Check(ConfigFiles),
    /// Show the settings in effect, each with where it comes from.
    Show(ConfigFiles),
}

/// Files of settings.
#[derive(Debug, Args)]
pub struct ConfigFiles {
    /// A file of settings; may be given several times, later ones win. `TIMERD_*` variables win over files.
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
}

/// The `TIMERD_*` variables, and whatever else there is.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Prints what a `config` command has to say: to stdout if it is good, else to stderr.
#[must_use]
pub fn print(output: &node::config::Output) -> ExitCode {
    // A closed pipe is no reason to panic.
    let _ = if output.code == 0 {
        std::io::stdout().write_all(output.text.as_bytes())
    } else {
        std::io::stderr().write_all(output.text.as_bytes())
    };
    ExitCode::from(output.code)
}

/// Says on stderr why the process ends.
#[must_use]
pub fn fail(reason: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "timerd: {reason}");
    ExitCode::FAILURE
}
