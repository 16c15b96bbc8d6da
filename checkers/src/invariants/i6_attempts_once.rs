//! I6: an attempt is made at most once per session, and again only by a later one that could not know its outcome;
//! a fencing token belongs to one attempt and one node, and grows from attempt to attempt of a timer.
//!
//! Deliveries are grouped by generation and attempt and put in the order of their tokens. A token holds the log
//! index that its sender had applied at least, never below the sender's session (`node/src/shard/token.rs`). So
//! between two senders of one attempt there is a session whose number lies above the first token's index and not
//! above the second's; without one, it was one session twice. Sound only if the history has every session: else a
//! missing one is a doubt. That the repetition was not needless: the session opened before the first attempt had
//! been answered for `bound` of healthy time. A zombie, an older session's attempt that is received later, carries
//! the lower token, and that is all that is asked of it. An attempt whose connection breaks off without an answer
//! may be received once more with the same token: its sender can't tell that from a connection that had been closed
//! before. Deliberately not here: whether a receiver would have
//! refused it (the report counts that).

use std::collections::BTreeMap;

use crate::index::{History, Received, Session, TimerHistory};
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// Bits of a token below the log index (`NUMBER_BITS` of `node/src/shard/token.rs`).
const NUMBER_BITS: u32 = 16;
/// The bits of the log index itself: above them stands the restore epoch.
const INDEX_MASK: u64 = (1 << 41) - 1;

/// Attempts made more than once without need, and tokens out of order.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    let mut untold = 0_u64;
    for timer in history.timers.iter().filter(|timer| !timer.deliveries.is_empty()) {
        let mut attempts: BTreeMap<(u64, u32), Vec<&Received>> = BTreeMap::new();
        for received in &timer.deliveries {
            attempts.entry(received.attempt()).or_default().push(received);
        }
        findings.violations.extend(growth(timer, &attempts));
        for of_attempt in attempts.values_mut().filter(|of_attempt| of_attempt.len() > 1) {
            of_attempt.sort_by_key(|received| (received.delivery.token, received.delivery.at_ns));
            let mut resent_before = false;
            for pair in of_attempt.windows(2) {
                let [first, second] = pair else { continue };
                let resent = !resent_before && is_resent(history, first, second);
                resent_before = resent;
                if resent {
                    continue;
                }
                match repetition(history, timer, first, second) {
                    Repetition::Needed => {}
                    Repetition::Untold => untold += 1,
                    Repetition::Broken(violation) => findings.violations.push(violation),
                }
            }
        }
    }
    if untold > 0 {
        let doubt =
            format!("I6: {untold} repeated attempts may be of sessions that the history does not tell of");
        findings.doubts.push(doubt);
    }
    findings.violations.extend(tokens_of_two(history));
    findings
}

/// A second for the sender to see the connection break off, and as much for the way of either request.
const RESEND_MAX_NS: u64 = 2_000_000_000;

/// The log index in a token.
pub(super) const fn index_of(token: u64) -> u64 {
    (token >> NUMBER_BITS) & INDEX_MASK
}

/// Whether the second is the first once more, to the last header: what a sender does once when a connection that
/// had served before breaks off without an answer, as one does that the receiver had closed while it lay in the
/// pool (`STALE_NOTICE_MAX` of `node/src/delivery/sender.rs`).
fn is_resent(history: &History, first: &Received, second: &Received) -> bool {
    let (a, b) = (&first.delivery, &second.delivery);
    let within_ns = RESEND_MAX_NS.saturating_add(history.run.transit_slack_ms.saturating_mul(1_000_000));
    a.token == b.token
        && a.node == b.node
        && a.reply.status().is_none()
        && b.at_ns.saturating_sub(a.at_ns) <= within_ns
}

enum Repetition {
    Needed,
    Untold,
    Broken(Violation),
}

