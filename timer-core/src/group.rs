//! A group: a named set of timers, and what holds for all of them. The meta shard has it as it was asked for, every
//! shard that holds its timers has a copy. Deliberately not here: which shards these are, and how copies get there.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::Sequence;
use crate::limits::{
    DEAD_RETENTION, GROUP_PENDING_MAX, HORIZON_MAX, RETENTION, RETENTION_MAX, RETENTION_MIN,
    SIGNING_SECRETS_MAX,
};
use crate::secret::SigningSecret;
use crate::time::{Millis, Span};
use crate::timer::{Effect, RequestKey, State};

/// The group that exists from the start.
pub const DEFAULT_GROUP: &str = "default";

/// A group, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The command of the meta shard that made it; of `default` [`Group::UNCHANGED`].
    pub generation: Sequence,
    /// The command of the meta shard that changed it last. `generation <= version`.
    pub version: Sequence,
    /// Where it stands.
    pub phase: Phase,
    /// What was asked for.
    pub settings: GroupSettings,
    /// Since when it is paused, if it is: no attempt of its timers starts.
    pub paused_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
    /// When it was changed last.
    pub updated_at: Millis,
    /// In the meta shard: whether every shard has this version.
    pub settled: bool,
    /// In the meta shard: the newest answers to requests that changed it, oldest first; at most
    /// [`KEPT_ANSWERS_MAX`](crate::limits::KEPT_ANSWERS_MAX).
    pub answers: Vec<KeptGroupAnswer>,
    /// What its callbacks are signed with, oldest first; at most [`SIGNING_SECRETS_MAX`]. Each `id <= version`.
    pub secrets: Vec<SigningSecret>,
}

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It takes timers.
    Open,
    /// It is being deleted: what it holds goes on, nothing new comes.
    Closed,
    /// It is gone. What is left of it keeps a copy that comes late from bringing it back.
    Gone,
}

impl Phase {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Open, Self::Closed, Self::Gone];
}

/// What holds for all timers of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// Over how many shards its timers are spread, fixed when it is made. 0 only where `default` has no record: all.
    pub shards: u16,
    /// How long a delivered, skipped or cancelled timer is kept.
    pub retention: Span,
    /// How long a dead one is kept, always with its payload.
    pub dead_retention: Span,
    /// Whether one that is kept for `retention` keeps its payload.
    pub retain_payload: bool,
    /// How far ahead a timer may lie.
    pub horizon_max: Span,
    /// How many timers may be pending; none: no bound.
    pub pending_max: Option<u64>,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            shards: 0,
            retention: RETENTION,
            dead_retention: DEAD_RETENTION,
            retain_payload: false,
            horizon_max: HORIZON_MAX,
            pending_max: None,
        }
    }
}

impl GroupSettings {
    /// The first setting that is out of bounds, by its name in the API, and what is wrong with it.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let kept = RETENTION_MIN..=RETENTION_MAX;
        if !kept.contains(&self.retention) {
            return Some(("retention", "must be from 1h to 365d"));
        }
        if !kept.contains(&self.dead_retention) {
            return Some(("deadRetention", "must be from 1h to 365d"));
        }
        if self.horizon_max > HORIZON_MAX || self.horizon_max == Span(0) {
            return Some(("maxHorizon", "must be more than nothing and at most 10 years"));
        }
        if self.pending_max.is_some_and(|most| most > GROUP_PENDING_MAX) {
            return Some(("maxPending", "must be at most 1000000000"));
        }
        None
    }

    /// How many pending timers one shard takes: its part, rounded up.
    #[must_use]
    pub fn pending_max_of_shard(&self) -> Option<u64> {
        self.pending_max.map(|most| most.div_ceil(u64::from(self.shards.max(1))))
    }
}

impl Group {
    /// The generation of `default`, and its version until it is changed: it was there before any command, and below all of
    /// theirs. Not 0, which stands for "none".
    pub const UNCHANGED: Sequence = Sequence(1);

