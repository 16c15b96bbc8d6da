//! Take a signing secret from a group: from when all its shards know, nothing is signed with it any more. A command of the
//! meta shard.

use alloc::string::String;

use crate::command::{Context, Refusal, Reply, add_signing_secret, put_group};
use crate::group::{DEFAULT_GROUP, Phase};
use crate::ids::Sequence;
use crate::tables::{Overlay, Tables};
use crate::timer::Effect;

/// DELETE of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveSigningSecret {
    /// The group.
    pub group: String,
    /// See [`SigningSecret::id`](crate::secret::SigningSecret::id).
    pub id: Sequence,
}

/// Takes the secret away, or says that there is none of this id ([`Refusal::NotFound`]).
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    remove: &RemoveSigningSecret,
) -> Result<Reply, T::Error> {
    let Some(mut group) = overlay.group(&remove.group)?.cloned() else {
        let is_default = remove.group == DEFAULT_GROUP;
        return Ok(Reply::Refused(if is_default { Refusal::NotFound } else { Refusal::GroupNotFound }));
    };
    if let Some(reply) = put_group::replay(&group, context) {
        return Ok(reply);
    }
    match group.phase {
        Phase::Open => {}
        Phase::Closed => return Ok(Reply::Refused(Refusal::GroupClosed)),
        Phase::Gone => return Ok(Reply::Refused(Refusal::GroupNotFound)),
    }
    let before = group.secrets.len();
    group.secrets.retain(|secret| secret.id != remove.id);
    if group.secrets.len() == before {
        return Ok(Reply::Refused(Refusal::NotFound));
    }
    Ok(add_signing_secret::change(overlay, context, group, Effect::Patched))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Group, GroupSettings};
    use crate::testing::{START, Shard, add_secret, put_group, refused};

    fn group(reply: Reply) -> Group {
        let Reply::Group(done) = reply else { panic!("no group: {reply:?}") };
        done.group
    }

    fn remove(id: Sequence) -> RemoveSigningSecret {
        RemoveSigningSecret { group: "a".into(), id }
    }

    #[test]
    fn one_secret_goes_and_the_others_stay() {
        let mut meta = Shard::new();
        meta.run(START, put_group("a", GroupSettings::default()));
        let old = group(meta.run(START, add_secret("a", 1))).version;
        let new = group(meta.run(START, add_secret("a", 2))).version;
        let rotated = group(meta.run(START + 1, remove(old)));
        assert_eq!(rotated.secrets.iter().map(|secret| secret.id).collect::<alloc::vec::Vec<_>>(), [new]);
        assert!(rotated.version > new && !rotated.settled);
    }

    #[test]
    fn a_repeated_request_is_answered_as_before_and_another_finds_nothing() {
        let mut meta = Shard::new();
        meta.run(START, put_group("a", GroupSettings::default()));
        let id = group(meta.run(START, add_secret("a", 1))).version;
        let first = group(meta.request(START, "r", 1, remove(id)));
        let again = group(meta.request(START + 1, "r", 1, remove(id)));
        assert_eq!(again.version, first.version, "nothing was done again");
        assert_eq!(refused(meta.run(START, remove(id))), Refusal::NotFound);
        assert_eq!(refused(meta.request(START, "r", 2, remove(id))), Refusal::RequestKeyReused);
    }

    #[test]
    fn where_there_is_no_group_there_is_no_secret() {
        let mut meta = Shard::new();
        assert_eq!(refused(meta.run(START, remove(Sequence(9)))), Refusal::GroupNotFound);
        let of_default = RemoveSigningSecret { group: "default".into(), id: Sequence(9) };
        assert_eq!(refused(meta.run(START, of_default)), Refusal::NotFound);
    }
}