fn repetition(history: &History, timer: &TimerHistory, first: &Received, second: &Received) -> Repetition {
    let (a, b) = (&first.delivery, &second.delivery);
    let broken = |breach, why: &str, more: Option<u64>| {
        let sentence =
            format!("generation {}, attempt {} was received twice: {why}", a.generation, a.attempt);
        let lines = [first.line, second.line].into_iter().chain(more);
        Repetition::Broken(Violation::new((Invariant::I6, breach), Some(&timer.name), lines, sentence))
    };
    if a.token == b.token {
        // Whether it came from two nodes is asked of all tokens alike.
        return broken(Breach::TokenUsedTwice, "with the same fencing token", None);
    }
    let Some(shard) = timer.shard else { return Repetition::Untold };
    let between = history.timeline.sessions_between(shard, index_of(a.token), index_of(b.token));
    let Some(opened) = between.min_by_key(|session| session.at_ns) else {
        let other_node = a.node.is_some() && b.node.is_some() && a.node != b.node;
        return match history.run.sessions_complete {
            false => Repetition::Untold,
            true if other_node => {
                broken(Breach::TwiceInOneSession, "by two nodes, and no session began in between", None)
            }
            true => broken(Breach::TwiceInOneSession, "and no session began in between", None),
        };
    };
    if known_before(history, timer, shard, first, opened) {
        let why = "the later session began long after the answer, which it should have known";
        return broken(Breach::RepeatedLate, why, Some(opened.line));
    }
    Repetition::Needed
}

/// Whether the outcome of `first` had had the bound of healthy time to be replicated before `opened`.
fn known_before(
    history: &History,
    timer: &TimerHistory,
    shard: u16,
    first: &Received,
    opened: &Session,
) -> bool {
    let generation = timer.generations.get(&first.delivery.generation);
    let timeout_ms = generation.and_then(|generation| generation.timeout_ms);
    let timeout_ms = timeout_ms.unwrap_or(history.run.attempt_timeout_ms);
    let ended_ns = first.delivery.at_ns.saturating_add(timeout_ms.saturating_mul(1_000_000));
    let bound_ns = history.run.liveness_bound_ms.saturating_mul(1_000_000);
    history.timeline.healthy_ns(shard, ended_ns, opened.at_ns) > bound_ns
}

/// Later attempts with lower tokens than earlier ones. Those of one attempt may come in any order.
fn growth(timer: &TimerHistory, attempts: &BTreeMap<(u64, u32), Vec<&Received>>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut largest: Option<&Received> = None;
    for of_attempt in attempts.values() {
        let smallest = of_attempt.iter().min_by_key(|received| received.delivery.token);
        if let (Some(before), Some(after)) = (largest, smallest)
            && after.delivery.token < before.delivery.token
        {
            let (a, b) = (&before.delivery, &after.delivery);
            let sentence = format!(
                "the later attempt (generation {}, attempt {}) has token {}, lower than {} of the earlier one \
                 (generation {}, attempt {})",
                b.generation, b.attempt, b.token, a.token, a.generation, a.attempt
            );
            let why = (Invariant::I6, Breach::TokenDidNotGrow);
            violations.push(Violation::new(why, Some(&timer.name), [before.line, after.line], sentence));
        }
        let here = of_attempt.iter().copied();
        largest = here.chain(largest).max_by_key(|received| received.delivery.token);
    }
    violations
}

/// Tokens of a shard that came from two nodes, or with two attempts.
fn tokens_of_two(history: &History) -> Vec<Violation> {
    let mut seen: BTreeMap<(u16, u64), (&str, &Received)> = BTreeMap::new();
    let mut violations = Vec::new();
    for timer in &history.timers {
        let Some(shard) = timer.shard else { continue };
        for received in &timer.deliveries {
            let token = received.delivery.token;
            let Some((name, before)) = seen.insert((shard, token), (&timer.name, received)) else { continue };
            let other_attempt = name != timer.name || before.attempt() != received.attempt();
            let nodes = before.delivery.node.zip(received.delivery.node);
            let (breach, whose) = match nodes {
                Some((a, b)) if a != b => (Breach::TokenOfTwoNodes, format!("nodes {a} and {b}")),
                Some(_) | None if other_attempt => (Breach::TokenUsedTwice, "two attempts".into()),
                Some(_) | None => continue,
            };
            let sentence = format!("fencing token {token} of shard {shard} belongs to {whose}");
            let lines = [before.line, received.line];
            violations.push(Violation::new((Invariant::I6, breach), Some(&timer.name), lines, sentence));
        }
    }
    violations
}