    /// `default` in a cluster of so many shards, for as long as nobody has changed it.
    #[must_use]
    pub fn unchanged_default(shards: u16) -> Self {
        Self {
            name: DEFAULT_GROUP.into(),
            generation: Self::UNCHANGED,
            version: Self::UNCHANGED,
            phase: Phase::Open,
            settings: GroupSettings { shards, ..GroupSettings::default() },
            paused_at: None,
            created_at: Millis(0),
            updated_at: Millis(0),
            settled: true,
            answers: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// What holds for its timers; none if it is gone.
    #[must_use]
    pub fn terms(&self) -> Option<GroupTerms> {
        let terms = GroupTerms {
            generation: self.generation,
            open: self.phase == Phase::Open,
            paused: self.paused_at.is_some(),
            settings: self.settings,
        };
        (self.phase != Phase::Gone).then_some(terms)
    }

    /// The copy for a shard: without what is the meta shard's business.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { settled: true, answers: Vec::new(), ..self.clone() }
    }

    /// Panics if an invariant of [`Group`] does not hold: a replica must not store such a record.
    pub fn check(&self) {
        assert!(self.generation <= self.version, "{}: generation after version", self.name);
        assert!(self.created_at <= self.updated_at, "{}: changed before it was made", self.name);
        assert!(self.secrets.len() <= SIGNING_SECRETS_MAX, "{}: too many secrets", self.name);
        assert!(
            self.secrets.is_sorted_by(|one, next| one.id < next.id),
            "{}: secrets out of order",
            self.name
        );
        let newest = self.secrets.last();
        assert!(newest.is_none_or(|secret| secret.id <= self.version), "{}: a secret of later", self.name);
        let is_default = self.name == DEFAULT_GROUP;
        assert!(!is_default || self.phase == Phase::Open, "the default group is always open");
    }
}

/// What a command on a timer has to know of the timer's group. The default is that of the group `default` while it has
/// no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupTerms {
    /// See [`Group::generation`].
    pub generation: Sequence,
    /// Whether it takes new timers.
    pub open: bool,
    /// Whether no attempt of its timers starts.
    pub paused: bool,
    /// What was asked for.
    pub settings: GroupSettings,
}

impl Default for GroupTerms {
    fn default() -> Self {
        Self { generation: Group::UNCHANGED, open: true, paused: false, settings: GroupSettings::default() }
    }
}

/// The answer that a request got that changed a group, kept to be given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptGroupAnswer {
    /// The request.
    pub request: RequestKey,
    /// When it was answered.
    pub at: Millis,
    /// What it had done.
    pub effect: Effect,
    /// The group's version then.
    pub version: Sequence,
}

/// A group's timers in one shard, by state, in the order of [`State::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCounts(pub [u64; State::ALL.len()]);

impl GroupCounts {
    /// Those that wait for an attempt.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.of(State::Scheduled) + self.of(State::Retrying)
    }

    /// All.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those in `state`.
    #[must_use]
    pub const fn of(&self, state: State) -> u64 {
        self.0[state as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_bounds_are_named() {
        assert_eq!(GroupSettings::default().fault(), None);
        let ok = GroupSettings::default;
        for (settings, field) in [
            (GroupSettings { retention: Span(RETENTION_MIN.0 - 1), ..ok() }, "retention"),
            (GroupSettings { dead_retention: Span(RETENTION_MAX.0 + 1), ..ok() }, "deadRetention"),
            (GroupSettings { horizon_max: Span(0), ..ok() }, "maxHorizon"),
            (GroupSettings { horizon_max: Span(HORIZON_MAX.0 + 1), ..ok() }, "maxHorizon"),
            (GroupSettings { pending_max: Some(GROUP_PENDING_MAX + 1), ..ok() }, "maxPending"),
        ] {
            assert_eq!(settings.fault().map(|(field, _)| field), Some(field));
        }
    }

    #[test]
    fn the_parts_of_a_quota_come_to_at_least_the_whole() {
        for (most, shards, part) in [(10, 4, 3), (8, 4, 2), (1, 8, 1), (0, 8, 0), (5, 1, 5)] {
            let settings = GroupSettings { shards, pending_max: Some(most), ..GroupSettings::default() };
            assert_eq!(settings.pending_max_of_shard(), Some(part));
        }
        assert_eq!(GroupSettings::default().pending_max_of_shard(), None);
    }
}
