//! The replicated commands, one a file, and the dispatcher that only dispatches.

pub mod add_signing_secret;
pub mod advance_cursor;
pub mod delete;
pub mod expire;
pub mod fire;
pub mod flight;
pub mod hand_over;
pub mod open_session;
pub mod outcome;
pub mod park;
pub mod patch;
pub mod pause_group;
pub mod put;
pub mod put_group;
pub mod redrive;
pub mod release;
pub mod remove_signing_secret;
pub mod set_group;
pub mod step_group;

mod answers;
mod group;
mod precondition;

use alloc::boxed::Box;
use alloc::string::String;

pub use add_signing_secret::AddSigningSecret;
pub use advance_cursor::AdvanceCursor;
pub use delete::Delete;
pub use expire::Expire;
pub use fire::Fire;
pub use hand_over::HandOver;
pub use open_session::OpenSession;
pub use outcome::{AttemptResult, Outcome};
pub use park::{Park, Parked};
pub use patch::Patch;
pub use pause_group::PauseGroup;
pub use put::{Put, PutMode};
pub use put_group::PutGroup;
pub use redrive::Redrive;
pub use release::Release;
pub use remove_signing_secret::RemoveSigningSecret;
pub use set_group::SetGroup;
pub use step_group::{GroupStep, StepGroup};

use crate::group::{Group, GroupCounts};
use crate::ids::{Sequence, TimerKey};
use crate::tables::{Overlay, Tables};
use crate::time::{Millis, Span};
use crate::timer::{Effect, InFlight, RequestKey, Timer};

/// One entry of a shard's log: commands that were proposed together and are applied in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The leader's wall clock when it proposed; apply takes `max(proposed_at, last_time)`.
    pub proposed_at: Millis,
    /// At most [`COMMANDS_PER_ENTRY_MAX`](crate::limits::COMMANDS_PER_ENTRY_MAX).
    pub commands: alloc::vec::Vec<Envelope>,
}

/// A command and who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who asked: a token's name, or empty for the cluster itself.
    pub principal: String,
    /// Names the request; none for what the cluster itself proposes.
    pub request: Option<RequestKey>,
    /// The W3C `traceparent` of the request.
    pub traceparent: Option<String>,
    /// The generation of the timer's group that whoever asks goes by; none for what the cluster itself proposes.
    pub group: Option<Sequence>,
    /// Set if the request was sent before and its answer did not come: nothing of it was applied by then.
    pub asked_since: Option<Moment>,
    /// What is asked for.
    pub command: Command,
}

/// A moment in a shard's history: after which entry, and the shard's time then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The log index of the last entry that was applied.
    pub index: u64,
    /// The newest time that a command had carried.
    pub time: Millis,
}

impl Envelope {
    /// For what the cluster itself proposes.
    #[must_use]
    pub const fn own(command: Command) -> Self {
        Self {
            principal: String::new(),
            request: None,
            traceparent: None,
            group: None,
            asked_since: None,
            command,
        }
    }
}

/// What a shard can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Create or replace.
    Put(Box<Put>),
    /// Change some of it.
    Patch(Box<Patch>),
    /// Cancel, or erase a finished one.
    Delete(Delete),
    /// Deliver now instead of at `execute_at`.
    Fire(Fire),
    /// Give a dead one a new life.
    Redrive(Redrive),
    /// What came of an attempt.
    Outcome(Box<Outcome>),
    /// A new leader takes office.
    OpenSession(OpenSession),
    /// A leader leaves office in order.
    HandOver(HandOver),
    /// Nothing below is pending any more.
    AdvanceCursor(AdvanceCursor),
    /// Erase finished timers whose retention is over.
    Expire(Expire),
    /// In the meta shard: make or change a group.
    PutGroup(Box<PutGroup>),
    /// In the meta shard: take a group a step further on its way.
    StepGroup(StepGroup),
    /// In a shard of timers: have a copy of a group.
    SetGroup(Box<SetGroup>),
    /// In the meta shard: give a group one more signing secret.
    AddSigningSecret(AddSigningSecret),
    /// In the meta shard: take a signing secret from a group.
    RemoveSigningSecret(RemoveSigningSecret),
    /// In the meta shard: pause a group, or let it go on.
    PauseGroup(PauseGroup),
    /// Take timers that may not go out of the wheel.
    Park(Park),
    /// Put parked timers that may go into the wheel again.
    Release(Release),
}

