//! What the nodes' logs tell while they are written: sessions, which the history needs, and words that no healthy
//! node says. Deliberately not here: keeping the logs, which `process` does.

use std::collections::BTreeMap;

use checkers::history::{Event, Leader};
use parking_lot::Mutex;
use serde_json::Value;

use crate::recorder::Recorder;
use crate::wire::parse_rfc3339;

/// Lines of a kind that are kept for the report.
const KEPT_MAX: usize = 20;
/// The last line of a node is kept to this length.
const LINE_CHARS_MAX: usize = 400;

/// The readers of all logs.
#[derive(Debug)]
pub struct Logs {
    recorder: Recorder,
    /// Whether the times in the logs can be believed.
    clocks_true: bool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    panics: Vec<String>,
    internal: Vec<String>,
    passed: Vec<String>,
    last: BTreeMap<u32, String>,
    lanes: BTreeMap<u32, u64>,
    snapshots: u64,
    sessions: u64,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Remarks {
    /// Lines of panics.
    pub panics: Vec<String>,
    /// Lines of requests that failed by a fault of the server.
    pub internal: Vec<String>,
    /// Lines of shards that have forgotten a timer that is pending.
    pub passed: Vec<String>,
    /// Snapshots that were installed.
    pub snapshots: u64,
    /// Sessions that were opened.
    pub sessions: u64,
}

impl Logs {
    pub fn new(recorder: Recorder, clocks_true: bool) -> Self {
        Self { recorder, clocks_true, seen: Mutex::default() }
    }

    /// Node `node` has written `line`.
    pub fn line(&self, node: u32, line: &str) {
        let at_ns = self.recorder.now_ns();
        let short: String = line.chars().take(LINE_CHARS_MAX).collect();
        if line.contains("panicked at") {
            keep(&mut self.seen.lock().panics, format!("n{node}: {short}"));
        }
        if let Ok(fields) = serde_json::from_str::<Value>(line) {
            match fields["message"].as_str() {
                Some("took office") => self.session(node, at_ns, &fields),
                Some("peer lane is up") => *self.seen.lock().lanes.entry(node).or_default() += 1,
                Some("installed a snapshot") => self.seen.lock().snapshots += 1,
                Some("a request failed by a fault of ours") => {
                    keep(&mut self.seen.lock().internal, format!("n{node}: {short}"));
                }
                Some("a timer that waits was forgotten: the tables are read again") => {
                    keep(&mut self.seen.lock().passed, format!("n{node}: {short}"));
                }
                Some(_) | None => {}
            }
        }
        if !short.trim().is_empty() {
            self.seen.lock().last.insert(node, short);
        }
    }

    fn session(&self, node: u32, read_ns: u64, fields: &Value) {
        let number = |name: &str| fields[name].as_u64();
        let (Some(shard), Some(term), Some(session)) = (number("shard"), number("term"), number("session"))
        else {
            return;
        };
        // The line was written before it was read; how long before, only its own time tells.
        let written_ms = fields["ts"].as_str().and_then(parse_rfc3339).filter(|_| self.clocks_true);
        // Rounded up: never before it happened.
        let written_ns = written_ms.map_or(read_ns, |ms| self.recorder.clock().ns_of_wall(ms + 1));
        let Ok(shard) = u16::try_from(shard) else { return };
        self.seen.lock().sessions += 1;
        let at_ns = written_ns.min(read_ns);
        self.recorder.write(&Event::Leader(Leader { at_ns, shard, term, session, node }));
    }

    /// How often a node has connected to a peer so far: only then does it acknowledge anything.
    pub fn lanes(&self, node: u32) -> u64 {
        self.seen.lock().lanes.get(&node).copied().unwrap_or_default()
    }

    /// What node `node` has said last.
    pub fn last(&self, node: u32) -> String {
        self.seen.lock().last.get(&node).cloned().unwrap_or_default()
    }

    pub fn remarks(&self) -> Remarks {
        let seen = self.seen.lock();
        Remarks {
            panics: seen.panics.clone(),
            internal: seen.internal.clone(),
            passed: seen.passed.clone(),
            snapshots: seen.snapshots,
            sessions: seen.sessions,
        }
    }
}

fn keep(lines: &mut Vec<String>, line: String) {
    if lines.len() < KEPT_MAX {
        lines.push(line);
    }
}
