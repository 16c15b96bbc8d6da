//! The story of one broken promise: everything that happened to its timer, in order, with the lines that show it.

use std::fmt::Write as _;

use checkers::history::{Outcome, Reply};
use checkers::index::TimerHistory;
use checkers::verdict::Violation;

use super::escape;
use crate::verdict::Judged;

/// Rows of a story.
const ROWS_MAX: usize = 120;

/// Tells it.
pub(super) fn tell(judged: &Judged, violation: &Violation) -> String {
    let mut text = format!(
        "<h3>{:?} {:?} {}</h3><p>{}</p>",
        violation.invariant,
        violation.breach,
        escape(violation.timer.as_deref().unwrap_or("")),
        escape(&violation.sentence)
    );
    let timer = judged.history.timers.iter().find(|timer| Some(&timer.name) == violation.timer.as_ref());
    if let Some(timer) = timer {
        let mut rows = rows(timer);
        rows.sort_by_key(|(at_ns, _, _)| *at_ns);
        text.push_str("<table class=\"story\">");
        for (at_ns, lines, what) in rows.iter().take(ROWS_MAX) {
            let marked = lines.iter().any(|line| violation.lines.contains(line));
            let class = if marked { " class=\"mark\"" } else { "" };
            let line = lines.first().copied().unwrap_or(0);
            let seconds = *at_ns as f64 / 1e9;
            let _ = write!(text, "<tr{class}><td>{seconds:.3} s<td>line {line}<td>{}", escape(what));
        }
        text.push_str("</table>");
    }
    text
}

fn rows(timer: &TimerHistory) -> Vec<(u64, Vec<u64>, String)> {
    let operations = timer.operations.iter().map(|operation| {
        let took_ms = operation.back_ns.map(|back| (back - operation.call_ns) / 1_000_000);
        let took = took_ms.map_or_else(|| "never returned".to_owned(), |ms| format!("{ms} ms"));
        let what = format!(
            "client {} {} {} ({took}): {}",
            operation.process,
            operation.action.name(),
            operation.key.as_deref().map(|key| format!("key {key}")).unwrap_or_default(),
            outcome(&operation.outcome)
        );
        (operation.call_ns, operation.lines(), what)
    });
    let deliveries = timer.deliveries.iter().map(|received| {
        let d = &received.delivery;
        let answer = match d.reply {
            Reply::Status { status, .. } => status.to_string(),
            Reply::Hang => "no answer".to_owned(),
            Reply::Reset => "reset".to_owned(),
        };
        let node = d.node.map(|node| format!("n{node}")).unwrap_or_default();
        let what = format!(
            "CALLBACK from {node} generation {} attempt {} token {}: {answer}",
            d.generation, d.attempt, d.token
        );
        (d.at_ns, vec![received.line], what)
    });
    operations.chain(deliveries).collect()
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(a) => format!(
            "{} {} generation {} version {} attempts {} in flight {:?}{}",
            a.status,
            a.state.as_str(),
            a.generation,
            a.version,
            a.attempts,
            a.in_flight,
            if a.replayed { " replayed" } else { "" }
        ),
        Outcome::Refused(refusal) => format!("{} {}", refusal.status, refusal.code),
        Outcome::Unknown { detail } => format!("unknown: {detail}"),
    }
}
