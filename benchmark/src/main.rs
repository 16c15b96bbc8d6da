//! `timer-bench`: measures creates, callbacks and lateness, of running servers or of nodes that it starts.
//! One thread, loopback only, bounded in count and time: it shares its cores with what it measures.
//!
//! Deliberately absent: verdicts. It prints figures; tests judge.

mod clock;
mod connection;
mod cpu;
mod firing;
mod latency;
mod load;
mod machine;
mod nodes;
mod receiver;
mod report;
mod request;
mod routes;
mod suite;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use tokio::task::LocalSet;

use crate::machine::Machine;
use crate::report::Measurement;
use crate::suite::{Creates, Size, Target};

#[derive(Parser)]
#[command(version, about = "Measures a durable-timer server on this machine")]
struct Cli {
    #[command(subcommand)]
    command: What,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Output {
    /// Appends one JSON object a measurement to this file.
    #[arg(long, global = true)]
    out: Option<PathBuf>,
    /// Named in each of them.
    #[arg(long, global = true, default_value = "")]
    commit: String,
    /// Where data goes while it is measured: on the disk whose speed matters.
    #[arg(long, global = true, default_value = ".")]
    work_dir: PathBuf,
}

#[derive(Subcommand)]
enum What {
    /// Starts nodes, measures everything, ends them.
    Run {
        /// The server's binary.
        #[arg(long)]
        timerd: PathBuf,
        /// How many nodes; several numbers are measured in turn.
        #[arg(long, value_delimiter = ',', default_value = "1,3", value_parser = clap::value_parser!(u8).range(1..=9))]
        nodes: Vec<u8>,
        /// Shards of the cluster; with several numbers everything is measured with the first, and only creates with the
        /// others.
        #[arg(long, value_delimiter = ',', default_value = "4,1")]
        shards: Vec<u16>,
        /// Half a minute instead of minutes: shows that it works, not how fast.
        #[arg(long)]
        quick: bool,
    },
    /// Creates timers that are due in a year.
    Creates {
        #[command(flatten)]
        target: Urls,
        /// Connections, each with one request under way.
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
        clients: u16,
        /// How long, after a warm-up of two seconds.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
        /// Sends each timer straight to its leader instead of to any node.
        #[arg(long)]
        straight: bool,
    },
    /// Fires timers that are all due in the same instant.
    Callbacks {
        #[command(flatten)]
        target: Urls,
        /// Timers.
        #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        count: u32,
        /// How long there is to create them.
        #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=600))]
        lead_seconds: u64,
    },
    /// Fires timers one after the other on an idle server.
    Lateness {
        #[command(flatten)]
        target: Urls,
        /// Timers.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        count: u32,
        /// From the first due time to the last.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
        spread_seconds: u64,
    },
    /// Describes the machine and measures its disk.
    Machine,
}

#[derive(Args)]
struct Urls {
    /// The servers' REST APIs.
    #[arg(long = "url", default_value = "http://127.0.0.1:8080", value_parser = loopback)]
    urls: Vec<SocketAddr>,
}

impl From<Urls> for Target {
    fn from(Urls { urls }: Urls) -> Self {
        Self { addresses: urls, process_ids: Vec::new() }
    }
}

/// Reads `http://127.0.0.1:8080`. Load goes to this machine only.
fn loopback(url: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = url
        .strip_prefix("http://")
        .ok_or("must begin with http://")?
        .trim_end_matches('/')
        .replace("localhost", "127.0.0.1")
        .parse()
        .map_err(|_| "must be http://<IP address>:<port>")?;
    if address.ip().is_loopback() { Ok(address) } else { Err("must be a loopback address".to_owned()) }
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    std::fs::create_dir_all(&cli.output.work_dir)
        .and_then(|()| cli.output.work_dir.canonicalize())
        .with_context(|| format!("--work-dir {}", cli.output.work_dir.display()))?;
    let machine = Machine::describe(&cli.output.work_dir).context("the work directory cannot be written")?;
    print!("{}", report::describe(&machine));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rows = LocalSet::new().block_on(&runtime, perform(cli.command, &cli.output))?;
    print!("\n{}", report::tables(&rows));
    if let Some(path) = &cli.output.out {
        report::append(path, &cli.output.commit, &machine, &rows)
            .with_context(|| format!("--out {}", path.display()))?;
    }
    Ok(())
}

async fn perform(what: What, output: &Output) -> anyhow::Result<Vec<Measurement>> {
    Ok(match what {
        What::Run { timerd, nodes, shards, quick } => {
            if !timerd.is_file() {
                bail!("--timerd {}: no such file", timerd.display());
            }
            let size = if quick { Size::quick() } else { Size::full() };
            let mut rows = Vec::new();
            let sizes = std::iter::once(size.clone()).chain(std::iter::repeat(size.of_creates()));
            for count in nodes {
                for (&shards, size) in shards.iter().zip(sizes.clone()) {
                    let say = |line: &str| eprintln!("  {line}");
                    rows.extend(
                        suite::run(&timerd, count.into(), shards, &size, &output.work_dir, &say).await?,
                    );
                }
            }
            // One table a measure.
            rows.sort_by_key(|row| row.measure);
            rows
        }
        What::Creates { target, clients, seconds, straight } => {
            let creates = Creates {
                clients: clients.into(),
                duration: Duration::from_secs(seconds),
                warm_up: Duration::from_secs(2),
                straight,
            };
            vec![suite::creates(&target.into(), creates).await?]
        }
        What::Callbacks { target, count, lead_seconds } => {
            vec![suite::callbacks(&target.into(), count as usize, Duration::from_secs(lead_seconds)).await?]
        }
        What::Lateness { target, count, spread_seconds } => {
            vec![suite::lateness(&target.into(), count as usize, Duration::from_secs(spread_seconds)).await?]
        }
        What::Machine => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn load_is_refused_beyond_this_machine() {
        assert_eq!(loopback("http://localhost:8080/").unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert!(loopback("http://[::1]:1").is_ok());
        for url in ["http://10.0.0.1:80", "http://8.8.8.8:80", "https://127.0.0.1:443", "127.0.0.1:80"] {
            assert!(loopback(url).is_err(), "{url}");
        }
    }
}
