//! What can be known of one timer at a point of an order: its record, the version numbers that are taken, the
//! answers that it keeps for repeated requests. Deliberately not here: what operations do to it ([`super::rules`]).
//!
//! The service changes a timer by itself: when the outcome of an attempt is counted, the version changes, one
//! attempt is added, and the state becomes retrying, delivered or dead. Such a change needs no witness, so a
//! register stands for all that its timer may have become by itself since it was last seen: it *may advance*
//! as long as it is pending. That keeps the search from guessing when the service did what.

use super::rules::Misfit;
use crate::history::{Answer, State};

/// Answers that a timer keeps for repeated requests (`KEPT_ANSWERS_MAX` of timer-core).
const KEPT_ANSWERS_MAX: u8 = 4;

/// What is known of one timer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Register {
    /// The record, unless there is none.
    pub(super) record: Option<Record>,
    /// The largest version that is known to be taken. New ones are larger.
    pub(super) floor: u64,
    /// Answers kept for keys that were used more than once, oldest first.
    pub(super) kept: Vec<Kept>,
}

/// A generation or version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Number {
    /// An answer told it.
    Is(u64),
    /// The operation of this number made it, and nobody was told; it is larger than `above`.
    Made { op: u16, above: u64 },
}

/// A timer's record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) generation: Number,
    pub(super) version: Number,
    /// The states that it may be in at `version`.
    pub(super) states: States,
    /// The attempts counted at `version`, or a lower bound.
    pub(super) attempts: u32,
    /// Whether `attempts` is no mere lower bound.
    pub(super) attempts_exact: bool,
    pub(super) execute_at_ms: u64,
    pub(super) payload: u64,
    pub(super) label: u64,
    /// The number of the definition as it was sent; none after a patch.
    pub(super) fingerprint: Option<u16>,
}

/// An answer that is kept for a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kept {
    pub(super) key: u16,
    status: u16,
    generation: Number,
    version: Number,
    states: States,
    /// What the next change made: numbers that are not known yet are smaller.
    below: u64,
    /// Answers that have been kept since.
    newer: u8,
}

/// A set of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct States(u8);

impl States {
    /// Pending ones.
    pub(super) const PENDING: Self = Self::of(&[State::Scheduled, State::Retrying]);
    /// What a pending timer becomes when an attempt is counted.
    pub(super) const ADVANCED: Self = Self::of(&[State::Retrying, State::Delivered, State::Dead]);
    /// What attempts end in.
    pub(super) const ENDED: Self = Self::of(&[State::Delivered, State::Dead]);

    pub(super) const fn only(state: State) -> Self {
        Self(1 << state as u8)
    }

