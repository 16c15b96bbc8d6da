//! Make a group, or give it other settings. A command of the meta shard; the shards of timers get copies
//! ([`SetGroup`](crate::command::SetGroup)).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::{Context, GroupDone, Precondition, Refusal, Reply};
use crate::group::{DEFAULT_GROUP, Group, GroupSettings, KeptGroupAnswer, Phase};
use crate::limits::{GROUPS_MAX, KEPT_ANSWER_AGE_MAX, KEPT_ANSWERS_MAX};
use crate::tables::{Overlay, Tables};
use crate::timer::Effect;

/// PUT of a group; a PATCH is one too, on condition of the version that it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutGroup {
    /// The group's name, checked by [`group_name_fault`](crate::ids::group_name_fault).
    pub name: String,
    /// All of its settings.
    pub settings: GroupSettings,
    /// Whether a group that exists keeps its number of shards; else it must be what `settings` says.
    pub keeps_shards: bool,
    /// What must hold; of a group only existence and version can be asked.
    pub precondition: Precondition,
}

/// Makes the group, changes it, or finds that there is nothing to do.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    put: &PutGroup,
) -> Result<Reply, T::Error> {
    let record = overlay.group(&put.name)?.cloned();
    if let Some(reply) = record.as_ref().and_then(|group| replay(group, context)) {
        return Ok(reply);
    }
    // What is left of one that is gone counts as none.
    let existing = record.as_ref().filter(|group| group.phase != Phase::Gone);
    let is_new_default = existing.is_none() && put.name == DEFAULT_GROUP;
    let version = existing.map(|group| group.version).or(is_new_default.then_some(Group::UNCHANGED));
    if !put.precondition.holds(version, None, existing.is_some() || is_new_default) {
        return Ok(Reply::Refused(Refusal::VersionMismatch(version)));
    }
    if let Some((field, message)) = put.settings.fault() {
        return Ok(Reply::Refused(Refusal::Invalid { field: field.into(), message: message.into() }));
    }
    if existing.is_some_and(|group| group.phase == Phase::Closed) {
        return Ok(Reply::Refused(Refusal::GroupClosed));
    }
    let shards =
        existing.filter(|_| put.keeps_shards).map_or(put.settings.shards, |group| group.settings.shards);
    let settings = GroupSettings { shards, ..put.settings };
    if existing.is_some_and(|group| group.settings.shards != shards) {
        let (field, message) = ("shards".into(), "is fixed when the group is made".into());
        return Ok(Reply::Refused(Refusal::Invalid { field, message }));
    }
    if record.is_none() && overlay.state.groups >= GROUPS_MAX {
        return Ok(Reply::Refused(Refusal::TooManyGroups));
    }
    let unchanged = existing.filter(|group| group.settings == settings).cloned();
    let effect = match (&unchanged, existing.is_some() || is_new_default) {
        (Some(_), _) => Effect::Unchanged,
        (None, true) => Effect::Replaced,
        (None, false) => Effect::Created,
    };
    let mut group = unchanged.unwrap_or_else(|| Group {
        name: put.name.clone(),
        // `default` is the same group as before it had a record: its timers are there already.
        generation: existing
            .map_or(if is_new_default { Group::UNCHANGED } else { context.sequence }, |group| {
                group.generation
            }),
        version: context.sequence,
        phase: Phase::Open,
        settings,
        paused_at: existing.and_then(|group| group.paused_at),
        created_at: existing.map_or(context.now, |group| group.created_at),
        updated_at: context.now,
        settled: false,
        answers: record.as_ref().map_or_else(Vec::new, |group| group.answers.clone()),
        secrets: existing.map_or_else(Vec::new, |group| group.secrets.clone()),
    });
    keep(&mut group, context, effect);
    overlay.put_group(group.clone());
    Ok(Reply::Group(Box::new(GroupDone { effect, group, replayed: false })))
}

/// The first answer of this request, if it is one that `group` remembers; a refusal if its id was used for another body.
pub(super) fn replay(group: &Group, context: &Context<'_>) -> Option<Reply> {
    let request = context.request?;
    let young = |kept: &&KeptGroupAnswer| context.now.since(kept.at) <= KEPT_ANSWER_AGE_MAX;
    let kept = group.answers.iter().filter(young).find(|kept| kept.request.id == request.id)?;
    if kept.request.body != request.body {
        return Some(Reply::Refused(Refusal::RequestKeyReused));
    }
    let done = GroupDone { effect: kept.effect, group: group.clone(), replayed: true };
    Some(Reply::Group(Box::new(done)))
}

