//! A client that sends what lies at the edge of what is allowed, and at the end reads all of it back: what was accepted
//! must be there as it was sent, what was refused must not (I13).

mod cases;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use checkers::history::{Boundary, Event};
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::sync::CancellationToken;

use self::cases::{Case, case};
use crate::clock::wall_ms;
use crate::final_reads::NOBODY_PAUSE;
use crate::http::{Ask, Told};
use crate::node::url;
use crate::random::Random;
use crate::workload::{ANSWER_TIME_MAX, Workload};

/// Between two cases: few, beside what the other clients do.
const PAUSE: Duration = Duration::from_millis(400);
/// Reads of one timer at most until one is answered.
const READS_MAX: u32 = 20;
const READ_PAUSE: Duration = Duration::from_millis(250);

/// What was answered so far.
#[derive(Debug, Default)]
pub struct Boundaries {
    answered: Mutex<Vec<Answered>>,
}

#[derive(Debug)]
struct Answered {
    case: Case,
    status: u16,
    called_ns: u64,
    at_ns: u64,
}

impl Boundaries {
    /// Sends one case after the other until `stop`.
    pub async fn send(self: Arc<Self>, workload: Arc<Workload>, stop: CancellationToken) {
        let mut random = Random::named(workload.seed, "boundaries");
        for number in 0.. {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
            let case = case(&mut random, number, wall_ms());
            let called_ns = workload.recorder.now_ns();
            let told = ask(&workload, "PUT", &case.id, Some(&case.body), &mut random).await;
            let (status, at_ns) = (told.map_or(0, |told| told.status), workload.recorder.now_ns());
            self.answered.lock().push(Answered { case, status, called_ns, at_ns });
        }
    }

    /// Reads everything back and writes down what is there.
    pub async fn read_back(&self, workload: &Workload, stop: &CancellationToken) {
        let mut random = Random::named(workload.seed, "boundaries read");
        let answered = std::mem::take(&mut *self.answered.lock());
        for Answered { case, status, called_ns, at_ns } in answered {
            let definite = (200..500).contains(&status);
            let kept = if definite {
                let Some(kept) = read(workload, &case, &mut random, stop).await else { continue };
                kept
            } else {
                None
            };
            let sent = case.kept.sent(&case.id);
            let (timer, what) = (case.id, case.what);
            let boundary = Boundary { called_ns, at_ns, case: what, timer, status, sent, kept };
            workload.recorder.write(&Event::Boundary(boundary));
        }
    }
}

/// What a read shows of a case: none if nobody gave a definite answer, and none in it if there is no such timer.
async fn read(
    workload: &Workload,
    case: &Case,
    random: &mut Random,
    stop: &CancellationToken,
) -> Option<Option<String>> {
    for _ in 0..READS_MAX {
        if stop.is_cancelled() {
            return None;
        }
        match ask(workload, "GET", &case.id, None, random).await {
            Some(told) if told.status == 200 => return Some(Some(case.kept.read(&told.text()))),
            // Not there, or an id that can't be one.
            Some(told) if (400..500).contains(&told.status) => return Some(None),
            Some(_) => tokio::time::sleep(READ_PAUSE).await,
            None => tokio::time::sleep(NOBODY_PAUSE).await,
        }
    }
    None
}

/// One request through some node, or through the next if that one does not answer: one whose files were damaged stays
/// away. None if nobody answers.
async fn ask(
    workload: &Workload,
    method: &str,
    id: &str,
    body: Option<&str>,
    random: &mut Random,
) -> Option<Told> {
    let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
    let body = body.map(|body| Bytes::from(body.to_owned()));
    let first = workload.any_node(random);
    for more in 0..workload.nodes {
        let node = 1 + (first + more) % workload.nodes;
        let url = format!("{}/api/v1/groups/default/timers/{id}", url(node));
        let ask = Ask { method, url: &url, headers: &[], body: body.clone(), time_max: ANSWER_TIME_MAX };
        if let Ok(told) = workload.http.ask(ask).await {
            return Some(told);
        }
    }
    None
}
