//! A timer as every replica stores it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::attempt::Trigger;
use crate::definition::{Definition, Payload};
use crate::group::GroupSettings;
use crate::ids::{Sequence, TimerKey};
use crate::limits::KEPT_ANSWERS_MAX;
use crate::mutant::Mutant;
use crate::time::Millis;

/// A timer's record.
///
/// Invariants, asserted where a record is stored ([`Timer::check`]):
/// `generation <= version`; `position` and `next_attempt_at` are there exactly while it is pending, and
/// `next_attempt_at <= position`; only what is pending is parked; `purge_at` is there exactly when it is finished;
/// `attempts_forgiven <= attempts`; at most [`KEPT_ANSWERS_MAX`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// What names it.
    pub key: TimerKey,
    /// The command that made this definition.
    pub generation: Sequence,
    /// The command that changed it last.
    pub version: Sequence,
    /// Where it stands.
    pub state: State,
    /// What the user asked for. The payload is dropped when it ends otherwise than dead.
    pub definition: Definition,
    /// Names the definition as it was sent, so that a repeated PUT is known for what it is. None after a
    /// patch: the definition is no longer one that somebody sent whole.
    pub fingerprint: Option<Fingerprint>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Millis>,
    /// Its place in the wheel: `max(next_attempt_at, cursor, time of the command)`.
    pub position: Option<Millis>,
    /// Since when it is parked: due, and kept from going. It is not in the wheel then, but among what is parked, with the
    /// same position.
    pub parked_at: Option<Millis>,
    /// Attempts of this generation whose outcome is known, without those that were answered "not yet".
    pub attempts: u32,
    /// The attempts that the retry policy does not count any more, after a redrive.
    pub attempts_forgiven: u32,
    /// When the first attempt that the policy counts began.
    pub first_attempt_at: Option<Millis>,
    /// "Not yet" answers of this generation since the last redrive, which adds them to `attempts`.
    pub deferrals: u32,
    /// Attempts of all generations that were ever recorded in the history, which keeps the newest
    /// [`ATTEMPTS_KEPT_MAX`](crate::limits::ATTEMPTS_KEPT_MAX) of them.
    pub attempts_recorded: u64,
    /// Set by fire-now: the next attempt does not wait for `execute_at`, and says so.
    pub manual: bool,
    /// When the id was created (again).
    pub created_at: Millis,
    /// When it changed last.
    pub updated_at: Millis,
    /// When the attempt that ended it was answered.
    pub executed_at: Option<Millis>,
    /// What went wrong last.
    pub last_error: Option<LastError>,
    /// What a delete or replace found on its way.
    pub in_flight: InFlight,
    /// The newest answers to requests that changed it, oldest first.
    pub answers: Vec<KeptAnswer>,
    /// When the record may be erased.
    pub purge_at: Option<Millis>,
    /// The W3C `traceparent` of the request that made this generation.
    pub traceparent: Option<String>,
}

/// Where a timer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Waits for `execute_at`.
    Scheduled,
    /// Waits for its next attempt.
    Retrying,
    /// A receiver took it.
    Delivered,
    /// No receiver took it and no attempt is left.
    Dead,
    /// Its time had passed by more than the grace window.
    Skipped,
    /// A user cancelled it.
    Cancelled,
}

impl State {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Scheduled, Self::Retrying, Self::Delivered, Self::Dead, Self::Skipped, Self::Cancelled];

    /// Whether attempts may still start.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Scheduled | Self::Retrying)
    }

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The first 16 bytes of the SHA-256 of something canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

/// What went wrong in an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// The number of a finer kind that only a newer version knows; `kind` is then its [`ErrorKind::broad`] one. It
    /// is kept as it is, so that replicas of two versions hold the same.
    pub newer_kind: Option<i32>,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// For people; at most [`ERROR_BYTES_MAX`](crate::limits::ERROR_BYTES_MAX) bytes.
    pub message: String,
    /// When the attempt ended.
    pub at: Millis,
}

