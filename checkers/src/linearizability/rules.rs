//! What each operation does to a timer, by `api.yaml` and `timer_core::command`: the sequential specification.
//! Written anew here from the contract, since a checker that shared the product's code would share its faults.
//! Deliberately not here: time. That an attempt comes neither early nor twice is for other invariants.

use std::fmt;

use super::operations::{Op, OpResult, Reason};
use super::register::{Number, Record, Register, States};
use crate::history::{Action, Answer, Definition, Patch, State};

/// Why an operation does not fit at a point of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// There is no such timer then.
    Absent,
    /// There is one.
    Present,
    /// It shows another generation than the one in force.
    OtherGeneration,
    /// It shows an older version than the one in force.
    OlderVersion,
    /// The version is another though neither a client nor an attempt can have changed it.
    ChangedByNobody,
    /// State or attempts can't be those of that version.
    State,
    /// Time, payload or labels are not those of the definition in force.
    Definition,
    /// What it made has a number that is not larger than all before, or a generation that is not its version.
    NotNew,
    /// It took effect though its precondition did not hold.
    Precondition,
    /// It took effect though the timer was finished.
    Finished,
    /// It took effect though the timer was not finished.
    NotFinished,
    /// The status is not the one for what it did.
    Status,
    /// The refusal is not true.
    Refusal,
    /// A repeated request was not given its first answer.
    Kept,
    /// Its outcome is unknown and it would have changed nothing.
    NoEffect,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there was no such timer at that point",
            Self::Present => "there was a timer of this id at that point",
            Self::OtherGeneration => "it shows another generation than the one in force",
            Self::OlderVersion => "it shows an older version than the one in force",
            Self::ChangedByNobody => "the version had changed and nobody can have changed it",
            Self::State => "the state or the attempts can't be those of that version",
            Self::Definition => "the time, payload or labels are not those of the definition in force",
            Self::NotNew => "the number of what it made is not larger than all before it",
            Self::Precondition => "it took effect though its precondition did not hold",
            Self::Finished => "it took effect though the timer was finished",
            Self::NotFinished => "it took effect though the timer was not finished",
            Self::Status => "the status is not the one for what it did",
            Self::Refusal => "the reason that the refusal gives was not true",
            Self::Kept => "a repeated request was not given its first answer again",
            Self::NoEffect => "it would have changed nothing",
        })
    }
}

/// What is known after `op`, which is number `at` in its list, if it may come at this point.
pub(super) fn step(before: &Register, at: u16, op: &Op<'_>) -> Result<Register, Misfit> {
    let mut after = before.clone();
    let kept = op.key.filter(|key| after.kept.iter().any(|kept| kept.key == *key));
    match (kept, op.result) {
        (Some(key), OpResult::Done(answer)) => after.give_again(key, answer)?,
        (Some(_), OpResult::Refused(..)) => return Err(Misfit::Kept),
        (Some(_), OpResult::Unknown) => return Err(Misfit::NoEffect),
        (None, result) => match op.action {
            Action::Create { definition } => create(&mut after, at, op, definition)?,
            Action::Put { definition, if_match } => put(&mut after, at, op, definition, *if_match)?,
            Action::Patch { patch, if_match } => self::patch(&mut after, at, op, patch, *if_match)?,
            Action::Get => get(&mut after, result)?,
            Action::Delete { if_match, purge: false } => cancel(&mut after, at, op, *if_match)?,
            Action::Delete { if_match, purge: true } => purge(&mut after, result, *if_match)?,
        },
    }
    Ok(after)
}

fn get(register: &mut Register, result: OpResult<'_>) -> Result<(), Misfit> {
    match result {
        OpResult::Done(answer) => register.observe(answer),
        OpResult::Refused(Reason::NotFound, _) => absent(register),
        OpResult::Refused(..) => Err(Misfit::Refusal),
        OpResult::Unknown => Err(Misfit::NoEffect),
    }
}