/// What the dispatcher of the leader knew about a timer when it fenced it for a delete or replace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The session that fenced it. A fence of another session than the present one says nothing.
    pub session: u64,
    /// The attempt on its way: its generation and when it ends at the latest. Of whatever generation: an
    /// outcome that a former leader forwards can move the timer on while an attempt of the same number is
    /// still on its way. Of several, the one that ends last.
    pub attempt: Option<(Sequence, Millis)>,
}

/// What must hold of the timer for a command to take effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// `If-None-Match: *`: no pending or finished timer has this id; for a put a cancelled one does not count.
    pub absent: bool,
    /// `If-Match`: the version is one of these, also of a cancelled one. Empty: any.
    pub versions: alloc::vec::Vec<Sequence>,
    /// `If-Match: *`: there is a timer; the opposite of `absent`.
    pub present: bool,
    /// `ifGeneration`: the generation is this, also of a cancelled one.
    pub generation: Option<Sequence>,
    /// `ifInFlight=refuse`: no attempt is on its way, nor may be.
    pub nothing_in_flight: bool,
}

/// What a command did, for whoever asked. A refusal is an answer, not an error: nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It took effect, now or when it was asked for first.
    Done(Box<Done>),
    /// It did not.
    Refused(Refusal),
    /// An outcome was counted, or was history only (`false`).
    Outcome(bool),
    /// The session's number.
    SessionOpened(u64),
    /// A group was changed, or found as it was to be.
    Group(Box<GroupDone>),
    /// A shard has a group's version, or a later one.
    GroupHeld(GroupHeld),
    /// Nothing to say.
    Ack,
}

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What was done.
    pub effect: Effect,
    /// The timer afterwards (for a purge, before). For a repeated request its generation, version, state
    /// are those of the first answer, the rest is as it is now.
    pub timer: Timer,
    /// What was on its way of the definition that this took out of force.
    pub in_flight: InFlight,
    /// Whether this is the answer of an earlier request.
    pub replayed: bool,
}

/// What became of a group in the meta shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDone {
    /// What was done.
    pub effect: Effect,
    /// The group afterwards.
    pub group: Group,
    /// Whether this is the answer of an earlier request: `effect` is of then, the group as it is now.
    pub replayed: bool,
}

/// What a shard has of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHeld {
    /// The version that it has.
    pub version: Sequence,
    /// The group's timers there.
    pub counts: GroupCounts,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No timer, or no signing secret, of this id.
    NotFound,
    /// The id is taken by another definition (POST), with the timer.
    Exists(Box<Timer>),
    /// It is finished, with the timer.
    Finished(Box<Timer>),
    /// It is not finished (purge) or not dead (redrive), with the timer.
    NotFinished(Box<Timer>),
    /// A precondition on existence, version or generation failed; the timer's version, if there is one.
    VersionMismatch(Option<Sequence>),
    /// An attempt is or may be on its way, until then.
    AttemptInFlight(InFlight),
    /// The request's id was used for another body.
    RequestKeyReused,
    /// The request was sent before, and what it did then, if anything, is not kept any more. Nothing was done now.
    Forgotten,
    /// A patch that is right in itself makes a definition that is not.
    Invalid {
        /// The field's name in the API.
        field: String,
        /// What is wrong with it, for people.
        message: String,
    },
    /// A time that is right in itself lies beyond what the group allows.
    OutOfRange {
        /// The field's name in the API.
        field: String,
        /// How far ahead it may lie.
        most: Span,
    },
    /// There is no such group here, or it is of another generation than whoever asked goes by.
    GroupNotFound,
    /// The group is being deleted.
    GroupClosed,
    /// The group is paused: nothing of it can be delivered now.
    GroupPaused,
    /// The group has as many pending timers as it may have here.
    QuotaExceeded,
    /// The cluster has had as many groups as it takes.
    TooManyGroups,
}

