//! The last phase: what is due goes out, then every timer is read once more, by a definite answer.

use std::sync::Arc;
use std::time::Duration;

use checkers::history::{Action, Outcome};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bounds::LIVENESS_BOUND_MS;
use crate::clock::wall_ms;
use crate::random::Random;
use crate::workload::Workload;

/// Clients that read at once.
const READERS: usize = 12;
/// Reads of one timer at most until one is answered.
const TRIES_MAX: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);
/// The same after a node that is gone.
pub const NOBODY_PAUSE: Duration = Duration::from_millis(20);
/// What is due later than this is not waited for.
const SOON_MS: u64 = 60_000;
/// After the last timer has been taken, answers are still on their way to the log.
const SETTLE: Duration = Duration::from_secs(2);

/// Waits until everything that is due soon has been taken, or until the bound after which it is lost.
pub async fn quiesce(workload: &Workload, stop: &CancellationToken) {
    let outstanding = &workload.receivers.outstanding;
    let horizon_ms = wall_ms() + SOON_MS;
    let begun = Instant::now();
    let mut overdue_since: Option<Instant> = None;
    while !stop.is_cancelled() && outstanding.due_before(horizon_ms) > 0 {
        let all_due = outstanding.due_before(horizon_ms) == outstanding.due_before(wall_ms());
        let since = if all_due { *overdue_since.get_or_insert_with(Instant::now) } else { Instant::now() };
        let patience = Duration::from_millis(LIVENESS_BOUND_MS + 5_000);
        if since.elapsed() > patience || begun.elapsed() > patience + Duration::from_millis(SOON_MS) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    tokio::time::sleep(SETTLE).await;
}

/// Reads every timer.
pub async fn read_all(workload: &Arc<Workload>, stop: &CancellationToken) {
    let names = Arc::new(workload.names());
    let first_process = workload.processes + u32::from(workload.shards);
    let mut readers = JoinSet::new();
    for (reader, process) in (first_process..).take(READERS).enumerate() {
        let (names, workload, stop) = (names.clone(), workload.clone(), stop.clone());
        readers.spawn(async move {
            let mut random = Random::named(workload.seed, &format!("reader {reader}"));
            for name in names.iter().skip(reader).step_by(READERS) {
                for _ in 0..TRIES_MAX {
                    if stop.is_cancelled() {
                        return;
                    }
                    let node = 1 + u32::try_from(random.below(u64::from(workload.nodes))).unwrap_or(0);
                    match workload.operate(process, node, name, None, &Action::Get).await {
                        Outcome::Ok(_) => break,
                        Outcome::Refused(refusal) if refusal.status == 404 => break,
                        // There is nobody: another node may answer.
                        Outcome::Refused(refusal) if refusal.status == 0 => {
                            tokio::time::sleep(NOBODY_PAUSE).await;
                        }
                        Outcome::Refused(_) | Outcome::Unknown { .. } => tokio::time::sleep(PAUSE).await,
                    }
                }
            }
        });
    }
    while readers.join_next().await.is_some() {}
}
