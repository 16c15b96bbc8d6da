//! SIGKILL at random, again and again, on RocksDB: whatever was acknowledged is there.
//!
//! The victim is this test's own binary in another process; it writes the index of each acknowledged entry
//! to its output, and is killed while it does.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use timer_core::ids::ShardId;

use super::options;
use super::workload::{START, Shard, entry, history, put};
use crate::Stores;
use crate::type_config::Entry;

const DIR_VARIABLE: &str = "RAFT_STORE_KILL_DIR";
const KILLS: u64 = 12;
const SHARDS: u16 = 2;

/// An endless history: the entries of [`history`] and then puts.
fn entry_at(index: u64) -> Entry {
    match history(2).into_iter().nth(usize::try_from(index).unwrap()) {
        Some(begin) => begin,
        None => entry(1, index, START + index, vec![put(index % 100, START + 2 * index)]),
    }
}

#[test]
fn acknowledged_entries_survive_kills() {
    if let Ok(dir) = std::env::var(DIR_VARIABLE) {
        victim(Path::new(&dir));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "tests::kill::acknowledged_entries_survive_kills"])
            .env(DIR_VARIABLE, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Somewhere between the 20th and the 3,000th line: no two kills meet the same moment.
        let lines = 20 + (kill * 2_654_435_761) % 2_980;
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: std::io::Result<String>| {
            if let Some(index) = line.ok().and_then(|line| line.strip_prefix("acked ")?.parse().ok()) {
                acknowledged = acknowledged.max(index);
            }
        };
        for line in output.by_ref().take(usize::try_from(lines).unwrap()) {
            note(line);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died counts as well.
        output.for_each(&mut note);
    }
    assert!(acknowledged > 1_000, "{acknowledged} entries only: the victim did not run");
    let stores = Stores::open(dir.path(), SHARDS, &options()).unwrap();
    for shard in 0..SHARDS {
        let last = stores.log_status(ShardId(shard)).last.map_or(0, |id| id.index());
        assert!(last >= acknowledged, "shard {shard}: {last} found, {acknowledged} acknowledged");
    }
}

/// Appends and applies in both shards until it is killed. Checks what it finds first.
fn victim(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let stores = Stores::open(dir, SHARDS, &options()).unwrap();
        let mut shards: Vec<Shard> = (0..SHARDS).map(|n| Shard::open(&stores, n)).collect();
        for shard in &mut shards {
            shard.apply_all().await.unwrap();
            shard.check();
        }
        let found = |n| stores.log_status(ShardId(n)).last.map_or(0, |id| id.index() + 1);
        let mut next: Vec<u64> = (0..SHARDS).map(found).collect();
        loop {
            // Both shards end at the same entry, so that one number tells what is acknowledged.
            let target = next.iter().max().unwrap() + 1;
            for (shard, next) in shards.iter_mut().zip(&mut next) {
                let entries: Vec<Entry> = (*next..target).map(entry_at).collect();
                *next = target;
                shard.append_and_apply(entries).await.unwrap();
            }
            let mut output = std::io::stdout().lock();
            writeln!(output, "acked {}", target - 1).unwrap();
            output.flush().unwrap();
            drop(output);
            if target.is_multiple_of(500) {
                stores.flush().unwrap();
            }
        }
    });
}
