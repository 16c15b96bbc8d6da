//! Give a group one more secret to sign its callbacks with. A command of the meta shard; the shards of timers get copies
//! with the group ([`SetGroup`](crate::command::SetGroup)).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use crate::command::{Context, GroupDone, Refusal, Reply, put_group};
use crate::group::{DEFAULT_GROUP, Group, Phase};
use crate::limits::{GROUPS_MAX, SIGNING_SECRETS_MAX};
use crate::secret::{SecretBytes, SigningSecret};
use crate::tables::{Overlay, Tables};
use crate::timer::Effect;

/// POST of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddSigningSecret {
    /// The group.
    pub group: String,
    /// The secret, made by the node that was asked.
    pub secret: SecretBytes,
    /// The cluster's shards: what `default` is spread over when this gives it its first record.
    pub shards: u16,
}

/// Adds the secret. Its id is this command's sequence, which is also the version that is kept with the answer: so a repeated
/// request finds the secret that it made.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    add: &AddSigningSecret,
) -> Result<Reply, T::Error> {
    let record = overlay.group(&add.group)?.cloned();
    if let Some(reply) = record.as_ref().and_then(|group| put_group::replay(group, context)) {
        return Ok(reply);
    }
    let mut group = match record {
        Some(group) if group.phase == Phase::Open => group,
        Some(group) if group.phase == Phase::Closed => return Ok(Reply::Refused(Refusal::GroupClosed)),
        None if add.group == DEFAULT_GROUP => {
            if overlay.state.groups >= GROUPS_MAX {
                return Ok(Reply::Refused(Refusal::TooManyGroups));
            }
            first_record(context, add.shards)
        }
        Some(_) | None => return Ok(Reply::Refused(Refusal::GroupNotFound)),
    };
    if group.secrets.len() >= SIGNING_SECRETS_MAX {
        let message = format!("of a group are at most {SIGNING_SECRETS_MAX}: one has to be deleted first");
        return Ok(Reply::Refused(Refusal::Invalid { field: "signingSecrets".into(), message }));
    }
    let secret = SigningSecret { id: context.sequence, secret: add.secret, created_at: context.now };
    group.secrets.push(secret);
    Ok(change(overlay, context, group, Effect::Created))
}

/// `default` as it was before it had a record.
fn first_record(context: &Context<'_>, shards: u16) -> Group {
    Group {
        version: context.sequence,
        created_at: context.now,
        updated_at: context.now,
        settled: false,
        ..Group::unchanged_default(shards)
    }
}

/// Stores `group`, whose secrets are others now: a new version, which every shard has to have.
pub(super) fn change<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    mut group: Group,
    effect: Effect,
) -> Reply {
    group.version = context.sequence;
    group.updated_at = context.now;
    group.settled = false;
    put_group::keep(&mut group, context, effect);
    overlay.put_group(group.clone());
    Reply::Group(Box::new(GroupDone { effect, group, replayed: false }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{GroupStep, RemoveSigningSecret, StepGroup};
    use crate::group::GroupSettings;
    use crate::ids::Sequence;
    use crate::testing::{START, Shard, add_secret, put_group, refused};

    fn done(reply: Reply) -> GroupDone {
        let Reply::Group(done) = reply else { panic!("no group: {reply:?}") };
        *done
    }

    fn secrets(group: &Group) -> Vec<(Sequence, u8)> {
        group.secrets.iter().map(|secret| (secret.id, secret.secret.expose()[0])).collect()
    }

    #[test]
    fn a_secret_is_named_by_its_command_and_makes_a_version_that_is_to_be_settled() {
        let mut meta = Shard::new();
        let made =
            done(meta.run(START, put_group("a", GroupSettings { shards: 2, ..GroupSettings::default() })));
        let settle = StepGroup { name: "a".into(), version: made.group.version, step: GroupStep::Settle };
        assert!(done(meta.run(START, settle)).group.settled);
        let first = done(meta.run(START + 1, add_secret("a", 1))).group;
        assert_eq!(
            (first.version, first.settled, first.updated_at.0),
            (Sequence::new(4, 0), false, START + 1)
        );
        assert_eq!(secrets(&first), [(first.version, 1)]);
        let second = done(meta.run(START + 2, add_secret("a", 2))).group;
        assert_eq!(secrets(&second), [(first.version, 1), (second.version, 2)]);
        assert_eq!(second.settings, made.group.settings);
        assert_eq!(second.copy().secrets, second.secrets, "shards have them");
    }

    #[test]
    fn a_repeated_request_makes_one_secret_and_finds_it() {
        let mut meta = Shard::new();
        meta.run(START, put_group("a", GroupSettings::default()));
        let first = done(meta.request(START, "r", 1, add_secret("a", 1)));
        meta.run(START, add_secret("a", 2));
        // The node that is asked again makes other bytes, which are not looked at.
        let again = done(meta.request(START + 1, "r", 1, add_secret("a", 3)));
        assert_eq!((again.effect, again.replayed, again.group.secrets.len()), (Effect::Created, true, 2));
        let kept = again.group.answers.iter().find(|kept| kept.request.id == "r").map(|kept| kept.version);
        assert_eq!(kept, first.group.secrets.last().map(|secret| secret.id));
        assert_eq!(refused(meta.request(START + 1, "r", 2, add_secret("a", 3))), Refusal::RequestKeyReused);
    }

    #[test]
    fn a_group_has_a_bounded_number_of_secrets() {
        let mut meta = Shard::new();
        meta.run(START, put_group("a", GroupSettings::default()));
        let mut last = Sequence(0);
        for n in 0..SIGNING_SECRETS_MAX {
            last = done(meta.run(START, add_secret("a", n as u8))).group.version;
        }
        let more = refused(meta.run(START, add_secret("a", 9)));
        assert!(matches!(more, Refusal::Invalid { ref field, .. } if field == "signingSecrets"), "{more:?}");
        done(meta.run(START, RemoveSigningSecret { group: "a".into(), id: last }));
        done(meta.run(START, add_secret("a", 9)));
    }

    #[test]
    fn a_group_that_is_not_open_takes_none_and_one_that_is_gone_has_none() {
        let mut meta = Shard::new();
        assert_eq!(refused(meta.run(START, add_secret("a", 1))), Refusal::GroupNotFound);
        meta.run(START, put_group("a", GroupSettings::default()));
        let version = done(meta.run(START, add_secret("a", 1))).group.version;
        let step = |version, step| StepGroup { name: "a".into(), version, step };
        let closed = done(meta.run(START, step(version, GroupStep::Close))).group;
        assert_eq!(closed.secrets.len(), 1, "what it holds is still called");
        assert_eq!(refused(meta.run(START, add_secret("a", 2))), Refusal::GroupClosed);
        let gone = done(meta.run(START, step(closed.version, GroupStep::Remove))).group;
        assert!(gone.secrets.is_empty());
        assert_eq!(refused(meta.run(START, add_secret("a", 2))), Refusal::GroupNotFound);
    }

    #[test]
    fn default_gets_its_first_record_and_stays_the_same_group() {
        let mut meta = Shard::new();
        let group = done(meta.run(START, add_secret("default", 1))).group;
        assert_eq!((group.generation, group.settings.shards), (Group::UNCHANGED, 4));
        assert_eq!((group.secrets.len(), meta.state.groups), (1, 1));
        let put = done(
            meta.run(START, put_group("default", GroupSettings { retain_payload: true, ..group.settings })),
        );
        assert_eq!((put.effect, put.group.secrets), (Effect::Replaced, group.secrets), "a PUT keeps them");
    }
}