/// What kind of failure an attempt met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// An answer whose status means failure.
    HttpStatus,
    /// An answer `{"ok": false}`.
    ReceiverRefused,
    /// The time-out passed; see the finer kinds for what was waited for.
    TimedOut,
    /// No connection, for another reason than the finer kinds name.
    Connect,
    /// The name could not be resolved.
    Dns,
    /// No secure connection, for another reason than the finer kinds name.
    Tls,
    /// The connection ended without an answer, or the answer was not HTTP.
    Transport,
    /// The address is one that callbacks must not go to.
    BlockedAddress,
    /// The answer named a time that can't be used.
    InvalidCallbackAnswer,
    /// Too many "not yet" answers.
    TooManyDeferrals,
    /// The callback could not be made into a request.
    InvalidCallback,
    /// The receiver's certificate has expired.
    TlsCertificateExpired,
    /// The receiver's certificate is for another host.
    TlsWrongHost,
    /// The receiver's certificate comes from an authority that is not trusted here.
    TlsUnknownCa,
    /// What the receiver speaks is no TLS, or none that both sides can.
    TlsProtocol,
    /// Nobody listens at the address.
    ConnectionRefused,
    /// The other side cut the connection off.
    ConnectionReset,
    /// The time-out passed before there was a connection.
    ConnectTimedOut,
    /// The time-out passed before the answer began.
    AnswerTimedOut,
    /// The time-out passed before the answer ended.
    ReadTimedOut,
}

impl ErrorKind {
    /// The kind that stands for this one where the finer ones are not known: one of those that every version knows.
    #[must_use]
    pub const fn broad(self) -> Self {
        match self {
            Self::TlsCertificateExpired | Self::TlsWrongHost | Self::TlsUnknownCa | Self::TlsProtocol => {
                Self::Tls
            }
            Self::ConnectionRefused => Self::Connect,
            Self::ConnectionReset => Self::Transport,
            Self::ConnectTimedOut | Self::AnswerTimedOut | Self::ReadTimedOut => Self::TimedOut,
            Self::HttpStatus
            | Self::ReceiverRefused
            | Self::TimedOut
            | Self::Connect
            | Self::Dns
            | Self::Tls
            | Self::Transport
            | Self::BlockedAddress
            | Self::InvalidCallbackAnswer
            | Self::TooManyDeferrals
            | Self::InvalidCallback => self,
        }
    }
}

/// Whether an attempt of a definition that was replaced or cancelled may still arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InFlight {
    /// None is, and none will start.
    #[default]
    No,
    /// One had been sent; it ends by `until`.
    Yes {
        /// When its time-out ends it.
        until: Millis,
    },
    /// A leader that is gone may have sent one; it ends by `until`.
    Possible {
        /// When its time-out ends it.
        until: Millis,
    },
}

impl InFlight {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes { .. } => "yes",
            Self::Possible { .. } => "possible",
        }
    }
}

/// Names a request, so that a repeated one is known for what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The client's `Idempotency-Key`, or an id minted once by the node that took the request.
    pub id: String,
    /// What the request asked for: the same id with another body is refused.
    pub body: Fingerprint,
}

impl RequestKey {
    /// How the ids begin that a node mints.
    pub const MINTED: &'static str = "minted-";

    /// Whether a node made it for a request that came without an `Idempotency-Key`. Nobody but that node repeats
    /// it, and only until it has an answer.
    #[must_use]
    pub fn is_minted(&self) -> bool {
        self.id.starts_with(Self::MINTED)
    }
}

/// The answer that a request got, kept to be given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The request.
    pub request: RequestKey,
    /// When it was answered.
    pub at: Millis,
    /// What it had done.
    pub effect: Effect,
    /// The generation then.
    pub generation: Sequence,
    /// The version then.
    pub version: Sequence,
    /// The state then.
    pub state: State,
    /// What was on its way then.
    pub in_flight: InFlight,
}

