//! Have a copy of a group, in a shard of timers. Anybody may bring any version at any time: the latest stays.

use crate::command::{GroupHeld, Refusal, Reply};
use crate::group::{Group, Phase};
use crate::tables::{Overlay, Tables};

/// A group as the meta shard has it ([`Group::copy`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetGroup {
    /// The copy.
    pub group: Group,
}

/// Takes the copy unless there is a later one, and says what is held now: its version, and the group's timers, which is
/// what a delete has to know. A group that is said to be gone and has timers here is a fault of whoever says so.
pub(crate) fn apply<T: Tables>(overlay: &mut Overlay<'_, T>, set: &SetGroup) -> Result<Reply, T::Error> {
    let new = &set.group;
    let held = overlay.group(&new.name)?.map(|held| held.version);
    let counts = overlay.group_counts(&new.name)?;
    if held.is_some_and(|held| held >= new.version) {
        return Ok(Reply::GroupHeld(GroupHeld { version: held.unwrap_or_default(), counts }));
    }
    if new.phase == Phase::Gone && counts.total() > 0 {
        return Ok(Reply::Refused(Refusal::VersionMismatch(held)));
    }
    overlay.put_group(new.clone());
    Ok(Reply::GroupHeld(GroupHeld { version: new.version, counts }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Put;
    use crate::group::GroupSettings;
    use crate::ids::{Sequence, TimerKey};
    use crate::limits::{RETENTION, RETENTION_MIN};
    use crate::testing::{START, Shard, delete, done, envelope, group_in, put, refused};
    use crate::time::Span;
    use crate::timer::State;

    fn held(reply: Reply) -> GroupHeld {
        let Reply::GroupHeld(held) = reply else { panic!("nothing held: {reply:?}") };
        held
    }

    fn set(version: u64, phase: Phase) -> SetGroup {
        SetGroup { group: Group { version: Sequence(version), phase, ..group_in("a", 10) } }
    }

    fn put_in(group: &str, id: &str) -> Put {
        Put { key: TimerKey::new(group, id), ..put(id, START + 500) }
    }

    #[test]
    fn the_latest_copy_stays_whatever_order_they_come_in() {
        let mut shard = Shard::new();
        for (version, then) in [(12, 12), (11, 12), (12, 12), (15, 15), (10, 15)] {
            assert_eq!(held(shard.run(START, set(version, Phase::Open))).version, Sequence(then));
        }
        assert_eq!(shard.state.groups, 1);
    }

    #[test]
    fn a_copy_that_comes_late_does_not_bring_a_group_back() {
        let mut shard = Shard::new();
        shard.run(START, set(12, Phase::Gone));
        assert_eq!(held(shard.run(START, set(11, Phase::Open))).version, Sequence(12));
        assert_eq!(refused(shard.run(START, put_in("a", "t"))), Refusal::GroupNotFound);
    }

    #[test]
    fn a_group_takes_timers_while_it_is_open_and_says_how_many() {
        let mut shard = Shard::new();
        assert_eq!(refused(shard.run(START, put_in("a", "t"))), Refusal::GroupNotFound);
        shard.run(START, set(10, Phase::Open));
        done(shard.run(START, put_in("a", "t")));
        done(shard.run(START, put_in("a", "u")));
        shard.run(START, crate::command::Delete { key: TimerKey::new("a", "u"), ..delete("u") });
        let counts = held(shard.run(START, set(11, Phase::Closed))).counts;
        assert_eq!((counts.of(State::Scheduled), counts.of(State::Cancelled), counts.total()), (1, 1, 2));
        assert_eq!(refused(shard.run(START, put_in("a", "v"))), Refusal::GroupClosed);
        // What it holds can still be changed.
        done(shard.run(START, Put { fingerprint: put("t", 1).fingerprint, ..put_in("a", "t") }));
        assert!(matches!(refused(shard.run(START, set(12, Phase::Gone))), Refusal::VersionMismatch(_)));
    }

    #[test]
    fn a_command_of_one_who_knows_another_generation_is_refused() {
        let mut shard = Shard::new();
        shard.run(START, set(10, Phase::Open));
        for (known, taken) in [(10, true), (9, false), (0, false)] {
            let asked =
                crate::command::Envelope { group: Some(Sequence(known)), ..envelope(None, put_in("a", "t")) };
            let reply = shard.entry(START, vec![asked]).remove(0);
            assert_eq!(matches!(reply, Reply::Done(_)), taken, "{known}: {reply:?}");
        }
    }

    #[test]
    fn a_group_s_retention_holds_for_what_ends_after_it_was_set() {
        let mut shard = Shard::new();
        shard.run(START, set(10, Phase::Open));
        for id in ["t", "u"] {
            shard.run(START, put_in("a", id));
        }
        let cancel = |id: &str| crate::command::Delete { key: TimerKey::new("a", id), ..delete(id) };
        let first = done(shard.run(START, cancel("t"))).timer;
        let settings =
            GroupSettings { retention: RETENTION_MIN, retain_payload: true, ..GroupSettings::default() };
        shard.run(START, SetGroup { group: Group { settings, ..set(11, Phase::Open).group } });
        let second = done(shard.run(START, cancel("u"))).timer;
        let kept =
            |timer: &crate::timer::Timer| timer.purge_at.map(|at| at.since(crate::time::Millis(START)));
        assert_eq!((kept(&first), kept(&second)), (Some(RETENTION), Some(RETENTION_MIN)));
        assert_eq!(first.definition.payload, crate::definition::Payload::None);
        assert_ne!(second.definition.payload, crate::definition::Payload::None);
    }

    #[test]
    fn a_quota_counts_what_is_pending() {
        let mut shard = Shard::new();
        let settings = GroupSettings { shards: 2, pending_max: Some(3), ..GroupSettings::default() };
        shard.run(START, SetGroup { group: Group { settings, ..group_in("a", 10) } });
        done(shard.run(START, put_in("a", "t")));
        done(shard.run(START, put_in("a", "u")));
        assert_eq!(refused(shard.run(START, put_in("a", "v"))), Refusal::QuotaExceeded);
        // A replacement adds nothing, a cancelled one makes room.
        let again = Put { fingerprint: put("t", 1).fingerprint, ..put_in("a", "t") };
        done(shard.run(START, again));
        shard.run(START, crate::command::Delete { key: TimerKey::new("a", "t"), ..delete("t") });
        done(shard.run(START, put_in("a", "v")));
    }

    #[test]
    fn nothing_lies_beyond_its_group_s_horizon() {
        let mut shard = Shard::new();
        let settings = GroupSettings { horizon_max: Span(500), ..GroupSettings::default() };
        shard.run(START, SetGroup { group: Group { settings, ..group_in("a", 10) } });
        done(shard.run(START, put_in("a", "t")));
        let far = Put { definition: crate::testing::definition(START + 501), ..put_in("a", "u") };
        assert!(
            matches!(refused(shard.run(START, far)), Refusal::OutOfRange { field, .. } if field == "executeAt")
        );
        let far = crate::command::AttemptResult::DeliveredNext {
            execute_at: crate::time::Millis(START + 1_501),
            payload: None,
        };
        let generation = shard.store_timer("a", "t").generation;
        let outcome = crate::command::Outcome {
            key: TimerKey::new("a", "t"),
            ..crate::testing::outcome("t", generation, 1, START + 1_000, far)
        };
        assert_eq!(shard.run(START + 1_000, outcome), Reply::Outcome(true));
        let dead = shard.store_timer("a", "t");
        let kind = dead.last_error.as_ref().map(|error| error.kind);
        assert_eq!((dead.state, kind), (State::Dead, Some(crate::timer::ErrorKind::InvalidCallbackAnswer)));
        let delayed = Put { delay: Some(Span(501)), ..put_in("a", "u") };
        assert!(matches!(refused(shard.run(START, delayed)), Refusal::OutOfRange { .. }));
    }
}