fn create(register: &mut Register, at: u16, op: &Op<'_>, definition: &Definition) -> Result<(), Misfit> {
    let exists = register.record.as_ref().is_some_and(Record::is_in_force);
    match op.result {
        OpResult::Refused(Reason::Mismatch, refusal) if exists => {
            refusal.version.map_or(Err(Misfit::Refusal), |version| register.at_version(version))
        }
        OpResult::Refused(..) => Err(Misfit::Refusal),
        OpResult::Done(_) if exists => Err(Misfit::Present),
        OpResult::Unknown if exists => Err(Misfit::NoEffect),
        OpResult::Done(_) | OpResult::Unknown => renew(register, at, op, definition, op.definition),
    }
}

fn put(
    register: &mut Register,
    at: u16,
    op: &Op<'_>,
    definition: &Definition,
    if_match: Option<u64>,
) -> Result<(), Misfit> {
    if let OpResult::Refused(reason, refusal) = op.result {
        return match (reason, if_match) {
            (Reason::Mismatch, Some(wanted)) => mismatch(register, wanted, refusal.version),
            (Reason::Mismatch | Reason::NotFound | Reason::Finished | Reason::NotFinished, _) => {
                Err(Misfit::Refusal)
            }
        };
    }
    require(register, if_match)?;
    let existing = register.record.as_ref().filter(|record| record.is_in_force());
    if existing.is_some_and(|record| record.fingerprint == op.definition) {
        return match op.result {
            OpResult::Done(answer) if answer.status != 200 => Err(Misfit::Status),
            OpResult::Done(_) | OpResult::Refused(..) | OpResult::Unknown => unchanged(register, op),
        };
    }
    renew(register, at, op, definition, op.definition)
}

/// It found the timer as it was to be. That shows afterwards only if the client named the request: then its answer is
/// kept like any other, though nothing has changed.
fn unchanged(register: &mut Register, op: &Op<'_>) -> Result<(), Misfit> {
    match op.result {
        OpResult::Done(answer) => register.observe(answer)?,
        OpResult::Unknown if op.named => {}
        OpResult::Unknown | OpResult::Refused(..) => return Err(Misfit::NoEffect),
    }
    if op.named {
        register.keep(op.key, 200);
    }
    Ok(())
}

fn patch(
    register: &mut Register,
    at: u16,
    op: &Op<'_>,
    patch: &Patch,
    if_match: Option<u64>,
) -> Result<(), Misfit> {
    if let OpResult::Refused(Reason::Finished, refusal) = op.result {
        require(register, if_match)?;
        return ended(register, refusal.timer.as_ref(), States::ENDED.or(States::only(State::Cancelled)));
    }
    if may_go_on(register, op.result, if_match)? {
        return Ok(());
    }
    let record = register.record.as_ref().ok_or(Misfit::Absent)?;
    if !record.states.may_advance() {
        return Err(no_effect_or(op.result, Misfit::Finished));
    }
    let changed = Definition {
        execute_at_ms: patch.execute_at_ms.unwrap_or(record.execute_at_ms),
        payload: patch.payload.unwrap_or(record.payload),
        label: patch.label.unwrap_or(record.label),
        callback_timeout_ms: None,
        retry: None,
    };
    if changed.execute_at_ms != record.execute_at_ms || changed.payload != record.payload {
        return renew(register, at, op, &changed, None);
    }
    if changed.label == record.label {
        return match op.result {
            OpResult::Done(answer) if !answer.state.is_pending() => Err(Misfit::State),
            OpResult::Done(_) | OpResult::Refused(..) | OpResult::Unknown => unchanged(register, op),
        };
    }
    relabel(register, at, op, changed.label, if_match.is_some())
}

