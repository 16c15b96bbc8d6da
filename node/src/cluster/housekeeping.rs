//! What a running node does from time to time: flushes the state so that the log can be purged, erases what
//! is past its retention, watches the disk, and keeps the gauges right.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use raft_store::{Health, StoreOptions};
use timer_core::command::{Command, Envelope, Expire};
use timer_core::ids::{Sequence, ShardId, TimerKey};
use tokio::time::{Instant, MissedTickBehavior};

use super::node::{Node, Running};
use crate::blocking::away;
use crate::config::settings::Settings;
use crate::disk_room;
use crate::identity::ClusterIdentity;
use crate::peer::clocks::Verdict;
use crate::peer::codec::LogId;
use crate::shard::host::ShardHost;

/// How often the flush, retention and gauges are looked at.
const TICK: Duration = Duration::from_millis(500);
/// How often the meta shard's leader looks for groups whose change nobody has finished.
const SETTLE_INTERVAL: Duration = Duration::from_secs(10);
/// How often each shard looks for timers past their retention.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a leader whose clock is behind calls late, at the start and after a try to pass the lead on: while it tries,
/// it does not call at all.
const HAND_OVER_PAUSE: Duration = Duration::from_secs(5);
/// Timers that one command erases.
const EXPIRE_MAX: usize = 1000;

/// The stores' options from the settings.
#[must_use]
#[cfg_attr(not(feature = "rocksdb"), expect(unused_variables, unused_mut, reason = "they are RocksDB's"))]
pub fn store_options(settings: &Settings, cluster: &ClusterIdentity) -> StoreOptions {
    let mut options = StoreOptions::new(cluster.id.clone());
    #[cfg(feature = "rocksdb")]
    {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        options.rocks.state_cache_bytes_max = size(settings.storage.state_cache_bytes);
        options.rocks.state_memtable_bytes_max = size(settings.storage.memtable_bytes);
    }
    options
}

/// Runs until the node stops.
pub async fn run(node: Arc<Node>, running: Arc<Running>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let flush_interval = Duration::from_millis(node.settings.storage.flush_interval_ms);
    let (mut flushed, mut expired) = (Instant::now(), Instant::now());
    let mut health = running.stores.health();
    // Not awaited: on a disk that hangs it hangs, and that is what this loop has to notice.
    let mut flushing = tokio::spawn(std::future::ready(()));
    let mut handing_over = tokio::spawn(std::future::ready(()));
    let mut settling = tokio::spawn(std::future::ready(()));
    let (mut handed_over, mut settled) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = tick.tick() => {}
            _ = health.changed() => {}
        }
        if let Health::Failed(reason) = &*health.borrow_and_update() {
            // A sync that failed may have lost what it was for; to try again would hide it.
            node.fatal.send_replace(Some(reason.clone()));
            return;
        }
        if let Some(reason) = lost_log(&running) {
            node.fatal.send_replace(Some(reason));
            return;
        }
        watch_disk(&node);
        give_up_when_stalled(&node, &running).await;
        if handing_over.is_finished() && handed_over.elapsed() >= HAND_OVER_PAUSE && is_behind(&running) {
            handed_over = Instant::now();
            handing_over = tokio::spawn(hand_over(running.clone()));
        }
        let due = flushed.elapsed() >= flush_interval
            || unpurged_bytes(&running) >= node.settings.storage.flush_log_bytes;
        if due && flushing.is_finished() {
            flushed = Instant::now();
            flushing = tokio::spawn(flush(running.clone()));
        }
        if expired.elapsed() >= EXPIRE_INTERVAL {
            expired = Instant::now();
            for host in &running.hosts {
                expire(&node, host).await;
            }
        }
        if settled.elapsed() >= SETTLE_INTERVAL && settling.is_finished() {
            settled = Instant::now();
            let running = running.clone();
            settling = tokio::spawn(async move { running.settle_groups().await });
        }
        gauges(&node, &running);
    }
}

/// What a peer says that this node has lost. One is enough: with a vote that it must not have, this node could
/// help somebody to the lead who lacks what was acknowledged.
fn lost_log(running: &Running) -> Option<String> {
    running.lanes.peers().find_map(|(_, peer)| {
        let lost = peer.lost_log()?;
        Some(format!(
            "{} refuses this node: {lost}. Its data directory is older than what it had promised: restore the \
             newest one, or move it away and let the node join again as a new one",
            peer.member.name
        ))
    })
}

/// Notes what is free, so that creates are refused before the log can't be written.
fn watch_disk(node: &Node) {
    if node.memory.is_some() {
        return;
    }
    match disk_room::free_bytes(&node.settings.node.data_dir) {
        Ok(free) => {
            node.metrics.disk_free(free);
            node.disk.observe(free);
        }
        Err(e) => tracing::warn!(error = %e, "the data directory's filesystem does not say what is free"),
    }
}

fn unpurged_bytes(running: &Running) -> u64 {
    running.hosts.iter().map(|host| running.stores.log_status(ShardId(host.shard)).bytes).sum()
}

