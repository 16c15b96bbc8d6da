//! Replies: in the words of the model, and against what is truly on its way.

use timer_core::command::{Refusal, Reply};
use timer_core::ids::TimerKey;
use timer_core::timer::{Effect, InFlight};

use super::model::Seen;

/// What is truly on its way when a command is made.
pub struct Flight {
    /// The number of the command in its entry.
    pub command: usize,
    pub key: TimerKey,
    /// Of the definition that the command meets, or 0.
    pub generation: u64,
    /// When the last attempt of it and of those before it ends.
    pub ends: Option<u64>,
    /// Whether the leader knows all that is on its way.
    pub calm: bool,
}

impl Flight {
    /// "No" is a promise; and where nothing is uncertain, "possible" is not said.
    pub fn check(&self, reply: &Reply) {
        let Reply::Done(done) = reply else { return };
        let superseded = match done.effect {
            Effect::Created | Effect::Replaced | Effect::Cancelled => true,
            Effect::Patched => done.timer.generation.0 != self.generation,
            Effect::Unchanged
            | Effect::AlreadyCancelled
            | Effect::Purged
            | Effect::Fired
            | Effect::Redriven => false,
        };
        if done.replayed || !superseded {
            return;
        }
        let key = &self.key;
        match (done.in_flight, self.ends) {
            (InFlight::No, ends) => assert_eq!(ends, None, "{key}: said to be none"),
            (InFlight::Yes { until } | InFlight::Possible { until }, Some(ends)) => {
                assert!(until.0 >= ends, "{key}: said to end at {until}, ends at {ends}");
            }
            (InFlight::Possible { .. }, None) => {
                assert!(!self.calm, "{key}: possible, but no leader has vanished");
            }
            // An attempt that was answered after its timer had been replaced.
            (InFlight::Yes { .. }, None) => {}
        }
    }
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Created => "created",
        Effect::Replaced => "replaced",
        Effect::Unchanged => "unchanged",
        Effect::Patched => "patched",
        Effect::Cancelled => "cancelled",
        Effect::AlreadyCancelled => "already cancelled",
        Effect::Purged => "purged",
        Effect::Fired => "fired",
        Effect::Redriven => "redriven",
    }
}

/// What a reply says, in the words of the model.
pub fn seen(reply: &Reply) -> Seen {
    match reply {
        Reply::Done(done) => Seen::Done {
            effect: effect(done.effect),
            replayed: done.replayed,
            generation: done.timer.generation.0,
            version: done.timer.version.0,
            state: done.timer.state.as_str(),
        },
        Reply::Refused(refusal) => match refusal {
            Refusal::NotFound => Seen::Refused("not found"),
            Refusal::Exists(_) => Seen::Refused("exists"),
            Refusal::Finished(_) => Seen::Refused("finished"),
            Refusal::NotFinished(_) => Seen::Refused("not finished"),
            Refusal::VersionMismatch(version) => Seen::Mismatch(version.map(|version| version.0)),
            Refusal::AttemptInFlight(_) => Seen::Refused("in flight"),
            Refusal::RequestKeyReused => Seen::Refused("key reused"),
            Refusal::Forgotten => Seen::Refused("forgotten"),
            Refusal::Invalid { .. } => Seen::Refused("invalid"),
            Refusal::OutOfRange { .. } => Seen::Refused("out of range"),
            Refusal::GroupNotFound => Seen::Refused("no group"),
            Refusal::GroupClosed => Seen::Refused("group closed"),
            Refusal::GroupPaused => Seen::Refused("group paused"),
            Refusal::QuotaExceeded => Seen::Refused("quota"),
            Refusal::TooManyGroups => Seen::Refused("groups"),
        },
        Reply::Outcome(counted) => Seen::Outcome(*counted),
        Reply::SessionOpened(number) => Seen::Session(*number),
        Reply::Ack => Seen::Ack,
        Reply::Group(_) | Reply::GroupHeld(_) => unreachable!("no command was about a group"),
    }
}
