//! What is known of each generation of a timer: who made it, what it asked for, who was told of it, when it was
//! delivered. Deliberately not here: generations that nobody has told of.

use std::collections::{BTreeMap, BTreeSet};

use super::{Operation, Received};
use crate::history::{Action, Definition, RetryPolicy, Run};

/// One generation of a timer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// The operation that made it, if its answer says so: position in the timer's operations.
    pub made_by: Option<usize>,
    /// The operations whose answers show it: positions, in the order of their calls.
    pub shown_by: Vec<usize>,
    /// When a client was first told of it, in nanoseconds.
    pub acknowledged_ns: Option<u64>,
    /// Its deliveries: positions, in the order in which they were received.
    pub deliveries: Vec<usize>,
    /// When it is to be delivered, in wall-clock milliseconds, if that is known.
    pub execute_at_ms: Option<u64>,
    /// Its retry policy, if that is known.
    pub policy: Option<RetryPolicy>,
    /// The time-out of its attempts in milliseconds, if that is known.
    pub timeout_ms: Option<u64>,
}

/// The generations of a timer.
pub(super) fn generations(
    run: &Run,
    operations: &[Operation],
    deliveries: &[Received],
) -> BTreeMap<u64, Generation> {
    let mut table: BTreeMap<u64, Generation> = BTreeMap::new();
    for (position, operation) in operations.iter().enumerate() {
        let Some(answer) = operation.shown() else { continue };
        let generation = table.entry(answer.generation).or_default();
        generation.shown_by.push(position);
        let first = generation.acknowledged_ns.get_or_insert(operation.return_ns);
        *first = operation.return_ns.min(*first);
        if !answer.replayed {
            generation.execute_at_ms.get_or_insert(answer.execute_at_ms);
        }
        let makes = operation.answer().is_some_and(|answer| answer.generation == answer.version)
            && operation.action.makes_definitions();
        if makes {
            generation.made_by.get_or_insert(position);
        }
    }
    for (position, received) in deliveries.iter().enumerate() {
        let delivery = &received.delivery;
        let generation = table.entry(delivery.generation).or_default();
        generation.deliveries.push(position);
        if delivery.attempt == 1 {
            generation.execute_at_ms.get_or_insert(delivery.scheduled_at_ms);
        }
    }
    let only = only_terms(run, operations);
    for generation in table.values_mut() {
        let maker = generation.made_by.and_then(|position| operations.get(position));
        let definition = maker.and_then(|operation| operation.action.definition());
        if let Some(definition) = definition {
            generation.execute_at_ms = Some(definition.execute_at_ms);
        }
        let terms = definition.map(|definition| terms(run, definition)).or_else(|| only.clone());
        (generation.policy, generation.timeout_ms) = terms.unzip();
    }
    table
}

/// Policy and time-out of a definition.
fn terms(run: &Run, definition: &Definition) -> (RetryPolicy, u64) {
    let policy = definition.retry.as_ref().unwrap_or(&run.retry).clone();
    (policy, definition.callback_timeout_ms.unwrap_or(run.attempt_timeout_ms))
}

/// Policy and time-out that hold for the timer whoever made the generation: those of all its definitions, if
/// they agree.
fn only_terms(run: &Run, operations: &[Operation]) -> Option<(RetryPolicy, u64)> {
    let definitions = operations.iter().filter_map(|operation| operation.action.definition());
    let all: BTreeSet<_> = definitions.map(|definition| terms(run, definition)).collect();
    let mut all = all.into_iter();
    all.next().filter(|_| all.next().is_none())
}

impl Action {
    /// The definition that it carries whole.
    #[must_use]
    pub const fn definition(&self) -> Option<&Definition> {
        match self {
            Self::Create { definition } | Self::Put { definition, .. } => Some(definition),
            Self::Patch { .. } | Self::Get | Self::Delete { .. } => None,
        }
    }

    /// Whether it can make a new generation.
    #[must_use]
    pub const fn makes_definitions(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Put { .. } => true,
            Self::Patch { patch, .. } => patch.execute_at_ms.is_some() || patch.payload.is_some(),
            Self::Get | Self::Delete { .. } => false,
        }
    }
}