fn cancel(register: &mut Register, at: u16, op: &Op<'_>, if_match: Option<u64>) -> Result<(), Misfit> {
    if let OpResult::Refused(Reason::Finished, refusal) = op.result {
        require(register, if_match)?;
        return ended(register, refusal.timer.as_ref(), States::ENDED);
    }
    if may_go_on(register, op.result, if_match)? {
        return Ok(());
    }
    let record = register.record.as_ref().ok_or(Misfit::Absent)?;
    if !record.is_in_force() {
        return unchanged(register, op);
    }
    if !record.states.may_advance() {
        return Err(no_effect_or(op.result, Misfit::Finished));
    }
    change(register, at, op, if_match.is_some(), States::only(State::Cancelled))
}

fn purge(register: &mut Register, result: OpResult<'_>, if_match: Option<u64>) -> Result<(), Misfit> {
    if let OpResult::Refused(Reason::NotFinished, refusal) = result {
        require(register, if_match)?;
        return match &refusal.timer {
            Some(timer) if timer.state.is_pending() => register.observe(timer),
            Some(_) => Err(Misfit::Refusal),
            None => {
                let states = register.record.as_ref().map(|record| record.states);
                if states.is_some_and(States::may_advance) { Ok(()) } else { Err(Misfit::Refusal) }
            }
        };
    }
    if may_go_on(register, result, if_match)? {
        return Ok(());
    }
    if let OpResult::Done(answer) = result {
        register.observe(answer)?;
        if answer.state.is_pending() {
            return Err(Misfit::NotFinished);
        }
    }
    let record = register.record.as_ref().ok_or(Misfit::Absent)?;
    // An unknown one may have met a timer that had ended by itself, unless it asked for a version that was pending.
    if if_match.is_some() && !record.states.may_have_ended() {
        return Err(no_effect_or(result, Misfit::NotFinished));
    }
    register.record = None;
    register.kept.clear();
    Ok(())
}

/// What PATCH and DELETE have in common: `true` if the refusal is explained, `false` if it may take effect.
fn may_go_on(register: &mut Register, result: OpResult<'_>, if_match: Option<u64>) -> Result<bool, Misfit> {
    match (result, if_match) {
        (OpResult::Refused(Reason::NotFound, _), _) => absent(register).map(|()| true),
        (OpResult::Refused(Reason::Mismatch, refusal), Some(wanted)) if register.record.is_some() => {
            mismatch(register, wanted, refusal.version).map(|()| true)
        }
        (OpResult::Refused(..), _) => Err(Misfit::Refusal),
        (OpResult::Unknown, _) if register.record.is_none() => Err(Misfit::NoEffect),
        (OpResult::Done(_) | OpResult::Unknown, _) => require(register, if_match).map(|()| false),
    }
}

/// That there is no timer.
fn absent(register: &Register) -> Result<(), Misfit> {
    if register.record.is_none() { Ok(()) } else { Err(Misfit::Present) }
}

/// That the version is the one asked for, if one was.
fn require(register: &mut Register, if_match: Option<u64>) -> Result<(), Misfit> {
    if_match.map_or(Ok(()), |version| register.at_version(version).map_err(|_| Misfit::Precondition))
}

/// That the version was not `wanted` but `told`.
fn mismatch(register: &mut Register, wanted: u64, told: Option<u64>) -> Result<(), Misfit> {
    match (register.record.as_ref(), told) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Misfit::Absent),
        // No version is told only where there is none.
        (Some(_), None) => Err(Misfit::Refusal),
        (Some(_), Some(told)) if told == wanted => Err(Misfit::Refusal),
        (Some(_), Some(told)) => register.at_version(told),
    }
}

/// That the timer is finished in one of `states`, as `shown`.
fn ended(register: &mut Register, shown: Option<&Answer>, states: States) -> Result<(), Misfit> {
    match shown {
        Some(answer) if states.has(answer.state) => register.observe(answer),
        Some(_) => Err(Misfit::Refusal),
        None => {
            let record = register.record.as_ref().ok_or(Misfit::Absent)?;
            let may = record.states.meets(states) || record.states.may_advance();
            if may { Ok(()) } else { Err(Misfit::Refusal) }
        }
    }
}