/// Makes what is applied durable, and lets Raft purge what is then no longer needed.
async fn flush(running: Arc<Running>) {
    let stores = running.stores.clone();
    match away(stores.blocks(), move || stores.flush()).await {
        Ok(Ok(_persisted)) => {}
        Ok(Err(e)) => {
            tracing::error!(error = %e, "the state can't be flushed; the log is kept meanwhile");
            return;
        }
        Err(_) => return,
    }
    for host in &running.hosts {
        if let Some(raft) = host.raft() {
            // Metadata only: openraft purges to its snapshot's index.
            let _ = raft.trigger().snapshot().await;
        }
    }
}

/// A leader whose disk hangs acknowledges nothing: another node can do better.
async fn give_up_when_stalled(node: &Node, running: &Running) {
    let stalled = running.stores.sync_stalled_for();
    node.metrics.log_sync_stalled(stalled);
    if stalled < Duration::from_millis(node.settings.storage.sync_stall_ms) {
        return;
    }
    for host in &running.hosts {
        if let (Some(_), Some(raft)) = (host.office(), host.raft())
            && let Some(target) = crate::shard::succession::successor(&raft, node.node_id)
        {
            tracing::error!(shard = host.shard, ?stalled, "the disk hangs; giving up the lead");
            let _ = raft.trigger().transfer_leader(target).await;
        }
    }
}

/// Whether this node leads something and its clock is behind: it calls late, and another node can do better.
fn is_behind(running: &Running) -> bool {
    let Verdict::Behind(behind_ms) = running.clocks.verdict() else { return false };
    let leads = running.hosts.iter().any(|host| host.office().is_some());
    if leads {
        tracing::error!(behind_ms, "this node's clock is behind: handing its shards over");
    }
    leads
}

/// Passes on what this node leads, in order.
async fn hand_over(running: Arc<Running>) {
    let led = running.hosts.iter().filter(|host| host.office().is_some());
    futures_util::future::join_all(led.map(|host| host.hand_over(false))).await;
}

async fn expire(node: &Node, host: &Arc<ShardHost>) {
    if host.office().is_none() {
        return;
    }
    let (reader, now) = (host.reader().clone(), node.clock.now());
    let scanned = away(reader.blocks(), move || reader.scan_expiry(now, EXPIRE_MAX));
    let timers: Vec<(TimerKey, Sequence)> = match scanned.await {
        Ok(Ok(slots)) => slots.into_iter().map(|slot| (slot.key, slot.sequence)).collect(),
        Ok(Err(e)) => {
            tracing::error!(shard = host.shard, error = %e, "can't read what is past its retention");
            return;
        }
        Err(_) => return,
    };
    if timers.is_empty() {
        return;
    }
    let command = Command::Expire(Expire { timers });
    if let Err(e) = host.submit_own(Envelope::own(command)).await {
        tracing::debug!(shard = host.shard, error = %e, "retention comes later");
    }
}

fn gauges(node: &Node, running: &Running) {
    let mut led = 0;
    let mut headless = 0;
    let mut overdue = 0;
    let mut parked = 0;
    let (mut waiting, mut waiting_bytes) = (0, 0);
    let mut counts = [0_u64; 6];
    for host in &running.hosts {
        let (commands, bytes) = host.queue();
        waiting += commands;
        waiting_bytes += bytes;
        if let Some(office) = host.office() {
            led += 1;
            overdue += office.sizes().ready;
            let state = host.reader().shard_state();
            parked += state.parked;
            for (sum, count) in counts.iter_mut().zip(state.counts) {
                *sum += count;
            }
        }
        headless += u64::from(!shard_gauges(node, host));
    }
    node.metrics.shards(led, headless);
    node.metrics.timers_by_state(&counts);
    node.metrics.overdue(overdue);
    node.metrics.parked(parked);
    node.metrics.proposal_queue(waiting, waiting_bytes);
    let connected = running.lanes.peers().filter(|(_, peer)| peer.reachable()).count();
    node.metrics.peers_connected(connected);
    let worst = running.clocks.offsets().into_values().max_by_key(|offset| offset.abs()).unwrap_or(0);
    node.metrics.clock_offset(worst);
}

/// How far a shard's log is here; gives whether a leader is known.
fn shard_gauges(node: &Node, host: &ShardHost) -> bool {
    let Some(raft) = host.raft() else { return false };
    let metrics = raft.metrics();
    let seen = metrics.borrow_watched();
    let index = |log_id: Option<LogId>| log_id.map_or(0, |id| id.index);
    let (last, applied, purged) =
        (seen.last_log_index.unwrap_or(0), index(seen.last_applied), index(seen.purged));
    node.metrics.log_indexes(host.shard, last, applied, purged);
    seen.current_leader.is_some()
}

/// Attempts of this node that are under way.
#[must_use]
pub fn under_way(running: &Running) -> usize {
    running.room_max - running.context.room.available_permits()
}

/// Starts no more attempts on this node.
pub fn stop_starting(running: &Running) {
    for host in &running.hosts {
        if let Some(office) = host.office() {
            let _ = office.close();
        }
    }
}
