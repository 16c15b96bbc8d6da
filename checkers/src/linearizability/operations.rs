//! Operations in the form in which the rules take them: definitions and keys as small numbers, refusals by what
//! they say about the timer. Operations that say nothing are left out: reads without an answer, and refusals
//! that any state of the timer allows.

use crate::history::{Action, Answer, Definition, Outcome, Refusal};
use crate::index::Operation;

/// An operation that says something about the timer.
#[derive(Clone, Debug)]
pub(super) struct Op<'a> {
    /// Its position in the timer's operations.
    pub(super) position: usize,
    /// What was asked for.
    pub(super) action: &'a Action,
    /// The number of its definition: the same for the same definition.
    pub(super) definition: Option<u16>,
    /// The number of its `Idempotency-Key`, if that was used more than once.
    pub(super) key: Option<u16>,
    /// Whether it had an `Idempotency-Key` at all.
    pub(super) named: bool,
    /// What came of it.
    pub(super) result: OpResult<'a>,
    /// When it was called.
    pub(super) call_ns: u64,
    /// When it returned; the end of time if it is unknown.
    pub(super) return_ns: u64,
}

/// What came of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum OpResult<'a> {
    /// It took effect, or read.
    Done(&'a Answer),
    /// It did not, and why that is tells something.
    Refused(Reason, &'a Refusal),
    /// Nobody knows.
    Unknown,
}

/// Refusals that tell something about the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is none.
    NotFound,
    /// A precondition on existence or version fails.
    Mismatch,
    /// It is finished.
    Finished,
    /// It is not finished.
    NotFinished,
}

impl Op<'_> {
    /// Whether it may be left out: it may never take effect.
    pub(super) const fn is_optional(&self) -> bool {
        matches!(self.result, OpResult::Unknown)
    }
}

/// The operations that say something, by the time of their calls.
pub(super) fn prepare(operations: &[Operation]) -> Vec<Op<'_>> {
    let mut definitions: Vec<&Definition> = Vec::new();
    let mut keys: Vec<&str> = Vec::new();
    let mut prepared = Vec::with_capacity(operations.len());
    for (position, operation) in operations.iter().enumerate() {
        let Some(result) = result(operation) else { continue };
        let definition = operation.action.definition().map(|definition| number(&mut definitions, definition));
        let key = operation.key.as_deref();
        let repeated = key.filter(|key| uses(operations, key) > 1);
        prepared.push(Op {
            position,
            action: &operation.action,
            definition,
            key: repeated.map(|key| number(&mut keys, key)),
            named: key.is_some(),
            result,
            call_ns: operation.call_ns,
            return_ns: operation.return_ns,
        });
    }
    prepared
}

fn result(operation: &Operation) -> Option<OpResult<'_>> {
    match &operation.outcome {
        Outcome::Ok(answer) => Some(OpResult::Done(answer)),
        Outcome::Refused(refusal) => {
            reason(&operation.action, refusal).map(|reason| OpResult::Refused(reason, refusal))
        }
        Outcome::Unknown { .. } => operation.action.is_mutation().then_some(OpResult::Unknown),
    }
}

fn reason(action: &Action, refusal: &Refusal) -> Option<Reason> {
    match refusal.code.as_str() {
        "TIMER_NOT_FOUND" => Some(Reason::NotFound),
        "VERSION_MISMATCH" if action.is_mutation() => Some(Reason::Mismatch),
        "TIMER_FINISHED" if action.is_mutation() => Some(Reason::Finished),
        "TIMER_NOT_FINISHED" if action.is_mutation() => Some(Reason::NotFinished),
        _ => None,
    }
}

fn uses(operations: &[Operation], key: &str) -> usize {
    operations.iter().filter(|operation| operation.key.as_deref() == Some(key)).count()
}

/// The number of `item`: its place among those that were seen, at most [`u16::MAX`], which a timer's operations
/// stay far below.
fn number<'a, T: PartialEq + ?Sized>(seen: &mut Vec<&'a T>, item: &'a T) -> u16 {
    let place = seen.iter().position(|known| *known == item).unwrap_or_else(|| {
        seen.push(item);
        seen.len() - 1
    });
    u16::try_from(place).unwrap_or(u16::MAX)
}
