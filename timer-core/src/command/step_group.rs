//! Take a group a step further on its way: the meta shard's record of how far a change or a delete has come.

use alloc::boxed::Box;
use alloc::string::String;

use crate::command::{Context, GroupDone, Refusal, Reply, put_group};
use crate::group::{DEFAULT_GROUP, Phase};
use crate::ids::Sequence;
use crate::tables::{Overlay, Tables};
use crate::timer::Effect;

/// A step. It is taken only from the version that it names, so that two nodes which see to the same group can't take
/// contrary ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepGroup {
    /// The group.
    pub name: String,
    /// The version that it was decided on.
    pub version: Sequence,
    /// Which.
    pub step: GroupStep,
}

/// The steps that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupStep {
    /// Every shard has this version.
    Settle,
    /// It is to be deleted: no new timers from now on.
    Close,
    /// It holds timers, so it is not deleted.
    Reopen,
    /// No shard holds a timer of it: it is gone.
    Remove,
}

impl GroupStep {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Settle, Self::Close, Self::Reopen, Self::Remove];

    /// From which phase it leads, and to which.
    const fn phases(self) -> Option<(Phase, Phase)> {
        match self {
            Self::Settle => None,
            Self::Close => Some((Phase::Open, Phase::Closed)),
            Self::Reopen => Some((Phase::Closed, Phase::Open)),
            Self::Remove => Some((Phase::Closed, Phase::Gone)),
        }
    }
}

/// Takes the step, or refuses it where the group is not as it was.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    step: &StepGroup,
) -> Result<Reply, T::Error> {
    let Some(mut group) = overlay.group(&step.name)?.cloned() else {
        return Ok(Reply::Refused(Refusal::GroupNotFound));
    };
    if let Some(reply) = put_group::replay(&group, context) {
        return Ok(reply);
    }
    if group.version != step.version {
        return Ok(Reply::Refused(Refusal::VersionMismatch(Some(group.version))));
    }
    if let Some((from, to)) = step.step.phases() {
        if group.phase != from || group.name == DEFAULT_GROUP {
            return Ok(Reply::Refused(Refusal::VersionMismatch(Some(group.version))));
        }
        group.phase = to;
        if to == Phase::Gone {
            // A name that is used again is another group, and nobody is to find these on a disk.
            group.secrets.clear();
        }
        group.version = context.sequence;
        group.updated_at = context.now;
    }
    group.settled = step.step == GroupStep::Settle;
    put_group::keep(&mut group, context, Effect::Patched);
    overlay.put_group(group.clone());
    Ok(Reply::Group(Box::new(GroupDone { effect: Effect::Patched, group, replayed: false })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Group, GroupSettings};
    use crate::testing::{START, Shard, put_group, refused};

    fn step(group: &Group, step: GroupStep) -> StepGroup {
        StepGroup { name: group.name.clone(), version: group.version, step }
    }

    fn group(reply: Reply) -> Group {
        let Reply::Group(done) = reply else { panic!("no group: {reply:?}") };
        done.group
    }

    #[test]
    fn settling_leaves_the_version_and_every_other_step_is_to_be_settled_anew() {
        let mut meta = Shard::new();
        let made = group(meta.run(START, put_group("a", GroupSettings::default())));
        let settled = group(meta.run(START, step(&made, GroupStep::Settle)));
        assert_eq!((settled.version, settled.settled), (made.version, true));
        let closed = group(meta.run(START, step(&settled, GroupStep::Close)));
        assert_eq!((closed.phase, closed.settled), (Phase::Closed, false));
        assert!(closed.version > settled.version);
    }

    #[test]
    fn of_two_contrary_steps_one_is_taken() {
        for (first, second) in
            [(GroupStep::Reopen, GroupStep::Remove), (GroupStep::Remove, GroupStep::Reopen)]
        {
            let mut meta = Shard::new();
            let made = group(meta.run(START, put_group("a", GroupSettings::default())));
            let closed = group(meta.run(START, step(&made, GroupStep::Close)));
            group(meta.run(START, step(&closed, first)));
            assert!(matches!(
                refused(meta.run(START, step(&closed, second))),
                Refusal::VersionMismatch(Some(_))
            ));
        }
    }

    #[test]
    fn the_default_group_is_not_closed() {
        let mut meta = Shard::new();
        let made = group(meta.run(START, put_group("default", GroupSettings::default())));
        assert!(matches!(
            refused(meta.run(START, step(&made, GroupStep::Close))),
            Refusal::VersionMismatch(_)
        ));
        assert_eq!(
            refused(meta.run(START, StepGroup { name: "b".into(), ..step(&made, GroupStep::Close) })),
            Refusal::GroupNotFound
        );
    }
}