/// Keeps what has been done to `group`, which is as it will be stored.
pub(super) fn keep(group: &mut Group, context: &Context<'_>, effect: Effect) {
    let Some(request) = context.request else { return };
    group.answers.retain(|kept| kept.request.id != request.id);
    if group.answers.len() >= KEPT_ANSWERS_MAX {
        group.answers.remove(0);
    }
    let version = group.version;
    group.answers.push(KeptGroupAnswer { request: request.clone(), at: context.now, effect, version });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{GroupStep, StepGroup};
    use crate::ids::Sequence;
    use crate::testing::{START, Shard, put_group, refused};
    use crate::time::Span;

    fn done(reply: Reply) -> GroupDone {
        let Reply::Group(done) = reply else { panic!("no group: {reply:?}") };
        *done
    }

    fn days(days: u64) -> GroupSettings {
        GroupSettings { shards: 4, retention: Span::from_secs(days * 86_400), ..GroupSettings::default() }
    }

    #[test]
    fn a_group_is_made_changed_and_left_alone_if_it_is_as_asked() {
        let mut meta = Shard::new();
        let made = done(meta.run(START, put_group("a", days(1))));
        assert_eq!((made.effect, made.group.settled), (Effect::Created, false));
        assert_eq!((made.group.generation, made.group.version), (Sequence::new(2, 0), Sequence::new(2, 0)));
        let again = done(meta.run(START + 1, put_group("a", days(1))));
        assert_eq!((again.effect, again.group), (Effect::Unchanged, made.group.clone()));
        let changed = done(meta.run(START + 2, put_group("a", days(2))));
        assert_eq!((changed.effect, changed.group.generation), (Effect::Replaced, made.group.generation));
        assert_eq!(changed.group.version, Sequence::new(4, 0));
        assert_eq!(meta.state.groups, 1);
    }

    #[test]
    fn the_shards_of_a_group_are_fixed() {
        let mut meta = Shard::new();
        meta.run(START, put_group("a", days(1)));
        let other = GroupSettings { shards: 2, ..days(1) };
        let reply = meta.run(START, put_group("a", other));
        assert!(matches!(refused(reply), Refusal::Invalid { field, .. } if field == "shards"));
        let kept = PutGroup { keeps_shards: true, ..put_group("a", GroupSettings { shards: 2, ..days(3) }) };
        assert_eq!(done(meta.run(START, kept)).group.settings, days(3));
    }

    #[test]
    fn default_keeps_its_generation_when_it_gets_its_first_record() {
        let mut meta = Shard::new();
        let changed = done(meta.run(START, put_group("default", days(1))));
        assert_eq!((changed.effect, changed.group.generation), (Effect::Replaced, Group::UNCHANGED));
        let absent = Precondition { absent: true, ..Precondition::default() };
        let create = PutGroup { precondition: absent, ..put_group("default", days(2)) };
        assert!(matches!(refused(meta.run(START, create)), Refusal::VersionMismatch(Some(_))));
    }

    #[test]
    fn a_repeated_request_gets_its_first_answer() {
        let mut meta = Shard::new();
        let made = done(meta.request(START, "r", 1, put_group("a", days(1))));
        meta.run(START + 1, put_group("a", days(2)));
        let again = done(meta.request(START + 2, "r", 1, put_group("a", days(1))));
        assert_eq!((again.effect, again.replayed), (Effect::Created, true));
        assert_eq!(again.group.settings, days(2), "nothing was done again");
        assert_eq!(
            refused(meta.request(START + 2, "r", 2, put_group("a", days(3)))),
            Refusal::RequestKeyReused
        );
        assert!(made.group.version < again.group.version);
    }

    #[test]
    fn a_name_that_is_used_again_is_another_generation() {
        let mut meta = Shard::new();
        let made = done(meta.run(START, put_group("a", days(1)))).group;
        let step = |version, step| StepGroup { name: "a".into(), version, step };
        let closed = done(meta.run(START, step(made.version, GroupStep::Close))).group;
        assert_eq!(refused(meta.run(START, put_group("a", days(2)))), Refusal::GroupClosed);
        let gone = done(meta.run(START, step(closed.version, GroupStep::Remove))).group;
        let other = GroupSettings { shards: 1, ..days(1) };
        let again = done(meta.run(START, put_group("a", other))).group;
        assert!(again.generation > gone.version && again.phase == Phase::Open);
        assert_eq!(meta.state.groups, 1, "its name was counted before");
    }
}