    const fn of(states: &[State]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < states.len() {
            bits |= 1 << states[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    pub(super) const fn has(self, state: State) -> bool {
        self.0 & Self::only(state).0 != 0
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it may be over.
    pub(super) const fn may_have_ended(self) -> bool {
        self.0 & !Self::PENDING.0 != 0
    }

    /// Whether the service may still change it by itself.
    pub(super) const fn may_advance(self) -> bool {
        self.meets(Self::PENDING)
    }
}

/// How an answer's version relates to the one that was known last.
enum Reach {
    Same,
    Later,
    Either,
}

impl Record {
    /// Whether the id counts as taken: it does, unless cancelled. That is never in doubt, since only a client
    /// can cancel.
    pub(super) fn is_in_force(&self) -> bool {
        self.states != States::only(State::Cancelled)
    }

    /// Whether `attempts`, seen in `state`, may be what the record has at its version.
    pub(super) const fn fits(&self, state: State, attempts: u32) -> bool {
        let enough = if self.attempts_exact { attempts == self.attempts } else { attempts >= self.attempts };
        enough && self.states.has(state)
    }

    /// Whether it may have come to `state` and `attempts` by itself since.
    pub(super) const fn may_become(&self, state: State, attempts: u32) -> bool {
        self.states.may_advance() && States::ADVANCED.has(state) && attempts > self.attempts
    }

    /// Whether an answer shows this definition. The payload is dropped when a timer ends otherwise than dead.
    pub(super) fn has_definition_of(&self, answer: &Answer) -> bool {
        let shows_payload = answer.state.is_pending() || answer.state == State::Dead;
        let payload = if shows_payload { Some(answer.payload.unwrap_or(0)) } else { answer.payload };
        answer.execute_at_ms == self.execute_at_ms
            && answer.label == self.label
            && payload.is_none_or(|payload| payload == self.payload)
    }
}

impl Register {
    /// Takes what a read of the timer shows.
    pub(super) fn observe(&mut self, answer: &Answer) -> Result<(), Misfit> {
        if answer.version < answer.generation {
            return Err(Misfit::OlderVersion);
        }
        self.learn_generation(answer.generation)?;
        let reach = self.reach(answer.version)?;
        let record = self.record.as_mut().ok_or(Misfit::Absent)?;
        let (state, attempts) = (answer.state, answer.attempts);
        let fits = match reach {
            Reach::Same => record.fits(state, attempts),
            Reach::Later => record.may_become(state, attempts),
            Reach::Either => record.fits(state, attempts) || record.may_become(state, attempts),
        };
        if answer.replayed {
            // State and numbers are of the first answer, the rest is of another moment.
            if !record.states.or(States::ADVANCED).has(state) {
                return Err(Misfit::State);
            }
        } else {
            if !fits {
                return Err(Misfit::State);
            }
            if !record.has_definition_of(answer) {
                return Err(Misfit::Definition);
            }
            record.attempts = attempts;
            record.attempts_exact = true;
        }
        record.version = Number::Is(answer.version);
        record.states = States::only(state);
        self.floor = self.floor.max(answer.version);
        Ok(())
    }

    /// Takes that the version is `version` now.
    pub(super) fn at_version(&mut self, version: u64) -> Result<(), Misfit> {
        let reach = self.reach(version)?;
        let record = self.record.as_mut().ok_or(Misfit::Absent)?;
        match reach {
            Reach::Same => {}
            Reach::Later => {
                record.states = States::ADVANCED;
                record.attempts += 1;
                record.attempts_exact = false;
            }
            Reach::Either => {
                record.states = record.states.or(States::ADVANCED);
                record.attempts_exact = false;
            }
        }
        record.version = Number::Is(version);
        self.floor = self.floor.max(version);
        Ok(())
    }

    /// How `version` relates to what is known, if it can be the timer's now.
    fn reach(&mut self, version: u64) -> Result<Reach, Misfit> {
        let record = self.record.as_ref().ok_or(Misfit::Absent)?;
        let may_advance = record.states.may_advance();
        match record.version {
            Number::Is(known) if version == known => Ok(Reach::Same),
            Number::Is(known) if version < known => Err(Misfit::OlderVersion),
            Number::Is(_) if may_advance => Ok(Reach::Later),
            Number::Is(_) => Err(Misfit::ChangedByNobody),
            Number::Made { above, .. } if version <= above => Err(Misfit::OlderVersion),
            Number::Made { .. } if may_advance => Ok(Reach::Either),
            Number::Made { op, .. } => {
                self.learn(op, version);
                Ok(Reach::Same)
            }
        }
    }

    /// Takes that the generation in force is `generation`.
    pub(super) fn learn_generation(&mut self, generation: u64) -> Result<(), Misfit> {
        let record = self.record.as_ref().ok_or(Misfit::Absent)?;
        match record.generation {
            Number::Is(known) if known == generation => Ok(()),
            Number::Made { op, above } if generation > above => {
                self.learn(op, generation);
                self.floor = self.floor.max(generation);
                Ok(())
            }
            Number::Is(_) | Number::Made { .. } => Err(Misfit::OtherGeneration),
        }
    }

    /// Puts `number` in for what `op` made, everywhere.
    fn learn(&mut self, op: u16, number: u64) {
        let put_in = |place: &mut Number| {
            if matches!(place, Number::Made { op: made, .. } if *made == op) {
                *place = Number::Is(number);
            }
        };
        if let Some(record) = &mut self.record {
            put_in(&mut record.generation);
            put_in(&mut record.version);
        }
        for kept in &mut self.kept {
            put_in(&mut kept.generation);
            put_in(&mut kept.version);
        }
    }

    /// Keeps the answer of the command that has just changed the record, with `status`, for `key` if it was used again.
    /// Commands without such a key push older answers out as well: the server names every request.
    pub(super) fn keep(&mut self, key: Option<u16>, status: u16) {
        let version = self.record.as_ref().map(|record| record.version);
        for kept in &mut self.kept {
            kept.newer += 1;
            if let Some(Number::Is(next)) = version {
                kept.below = kept.below.min(next);
            }
        }
        self.kept.retain(|kept| kept.newer < KEPT_ANSWERS_MAX);
        if let (Some(key), Some(record)) = (key, &self.record) {
            let Record { generation, version, states, .. } = *record;
            self.kept.push(Kept { key, status, generation, version, states, below: u64::MAX, newer: 0 });
        }
    }

    /// Takes `answer` as the kept answer of `key`, given again and marked as such.
    pub(super) fn give_again(&mut self, key: u16, answer: &Answer) -> Result<(), Misfit> {
        let find = |register: &Self| register.kept.iter().find(|kept| kept.key == key).cloned();
        let kept = find(self).ok_or(Misfit::Kept)?;
        self.learn_kept(kept.generation, answer.generation, kept.below)?;
        // What was learnt of the generation may be the version too.
        let kept = find(self).ok_or(Misfit::Kept)?;
        self.learn_kept(kept.version, answer.version, kept.below)?;
        let same = kept.states.has(answer.state) && kept.status == answer.status;
        if same && answer.replayed { Ok(()) } else { Err(Misfit::Kept) }
    }

    /// Takes that `number`, which is kept, is `told`; it is smaller than `below`.
    fn learn_kept(&mut self, number: Number, told: u64, below: u64) -> Result<(), Misfit> {
        match number {
            Number::Is(known) if known == told => Ok(()),
            Number::Made { op, above } if told > above && told < below => {
                self.learn(op, told);
                Ok(())
            }
            Number::Is(_) | Number::Made { .. } => Err(Misfit::Kept),
        }
    }
}
