//! Timers that are created all the time, and what became of those that were acknowledged.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};

use super::client::Client;
use super::cluster::Cluster;
use super::receiver::{Receiver, now_ms, rfc3339};

pub const RATE: u64 = 100;
/// One of so many timers is far away and must still be there at the end.
const FAR_AWAY_SHARE: u64 = 10;
/// How long a create is repeated; an outage is much shorter.
const REPEAT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

/// By id: the due time in ms; `None` is far away.
type Acknowledged = HashMap<String, Option<u64>>;

/// The load, until it is ended.
pub struct Load {
    acknowledged: Arc<Mutex<Acknowledged>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Creator {
    urls: Arc<[String]>,
    client: Client,
    receiver: String,
    acknowledged: Arc<Mutex<Acknowledged>>,
}

impl Creator {
    /// Creates a timer, by another node each time that one fails. Only 2xx is an acknowledgement.
    async fn create(self, n: u64) {
        let id = format!("t{n}");
        let due = (!n.is_multiple_of(FAR_AWAY_SHARE)).then(|| now_ms() + 1_000 + (n * 7919) % 3_000);
        let mut body = json!({"callbackUrl": self.receiver, "callbackTimeout": "2s"});
        match due {
            Some(due) => body["executeAt"] = rfc3339(due).into(),
            None => body["delay"] = "3000d".into(),
        }
        let begun = Instant::now();
        for node in (0..self.urls.len()).cycle().skip(n as usize % self.urls.len()) {
            let url = format!("{}/api/v1/groups/default/timers/{id}", self.urls[node]);
            let answer = self.client.send("PUT", &url, &[], Some(&body)).await;
            if answer.is_ok_and(|answer| answer.status < 300) {
                self.acknowledged.lock().insert(id, due);
                return;
            }
            if begun.elapsed() > REPEAT {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Load {
    /// Begins to create [`RATE`] timers a second through all nodes in turn, due 1 to 4 s later or far away.
    pub fn start(cluster: &Cluster, receiver: &Receiver) -> Self {
        let acknowledged: Arc<Mutex<Acknowledged>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let creator = Creator {
            urls: cluster.nodes.iter().map(|node| node.url.clone()).collect(),
            client: cluster.client.clone(),
            receiver: receiver.url.clone(),
            acknowledged: acknowledged.clone(),
        };
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
            let mut creates = JoinSet::new();
            for n in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                interval.tick().await;
                creates.spawn(creator.clone().create(n));
                while creates.try_join_next().is_some() {}
            }
            creates.join_all().await;
        });
        Self { acknowledged, stop, task }
    }

    /// How many were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.lock().len()
    }

    /// Ends it, waits until what was acknowledged has fired, and looks for the rest.
    pub async fn end(self, cluster: &Cluster, receiver: &Receiver, wait: Duration) -> Verdict {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        let acknowledged = self.acknowledged.lock().clone();
        let due = acknowledged.iter().filter_map(|(id, due)| due.map(|_| id.as_str()));
        let mut missing: HashSet<&str> = due.collect();
        let begun = Instant::now();
        while !missing.is_empty() && begun.elapsed() < wait {
            for call in receiver.calls() {
                missing.remove(call.id.as_str());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let mut lost: Vec<String> = missing.into_iter().map(str::to_owned).collect();
        let far = acknowledged.iter().filter(|(_, due)| due.is_none()).map(|(id, _)| id);
        for (n, id) in far.enumerate() {
            if !found(cluster, n % cluster.nodes.len(), id).await {
                lost.push(id.clone());
            }
        }
        lost.sort_unstable();
        judge(&acknowledged, receiver, lost)
    }
}

/// What is left to say at the end.
pub struct Verdict {
    pub acknowledged: usize,
    pub far_away: usize,
    /// Acknowledged, and neither fired nor found.
    pub lost: Vec<String>,
    pub early: usize,
    /// Callbacks beyond the first of the same generation of the same timer.
    pub duplicates: usize,
}

fn judge(acknowledged: &Acknowledged, receiver: &Receiver, lost: Vec<String>) -> Verdict {
    let mut early = 0;
    let mut seen = HashSet::new();
    let calls = receiver.calls();
    for call in &calls {
        // What was acknowledged to nobody is judged by what the callback itself says.
        let due = acknowledged.get(&call.id).map_or(Some(call.scheduled_ms), |due| *due);
        early += usize::from(due.is_none_or(|due| call.at_ms < due));
        seen.insert(&call.webhook_id);
    }
    Verdict {
        acknowledged: acknowledged.len(),
        far_away: acknowledged.values().filter(|due| due.is_none()).count(),
        lost,
        early,
        duplicates: calls.len() - seen.len(),
    }
}

/// Whether a timer is there, by a node that gives a definite answer.
async fn found(cluster: &Cluster, node: usize, id: &str) -> bool {
    let answer = super::client::eventually("a definite answer", REPEAT, || async {
        let answer = cluster.get(node, id).await.ok()?;
        matches!(answer.status, 200 | 404).then_some(answer.status)
    });
    answer.await == 200
}
