//! Pause a group, or let it go on. A command of the meta shard; the shards of timers get copies
//! ([`SetGroup`](crate::command::SetGroup)), and it is these that hold attempts back.

use alloc::boxed::Box;
use alloc::string::String;

use crate::command::{Context, GroupDone, Precondition, Refusal, Reply, put_group};
use crate::group::{DEFAULT_GROUP, Group, Phase};
use crate::tables::{Overlay, Tables};
use crate::timer::Effect;

/// Pause, or resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseGroup {
    /// The group.
    pub name: String,
    /// Whether it is to be paused.
    pub paused: bool,
    /// The shards of the cluster, for `default` while it has no record.
    pub shards: u16,
    /// What must hold; of a group only existence and version can be asked.
    pub precondition: Precondition,
}

/// Pauses the group or ends its pause. One that is as it is to be stays as it is: a pause begins once.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    pause: &PauseGroup,
) -> Result<Reply, T::Error> {
    let record = overlay.group(&pause.name)?.cloned();
    if let Some(reply) = record.as_ref().and_then(|group| put_group::replay(group, context)) {
        return Ok(reply);
    }
    // Not bounded as PUT is: of all groups that may have no record there is one.
    let made = |shards| Group {
        created_at: context.now,
        updated_at: context.now,
        ..Group::unchanged_default(shards)
    };
    let default = || (pause.name == DEFAULT_GROUP).then(|| made(pause.shards));
    let Some(mut group) = record.or_else(default) else {
        return Ok(Reply::Refused(Refusal::GroupNotFound));
    };
    match group.phase {
        Phase::Open => {}
        Phase::Closed => return Ok(Reply::Refused(Refusal::GroupClosed)),
        Phase::Gone => return Ok(Reply::Refused(Refusal::GroupNotFound)),
    }
    if !pause.precondition.holds(Some(group.version), None, true) {
        return Ok(Reply::Refused(Refusal::VersionMismatch(Some(group.version))));
    }
    let effect = if group.paused_at.is_some() == pause.paused { Effect::Unchanged } else { Effect::Replaced };
    if effect == Effect::Replaced {
        group.paused_at = pause.paused.then_some(context.now);
        group.version = context.sequence;
        group.updated_at = context.now;
        group.settled = false;
    }
    put_group::keep(&mut group, context, effect);
    overlay.put_group(group.clone());
    Ok(Reply::Group(Box::new(GroupDone { effect, group, replayed: false })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{GroupStep, StepGroup};
    use crate::group::GroupSettings;
    use crate::testing::{START, Shard, put_group, refused};
    use crate::time::Millis;

    fn pause(name: &str, paused: bool) -> PauseGroup {
        PauseGroup { name: name.into(), paused, shards: 4, precondition: Precondition::default() }
    }

    fn done(reply: Reply) -> GroupDone {
        let Reply::Group(done) = reply else { panic!("no group: {reply:?}") };
        *done
    }

    fn with_a() -> Shard {
        let mut meta = Shard::new();
        meta.run(START, put_group("a", GroupSettings { shards: 2, ..GroupSettings::default() }));
        meta
    }

    #[test]
    fn a_pause_begins_once_and_ends_once() {
        let mut meta = with_a();
        let unchanged = done(meta.run(START + 1, pause("a", false)));
        assert_eq!((unchanged.effect, unchanged.group.paused_at), (Effect::Unchanged, None));
        let paused = done(meta.run(START + 2, pause("a", true)));
        assert_eq!((paused.effect, paused.group.paused_at), (Effect::Replaced, Some(Millis(START + 2))));
        assert!(!paused.group.settled && paused.group.version > unchanged.group.version);
        let again = done(meta.run(START + 3, pause("a", true)));
        assert_eq!((again.effect, &again.group), (Effect::Unchanged, &paused.group));
        let ended = done(meta.run(START + 4, pause("a", false)));
        assert_eq!((ended.effect, ended.group.paused_at), (Effect::Replaced, None));
    }

    #[test]
    fn a_pause_on_condition_of_another_version_is_refused() {
        let mut meta = with_a();
        let version = done(meta.run(START, pause("a", false))).group.version;
        let only = |version| {
            let precondition = Precondition { versions: [version].into(), ..Precondition::default() };
            PauseGroup { precondition, ..pause("a", true) }
        };
        let other = crate::ids::Sequence(version.0 + 1);
        assert_eq!(refused(meta.run(START, only(other))), Refusal::VersionMismatch(Some(version)));
        assert_eq!(done(meta.run(START, only(version))).effect, Effect::Replaced);
    }

    #[test]
    fn new_settings_do_not_end_a_pause() {
        let mut meta = with_a();
        meta.run(START, pause("a", true));
        let settings = GroupSettings { shards: 2, retain_payload: true, ..GroupSettings::default() };
        assert_eq!(done(meta.run(START + 1, put_group("a", settings))).group.paused_at, Some(Millis(START)));
    }

    #[test]
    fn default_can_be_paused_before_it_has_a_record() {
        let mut meta = Shard::new();
        let paused = done(meta.run(START, pause("default", true))).group;
        assert_eq!((paused.generation, paused.settings.shards), (Group::UNCHANGED, 4));
        assert!(paused.version > Group::UNCHANGED && meta.state.groups == 1);
    }

    #[test]
    fn what_is_gone_or_being_deleted_or_was_never_there_is_refused() {
        let mut meta = with_a();
        assert_eq!(refused(meta.run(START, pause("b", true))), Refusal::GroupNotFound);
        let version = done(meta.run(START, pause("a", true))).group.version;
        let step = |version, step| StepGroup { name: "a".into(), version, step };
        let closed = done(meta.run(START, step(version, GroupStep::Close))).group;
        assert_eq!(refused(meta.run(START, pause("a", false))), Refusal::GroupClosed);
        meta.run(START, step(closed.version, GroupStep::Remove));
        assert_eq!(refused(meta.run(START, pause("a", false))), Refusal::GroupNotFound);
        let again = done(meta.run(START, put_group("a", GroupSettings::default()))).group;
        assert_eq!(again.paused_at, None, "another group of the same name");
    }

    #[test]
    fn a_repeated_request_gets_its_first_answer() {
        let mut meta = with_a();
        done(meta.request(START, "r", 1, pause("a", true)));
        done(meta.run(START + 1, pause("a", false)));
        let again = done(meta.request(START + 2, "r", 1, pause("a", true)));
        assert_eq!((again.effect, again.replayed, again.group.paused_at), (Effect::Replaced, true, None));
    }
}