/// `otherwise`, unless nothing needs to have happened.
const fn no_effect_or(result: OpResult<'_>, otherwise: Misfit) -> Misfit {
    match result {
        OpResult::Unknown => Misfit::NoEffect,
        OpResult::Done(_) | OpResult::Refused(..) => otherwise,
    }
}

/// A new generation of `definition` comes into force.
fn renew(
    register: &mut Register,
    at: u16,
    op: &Op<'_>,
    definition: &Definition,
    fingerprint: Option<u16>,
) -> Result<(), Misfit> {
    let exists = register.record.as_ref().is_some_and(Record::is_in_force);
    let status = if exists { 200 } else { 201 };
    let number = match op.result {
        OpResult::Done(answer) => {
            if answer.status != status {
                return Err(Misfit::Status);
            }
            if answer.generation != answer.version || answer.version <= register.floor {
                return Err(Misfit::NotNew);
            }
            Number::Is(answer.version)
        }
        OpResult::Unknown => Number::Made { op: at, above: register.floor },
        OpResult::Refused(..) => return Err(Misfit::Refusal),
    };
    let record = Record {
        generation: number,
        version: number,
        states: States::only(State::Scheduled),
        attempts: 0,
        attempts_exact: true,
        execute_at_ms: definition.execute_at_ms,
        payload: definition.payload,
        label: definition.label,
        fingerprint,
    };
    if let OpResult::Done(answer) = op.result {
        if answer.state != State::Scheduled || (!answer.replayed && answer.attempts != 0) {
            return Err(Misfit::State);
        }
        if !answer.replayed && !record.has_definition_of(answer) {
            return Err(Misfit::Definition);
        }
        register.floor = answer.version;
    }
    register.record = Some(record);
    register.keep(op.key, status);
    Ok(())
}

/// Other labels: another version of the same generation.
fn relabel(register: &mut Register, at: u16, op: &Op<'_>, label: u64, exactly: bool) -> Result<(), Misfit> {
    let record = register.record.as_mut().ok_or(Misfit::Absent)?;
    record.label = label;
    record.fingerprint = None;
    change(register, at, op, exactly, States::PENDING)
}

/// The version changes and the state becomes one of `into`; `exactly`: nothing came between this and what is
/// known, because a version was asked for.
fn change(register: &mut Register, at: u16, op: &Op<'_>, exactly: bool, into: States) -> Result<(), Misfit> {
    let floor = register.floor;
    let cancels = into == States::only(State::Cancelled);
    match op.result {
        OpResult::Refused(..) => return Err(Misfit::Refusal),
        OpResult::Done(answer) => {
            register.learn_generation(answer.generation)?;
            let record = register.record.as_mut().ok_or(Misfit::Absent)?;
            if answer.version <= floor || answer.version <= answer.generation {
                return Err(Misfit::NotNew);
            }
            // A cancelled one no longer shows which of the pending states it was in.
            let was = |state| record.fits(state, answer.attempts);
            let as_known =
                if cancels { was(State::Scheduled) || was(State::Retrying) } else { was(answer.state) };
            let became = !exactly && record.may_become(State::Retrying, answer.attempts);
            let by_itself = became && (cancels || answer.state == State::Retrying);
            if !into.has(answer.state) || !(answer.replayed || as_known || by_itself) {
                return Err(Misfit::State);
            }
            if !answer.replayed && !record.has_definition_of(answer) {
                return Err(Misfit::Definition);
            }
            record.version = Number::Is(answer.version);
            record.states = States::only(answer.state);
            if !answer.replayed {
                record.attempts = answer.attempts;
                record.attempts_exact = true;
            }
            register.floor = answer.version;
        }
        OpResult::Unknown => {
            let record = register.record.as_mut().ok_or(Misfit::Absent)?;
            record.version = Number::Made { op: at, above: floor };
            if cancels {
                record.states = into;
            } else if exactly {
                record.states = record.states.and(into);
            } else {
                record.states = record.states.and(into).or(States::only(State::Retrying));
            }
            record.attempts_exact &= exactly;
        }
    }
    register.keep(op.key, 200);
    Ok(())
}
