//! How long a shard took no writes after a fault had hit its leader, by kind of fault. Deliberately not here: a verdict,
//! which is I12's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use checkers::index::{FaultSpan, History};
use checkers::invariants::i12_recovery::recoveries;
use serde_json::Value;

/// By kind of fault: from its begin to the first write that was called after it and answered, in ms, for each shard that
/// one of its nodes led. A fault of links counts all nodes as its own.
pub type Recoveries = BTreeMap<String, Vec<u64>>;

/// Those of a run: all, and those during which nothing else but receivers was at fault.
pub fn of(history: &History) -> (Recoveries, Recoveries) {
    let (mut found, mut alone) = (Recoveries::new(), Recoveries::new());
    let all = recoveries(history);
    for fault in history.timeline.faults.iter().filter(|fault| fault.effective) {
        let hit = all.iter().filter(|recovery| recovery.from_ns == fault.begin_ns);
        for recovery in hit.filter(|recovery| leads(history, fault, recovery.shard)) {
            let Some(written_ns) = recovery.written_ns else { continue };
            let took_ms = written_ns.saturating_sub(recovery.from_ns) / 1_000_000;
            found.entry(fault.kind.clone()).or_default().push(took_ms);
            if is_alone(history, fault, written_ns) {
                alone.entry(fault.kind.clone()).or_default().push(took_ms);
            }
        }
    }
    (found, alone)
}

/// Whether no other fault of nodes or links was in force between the begin of `fault` and the write that showed that it was
/// over.
fn is_alone(history: &History, fault: &FaultSpan, written_ns: u64) -> bool {
    let others =
        history.timeline.faults.iter().filter(|other| other.effective && !std::ptr::eq(*other, fault));
    let mut of_nodes = others.filter(|other| !other.kind.starts_with("receiver"));
    !of_nodes.any(|other| other.begin_ns < written_ns && other.end_ns > fault.begin_ns)
}

/// Whether the last that opened a session of the shard before the fault is one of its nodes.
fn leads(history: &History, fault: &FaultSpan, shard: u16) -> bool {
    let sessions = history.timeline.sessions.get(&shard).map_or(&[][..], Vec::as_slice);
    let last = sessions.iter().filter(|session| session.at_ns < fault.begin_ns).max_by_key(|s| s.number);
    last.is_some_and(|session| fault.nodes.contains(&session.node))
}

/// The names of the two in a line of `results.jsonl`: all, and those during which nothing else was at fault.
pub const NAMES: [&str; 2] = ["recoveriesMs", "recoveriesAloneMs"];

/// Those of a line of `results.jsonl` under one of [`NAMES`].
pub fn of_line(line: &Value, name: &str) -> Recoveries {
    line.get(name).and_then(|found| serde_json::from_value(found.clone()).ok()).unwrap_or_default()
}

/// One line a kind, for people.
pub fn text(found: &Recoveries, alone: &Recoveries) -> String {
    format!("{}while nothing else but receivers was at fault:\n{}", lines(found), lines(alone))
}

fn lines(found: &Recoveries) -> String {
    let mut told = String::new();
    for (kind, times) in found {
        let mut times = times.clone();
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100).saturating_sub(1)];
        let (p50, p99, max) = (at(50), at(99), at(100));
        let _ = writeln!(
            told,
            "  {kind:<18} {:>5} leaders, first write after p50 {p50} ms, p99 {p99} ms, max {max} ms",
            times.len()
        );
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_times_that_were_seen() {
        let found = Recoveries::from([("kill".to_owned(), (1..=200).rev().collect())]);
        assert_eq!(
            lines(&found).trim(),
            "kill                 200 leaders, first write after p50 100 ms, p99 198 ms, max 200 ms"
        );
        assert_eq!(lines(&Recoveries::from([("kill".to_owned(), vec![7])])).matches("7 ms").count(), 3);
        assert_eq!(lines(&Recoveries::new()), "");
    }

    #[test]
    fn a_line_without_them_has_none() {
        let line = serde_json::json!({"recoveriesMs": {"pause": [3, 4]}});
        assert_eq!(of_line(&line, NAMES[0]), Recoveries::from([("pause".to_owned(), vec![3, 4])]));
        assert_eq!(of_line(&line, NAMES[1]), Recoveries::new());
    }
}
