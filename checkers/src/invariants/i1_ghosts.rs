//! I1, second half: nobody but a client makes a generation, and one request makes at most one.
//!
//! A generation that was delivered must be one that the answer of a request tells of, or there must be a request
//! with unknown outcome to ascribe it to: sent before the generation was seen anywhere, and for the time that it
//! has, if that is known. All calls with one key are one request as long as its answer can't have been forgotten,
//! and each request can have made one generation, so generations are matched with requests (augmenting paths).
//! Sound because the matching is a largest one: a generation without a partner means that there are more
//! generations than requests for them. Deliberately not here: generations that were never delivered, which the
//! linearizability of the answers judges.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::Action;
use crate::index::{Generation, History, Operation, TimerHistory};
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// Requests after which the answer of an earlier one may have been forgotten, so that its key makes another
/// generation (`KEPT_ANSWERS_MAX` of timer-core).
const KEPT_ANSWERS_MAX: usize = 4;

/// Deliveries of generations that nobody asked for.
#[must_use]
pub fn check(history: &History) -> Findings {
    let violations = history.timers.iter().flat_map(of_timer).collect();
    Findings { violations, doubts: Vec::new() }
}

/// Names a request: its key, or the operation itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Request<'a> {
    Key(&'a str),
    Operation(u64),
}

/// Names the request of `operation`. A key stands for one request only if its answer is kept throughout: a purge
/// takes it along, and so do enough later requests.
fn request<'a>(timer: &'a TimerHistory, operation: &'a Operation) -> Request<'a> {
    let mutations = || timer.operations.iter().filter(|operation| operation.action.is_mutation());
    let purged = mutations().any(|operation| matches!(operation.action, Action::Delete { purge: true, .. }));
    let others = mutations().filter(|other| other.key != operation.key).count();
    let key = operation.key.as_deref().filter(|_| !purged && others < KEPT_ANSWERS_MAX);
    key.map_or(Request::Operation(operation.op), Request::Key)
}

fn of_timer(timer: &TimerHistory) -> Vec<Violation> {
    let untold: Vec<(u64, &Generation)> = timer
        .generations
        .iter()
        .filter(|(number, generation)| !is_told(timer, **number, generation))
        .map(|(number, generation)| (*number, generation))
        .collect();
    if untold.is_empty() {
        return Vec::new();
    }
    let spent = spent(timer);
    let unknown: Vec<&Operation> = timer
        .operations
        .iter()
        .filter(|operation| operation.is_unknown() && operation.action.makes_definitions())
        .filter(|operation| !spent.contains(&request(timer, operation)))
        .collect();
    let fitting: Vec<BTreeSet<Request<'_>>> =
        untold.iter().map(|(_, generation)| requests_for(timer, generation, &unknown)).collect();
    let mut taken = BTreeMap::new();
    let mut violations = Vec::new();
    for (place, (number, generation)) in untold.iter().enumerate() {
        if !ascribe(place, &fitting, &mut taken, &mut BTreeSet::new()) && !generation.deliveries.is_empty() {
            violations.push(ghost(timer, *number, generation));
        }
    }
    violations
}

/// Whether the answer of a request says that it made this generation.
fn is_told(timer: &TimerHistory, number: u64, generation: &Generation) -> bool {
    let mut shown = generation.shown_by.iter().filter_map(|position| timer.operations.get(*position));
    shown.any(|operation| {
        operation.action.makes_definitions()
            && operation.answer().is_some_and(|answer| answer.generation == number)
    })
}

/// Keys that have made a generation which is told. An answer that something was created says so; one that the
/// timer is there as asked for may be about what another request had made.
fn spent(timer: &TimerHistory) -> BTreeSet<Request<'_>> {
    let created = timer.operations.iter().filter(|operation| {
        operation.key.is_some() && operation.answer().is_some_and(|answer| answer.status == 201)
    });
    created.map(|operation| request(timer, operation)).collect()
}

/// The requests that can have made `generation`.
fn requests_for<'a>(
    timer: &'a TimerHistory,
    generation: &Generation,
    unknown: &[&'a Operation],
) -> BTreeSet<Request<'a>> {
    let received = generation.deliveries.iter().filter_map(|position| timer.deliveries.get(*position));
    let shown = generation.shown_by.iter().filter_map(|position| timer.operations.get(*position));
    let seen = received
        .map(|received| received.delivery.at_ns)
        .chain(shown.map(|operation| operation.return_ns))
        .min()
        .unwrap_or(u64::MAX);
    let fits = |operation: &&&Operation| {
        let asked = match &operation.action {
            Action::Patch { patch, .. } => patch.execute_at_ms,
            Action::Create { definition } | Action::Put { definition, .. } => Some(definition.execute_at_ms),
            Action::Get | Action::Delete { .. } => None,
        };
        // A patch without a time keeps whatever time it met.
        let at_its_time = match (asked, generation.execute_at_ms) {
            (Some(asked), Some(at)) => asked == at,
            (None, _) | (_, None) => true,
        };
        operation.call_ns <= seen && at_its_time
    };
    unknown.iter().filter(fits).map(|operation| request(timer, operation)).collect()
}

/// Finds a request for the generation at `place`, moving others to other requests if need be.
fn ascribe<'a>(
    place: usize,
    fitting: &[BTreeSet<Request<'a>>],
    taken: &mut BTreeMap<Request<'a>, usize>,
    asked: &mut BTreeSet<Request<'a>>,
) -> bool {
    for name in &fitting[place] {
        if !asked.insert(*name) {
            continue;
        }
        let holder = taken.get(name).copied();
        if holder.is_none_or(|holder| ascribe(holder, fitting, taken, asked)) {
            taken.insert(*name, place);
            return true;
        }
    }
    false
}

fn ghost(timer: &TimerHistory, number: u64, generation: &Generation) -> Violation {
    let when = generation.execute_at_ms.map_or_else(|| "unknown".into(), |at| format!("{at} ms"));
    let sentence = format!(
        "generation {number} (executeAt {when}) was delivered and no client can have made it: no answer tells of \
         it, and every request with unknown outcome is accounted for"
    );
    let deliveries = generation.deliveries.iter().filter_map(|position| timer.deliveries.get(*position));
    let lines = deliveries.map(|received| received.line);
    Violation::new((Invariant::I1, Breach::Ghost), Some(&timer.name), lines, sentence)
}