/// What a request did to a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// There was none of this id.
    Created,
    /// A new generation took its place.
    Replaced,
    /// It had this very definition.
    Unchanged,
    /// Some of it changed.
    Patched,
    /// It will not fire.
    Cancelled,
    /// It had been cancelled before.
    AlreadyCancelled,
    /// The record is gone.
    Purged,
    /// It is due now.
    Fired,
    /// A dead one is due again.
    Redriven,
}

impl Timer {
    /// The number of the next attempt of this generation, from 1.
    #[must_use]
    pub const fn next_attempt(&self) -> u32 {
        self.attempts + self.deferrals + 1
    }

    /// When the next attempt is due; of a finished one, what it was for.
    #[must_use]
    pub fn due_at(&self) -> Millis {
        self.next_attempt_at.unwrap_or(self.definition.execute_at)
    }

    /// Why the next attempt is made.
    #[must_use]
    pub const fn next_trigger(&self) -> Trigger {
        // A redrive forgives what was counted by then, which is one at least.
        let begins_anew = self.attempts_forgiven > 0 && self.attempts_forgiven == self.attempts;
        if begins_anew && self.deferrals == 0 {
            Trigger::Redrive
        } else if self.manual {
            Trigger::Fire
        } else if self.next_attempt() > 1 {
            Trigger::Retry
        } else {
            Trigger::Schedule
        }
    }

    /// Makes it wait for an attempt that is due at `due`. Its place in the wheel is never behind `now`, which
    /// is why no command that is under way can land below a cursor that the leader moves meanwhile.
    pub(crate) fn wait(&mut self, due: Millis, cursor: Millis, now: Millis) {
        let due = if Mutant::EarlyByRounding.is_on() { Millis((due.0 + 500) / 1000 * 1000) } else { due };
        self.next_attempt_at = Some(due);
        self.position = Some(due.max(cursor).max(now));
        self.parked_at = None;
        self.purge_at = None;
        self.executed_at = None;
    }

    /// Ends it in `state`, to be erased when its group says. A dead one keeps its payload in any case, for a redrive.
    pub(crate) fn end(&mut self, state: State, now: Millis, group: &GroupSettings) {
        assert!(!state.is_pending(), "an end is not pending");
        self.state = state;
        self.next_attempt_at = None;
        self.position = None;
        self.parked_at = None;
        self.manual = false;
        if state == State::Dead {
            self.purge_at = Some(now + group.dead_retention);
        } else {
            self.purge_at = Some(now + group.retention);
            if !group.retain_payload {
                self.definition.payload = Payload::None;
            }
        }
    }

    /// Starts a new generation of its present definition: nothing of the old one counts any more.
    pub(crate) fn renew(&mut self, sequence: Sequence, cursor: Millis, now: Millis) {
        self.generation = sequence;
        self.state = State::Scheduled;
        self.attempts = 0;
        self.attempts_forgiven = 0;
        self.first_attempt_at = None;
        self.deferrals = 0;
        self.manual = false;
        self.last_error = None;
        self.wait(self.definition.execute_at, cursor, now);
    }

    /// Panics if an invariant of [`Timer`] does not hold: a replica must not store such a record.
    pub fn check(&self) {
        let pending = self.state.is_pending();
        assert!(self.generation <= self.version, "{}: generation after version", self.key);
        assert_eq!(self.position.is_some(), pending, "{}: wheel position", self.key);
        assert_eq!(self.next_attempt_at.is_some(), pending, "{}: next attempt", self.key);
        assert!(self.next_attempt_at <= self.position, "{}: position before its time", self.key);
        assert!(pending || self.parked_at.is_none(), "{}: parked and finished", self.key);
        assert_eq!(self.purge_at.is_some(), !pending, "{}: purge time", self.key);
        assert!(self.attempts_forgiven <= self.attempts, "{}: forgiven attempts", self.key);
        assert!(self.answers.len() <= KEPT_ANSWERS_MAX, "{}: kept answers", self.key);
    }
}
