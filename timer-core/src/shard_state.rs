//! What a shard knows beside its timers.

use alloc::vec::Vec;

use crate::ids::{NodeId, Sequence, TimerKey};
use crate::time::Millis;
use crate::timer::State;

/// Replicated with the shard's timers and changed only by commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardState {
    /// The newest time that a command carried: time never goes back behind it.
    pub last_time: Millis,
    /// No pending timer has a wheel position below it.
    pub cursor: Millis,
    /// The leader that may start attempts, or none before the first.
    pub session: Option<Session>,
    /// Timers by state, in the order of [`State::ALL`].
    pub counts: [u64; State::ALL.len()],
    /// Groups that have a record here, those that are gone included.
    pub groups: u64,
    /// Timers that are parked.
    pub parked: u64,
    /// The newest change of all that were erased together with their timers, purges included: what it answered is
    /// not known any more.
    pub newest_erased: Option<Sequence>,
}

impl ShardState {
    /// Whether the session `number` is the one that may start attempts.
    #[must_use]
    pub fn is_open(&self, number: u64) -> bool {
        self.session.as_ref().is_some_and(|session| session.number == number)
    }
}

/// A leader's term of office. Opened by its first command; the log index of that command is its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Strictly growing: the middle part of the fencing token.
    pub number: u64,
    /// The leader.
    pub node: NodeId,
    /// When it was opened.
    pub opened_at: Millis,
    /// How the one before had ended.
    pub predecessor: Predecessor,
    /// Leaders that vanished not long ago, also if the last one handed over.
    pub lost: Option<Lost>,
    /// Set when this session has handed over: what it had on its way. It starts nothing more.
    pub handed_over: Option<Vec<OpenAttempt>>,
}

/// How the session before had ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Predecessor {
    /// There was none.
    #[default]
    None,
    /// It vanished: whatever was due may have been on its way.
    Lost,
    /// It handed over: only these were on their way, and their outcomes are awaited.
    HandedOver(Vec<OpenAttempt>),
}

/// That leaders vanished, and what they may have sent has not ended yet.
///
/// It outlives a hand-over: the leader that hands over names what itself has sent, not what may be on its way
/// of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The session that was opened after the newest of them. They can't have sent what was made in it.
    pub session: u64,
    /// When that was. All that they have sent ends a callback time-out after it.
    pub opened_at: Millis,
    /// When the session after the first of them was opened; `since <= opened_at`. Leaders that vanish within
    /// [`CALLBACK_TIMEOUT_MAX`](crate::limits::CALLBACK_TIMEOUT_MAX) of each other count together.
    pub since: Millis,
}

/// An attempt on its way whose outcome is not known yet.
///
/// The next leader waits for its outcome, or for `until` plus
/// [`CLOCK_OFFSET_MAX`](crate::limits::CLOCK_OFFSET_MAX) by its own clock, before it makes this attempt itself:
/// an outcome of this number then says that this one has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAttempt {
    /// The timer.
    pub key: TimerKey,
    /// Its generation.
    pub generation: Sequence,
    /// The attempt's number.
    pub attempt: u32,
    /// When its time-out ends it.
    pub until: Millis,
}
