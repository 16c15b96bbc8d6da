//! `timerd check`: is what lies in a data directory whole, and what state is it? For a node that does not run.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use node::identity::{ClusterIdentity, Identity, IdentityFile};
use raft_store::{StoreOptions, Stores};
use serde_json::{Value, json};
use timer_core::ids::ShardId;

use super::{CheckArguments, OutputFormat};

/// What was found in a shard.
struct Shard {
    number: u16,
    log: String,
    applied: Option<u64>,
    state_hash: String,
    /// Where indexes and timers disagree.
    fault: Option<String>,
}

/// Reads everything once and says what it found. Exit code 1: something is damaged, or the directory is in use.
#[must_use]
pub fn run(arguments: &CheckArguments) -> ExitCode {
    let dir = &arguments.data_dir;
    let found = IdentityFile::open(dir).map_err(|e| e.to_string()).and_then(|file| {
        let identity = file.identity().clone();
        let cluster = identity.cluster.clone();
        let cluster =
            cluster.ok_or_else(|| format!("{}: the node is no member of a cluster yet", dir.display()))?;
        let shards = shards(dir, &cluster)?;
        Ok((identity, cluster, shards))
    });
    let (identity, cluster, shards) = match found {
        Ok(found) => found,
        Err(reason) => return super::fail(&reason),
    };
    let text = match arguments.output {
        OutputFormat::Text => text(dir, &identity, &cluster, &shards),
        OutputFormat::Json => format!("{}\n", as_json(&identity, &cluster, &shards)),
    };
    // A closed pipe is no reason to panic.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let faults = shards.iter().filter(|shard| shard.fault.is_some()).count();
    if faults == 0 { ExitCode::SUCCESS } else { super::fail(&format!("{faults} shards are damaged")) }
}

fn shards(dir: &Path, cluster: &ClusterIdentity) -> Result<Vec<Shard>, String> {
    let stores = open(dir, cluster)?;
    let look = |number: u16| {
        let reader = stores.state().reader(ShardId(number));
        let (applied, hash) = reader.state_hash().map_err(|e| e.to_string())?;
        let fault = reader.check_indexes().map_err(|e| e.to_string())?;
        let log = stores.log_status(ShardId(number));
        let index = |id: Option<_>| id.map_or(0, |id: raft_store::type_config::LogId| id.index());
        Ok(Shard {
            number,
            log: format!("{}..{}", index(log.purged), index(log.last)),
            applied: applied.map(|id| id.index()),
            state_hash: format!("{hash:016x}"),
            fault: fault.map(|fault| format!("{fault:?}")),
        })
    };
    let found = (0..stores.shard_count()).map(look).collect();
    stores.close().map_err(|e| e.to_string())?;
    found
}

#[cfg(feature = "rocksdb")]
fn open(dir: &Path, cluster: &ClusterIdentity) -> Result<Stores, String> {
    Stores::open(dir, cluster.stored_shards(), &StoreOptions::new(cluster.id.clone()))
        .map_err(|e| e.to_string())
}

#[cfg(not(feature = "rocksdb"))]
fn open(_dir: &Path, _cluster: &ClusterIdentity) -> Result<Stores, String> {
    Err("this binary was built without RocksDB: it can't read a data directory".to_owned())
}

fn text(dir: &Path, identity: &Identity, cluster: &ClusterIdentity, shards: &[Shard]) -> String {
    let mut text = format!(
        "{}: node {} ({}) of cluster {} ({})\n{:<6} {:<24} {:>12}  {:<17} indexes\n",
        dir.display(),
        identity.node_name,
        identity.node_id,
        cluster.name,
        cluster.id,
        "shard",
        "log, removed..last",
        "applied",
        "state hash"
    );
    for shard in shards {
        let applied = shard.applied.map_or("none".to_owned(), |index| index.to_string());
        let indexes = shard.fault.as_deref().unwrap_or("ok");
        let (log, hash) = (&shard.log, &shard.state_hash);
        let number =
            if shard.number == cluster.shards { "meta".to_owned() } else { shard.number.to_string() };
        text.push_str(&format!("{number:<6} {log:<24} {applied:>12}  {hash:<17} {indexes}\n"));
    }
    text
}

fn as_json(identity: &Identity, cluster: &ClusterIdentity, shards: &[Shard]) -> Value {
    let shards: Vec<Value> = shards
        .iter()
        .map(|shard| {
            json!({
                "shard": shard.number,
                "appliedIndex": shard.applied,
                "stateHash": shard.state_hash,
                "fault": shard.fault,
            })
        })
        .collect();
    json!({"node": identity.node_name, "cluster": cluster.name, "clusterId": cluster.id, "shards": shards})
}