/// What a command means for the leader's dispatcher. Losing one is safe: a new leader reads the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An attempt is due at `position`.
    Scheduled {
        /// The timer.
        key: TimerKey,
        /// Its wheel position.
        position: Millis,
        /// Second part of its wheel key.
        generation: Sequence,
    },
    /// No attempt of this generation is to start any more.
    Unscheduled {
        /// The timer.
        key: TimerKey,
        /// The generation out of force.
        generation: Sequence,
    },
}

/// What all commands are told beside their own fields.
pub(crate) struct Context<'a> {
    /// The time of the entry.
    pub(crate) now: Millis,
    /// The command's own.
    pub(crate) sequence: Sequence,
    /// Names the request.
    pub(crate) request: Option<&'a RequestKey>,
    /// Of the request.
    pub(crate) traceparent: Option<&'a String>,
    /// See [`Envelope::group`].
    pub(crate) group: Option<Sequence>,
    /// See [`Envelope::asked_since`].
    pub(crate) asked_since: Option<Moment>,
}

/// Hands `command` to its own file.
pub(crate) fn dispatch<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    command: &Command,
) -> Result<Reply, T::Error> {
    if let Some(refusal) = group_fault(overlay, context, command)? {
        return Ok(Reply::Refused(refusal));
    }
    match command {
        Command::Put(put) => put::apply(overlay, context, put),
        Command::Patch(patch) => patch::apply(overlay, context, patch),
        Command::Delete(delete) => delete::apply(overlay, context, delete),
        Command::Fire(fire) => fire::apply(overlay, context, fire),
        Command::Redrive(redrive) => redrive::apply(overlay, context, redrive),
        Command::Outcome(outcome) => outcome::apply(overlay, context, outcome),
        Command::OpenSession(open) => Ok(open_session::apply(&mut overlay.state, context, *open)),
        Command::HandOver(hand_over) => Ok(hand_over::apply(&mut overlay.state, hand_over)),
        Command::AdvanceCursor(advance) => advance_cursor::apply(overlay, *advance),
        Command::Expire(expire) => expire::apply(overlay, context, expire),
        Command::PutGroup(put) => put_group::apply(overlay, context, put),
        Command::StepGroup(step) => step_group::apply(overlay, context, step),
        Command::SetGroup(set) => set_group::apply(overlay, set),
        Command::AddSigningSecret(add) => add_signing_secret::apply(overlay, context, add),
        Command::RemoveSigningSecret(remove) => remove_signing_secret::apply(overlay, context, remove),
        Command::PauseGroup(pause) => pause_group::apply(overlay, context, pause),
        Command::Park(park) => park::apply(overlay, context, park),
        Command::Release(release) => release::apply(overlay, context, release),
    }
}

/// Why a client's command on a timer is refused whatever it asks for: its group is not here, or not the one that the
/// sender knows, so that the timer may belong to another shard.
fn group_fault<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    command: &Command,
) -> Result<Option<Refusal>, T::Error> {
    let Some((key, known)) = command.timer().zip(context.group) else { return Ok(None) };
    let here = overlay.group_terms(&key.group)?;
    Ok(here.is_none_or(|here| here.generation != known).then_some(Refusal::GroupNotFound))
}

impl Command {
    /// The timer that a client's command is about.
    #[must_use]
    pub const fn timer(&self) -> Option<&TimerKey> {
        match self {
            Self::Put(put) => Some(&put.key),
            Self::Patch(patch) => Some(&patch.key),
            Self::Delete(delete) => Some(&delete.key),
            Self::Fire(fire) => Some(&fire.key),
            Self::Redrive(redrive) => Some(&redrive.key),
            Self::Outcome(_)
            | Self::OpenSession(_)
            | Self::HandOver(_)
            | Self::AdvanceCursor(_)
            | Self::Expire(_)
            | Self::PutGroup(_)
            | Self::StepGroup(_)
            | Self::SetGroup(_)
            | Self::AddSigningSecret(_)
            | Self::RemoveSigningSecret(_)
            | Self::PauseGroup(_)
            | Self::Park(_)
            | Self::Release(_) => None,
        }
    }
}

impl Reply {
    /// The answer of a command that took effect, or found nothing to do.
    fn done(effect: Effect, timer: Timer, in_flight: InFlight) -> Self {
        Self::Done(Box::new(Done { effect, timer, in_flight, replayed: false }))
    }
}
