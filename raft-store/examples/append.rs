//! How fast the log acknowledges on this disk: `cargo run --release -p raft-store --example append -- DIR
//! [shards] [entries a shard] [bytes an entry] [appends in flight a shard]`.
//!
//! It measures the two-stage pipeline (log, then high-water mark) alone, without Raft and without applying.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use raft_store::type_config::{Entry, Payload, log_id};
use raft_store::{EntryData, StoreOptions, Stores, TypeConfig};
use timer_core::ids::ShardId;

/// What is measured.
#[derive(Clone, Copy)]
struct Plan {
    entries: u64,
    bytes: usize,
    in_flight: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().ok_or("usage: append DIR [shards] [entries] [bytes] [in flight]")?);
    let mut number = |default: u64| args.next().map_or(Ok(default), |arg| arg.parse());
    let shards = u16::try_from(number(8)?)?;
    let entries = number(20_000)?;
    let bytes = usize::try_from(number(1000)?)?;
    let plan = Plan { entries, bytes, in_flight: usize::try_from(number(4)?)? };
    let runtime = tokio::runtime::Runtime::new()?;
    let stores = Stores::open(&dir, shards, &StoreOptions::new("append-example"))?;
    let begun = Instant::now();
    let mut latencies = runtime.block_on(async {
        let mut tasks = Vec::new();
        for shard in 0..shards {
            let log = stores.shard(ShardId(shard), None)?.log;
            tasks.push(tokio::spawn(append(log, plan)));
        }
        let mut all = Vec::new();
        for task in tasks {
            let latencies = task.await?.map_err(|error| error.to_string())?;
            all.extend(latencies);
        }
        Ok::<_, Box<dyn Error>>(all)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    latencies.sort();
    let at = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or_default();
    println!(
        "{shards} shards, {bytes} bytes: {:.0} entries/s, p50 {:?}, p99 {:?}, max {:?}",
        latencies.len() as f64 / seconds,
        at(0.5),
        at(0.99),
        latencies.last().copied().unwrap_or_default(),
    );
    stores.close()?;
    Ok(())
}

/// Appends entry by entry with some in flight, and gives how long each took to be acknowledged.
async fn append(
    mut log: raft_store::log::ShardLog,
    plan: Plan,
) -> Result<Vec<Duration>, Box<dyn Error + Send + Sync>> {
    let data = EntryData(vec![7; plan.bytes].into());
    let last = log.get_log_state().await?.last_log_id;
    let first = last.map_or(0, |id| id.index() + 1);
    let mut waiting = std::collections::VecDeque::new();
    let mut latencies = Vec::new();
    for index in first..first + plan.entries {
        if waiting.len() >= plan.in_flight
            && let Some((begun, outcome)) = waiting.pop_front()
        {
            latencies.push(settled(begun, outcome).await?);
        }
        let entry = Entry { log_id: log_id(1, 1, index), payload: Payload::Normal(data.clone()) };
        let (done, outcome) = TypeConfig::oneshot();
        let begun = Instant::now();
        log.append([entry], IOFlushed::signal(done)).await?;
        waiting.push_back((begun, outcome));
    }
    for (begun, outcome) in waiting {
        latencies.push(settled(begun, outcome).await?);
    }
    Ok(latencies)
}

async fn settled(
    begun: Instant,
    outcome: impl Future<Output = Result<std::io::Result<()>, impl Error + Send + Sync + 'static>>,
) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    outcome.await??;
    Ok(begun.elapsed())
}
