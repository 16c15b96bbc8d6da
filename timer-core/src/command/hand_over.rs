//! A leader leaves office in order: it has stopped starting attempts and names those on their way.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::command::Reply;
use crate::limits::CLOCK_OFFSET_MAX;
use crate::shard_state::{OpenAttempt, Predecessor, ShardState};

/// The last command of a leader that leaves in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// Its session: if another is open by now, this has no effect.
    pub session: u64,
    /// What is on its way.
    pub attempts: Vec<OpenAttempt>,
}

/// Notes what the session has on its way; it starts nothing more. Attempts that it had taken over itself and
/// that may still be on their way stay on the list, whether it names them or not.
pub(crate) fn apply(state: &mut ShardState, hand_over: &HandOver) -> Reply {
    let now = state.last_time;
    let open = state.session.as_mut();
    let Some(session) = open.filter(|session| session.number == hand_over.session) else {
        return Reply::Ack;
    };
    if session.handed_over.is_none() {
        let mut attempts = hand_over.attempts.clone();
        if let Predecessor::HandedOver(taken_over) = &session.predecessor {
            let name = |open: &OpenAttempt| (open.generation, open.attempt, open.key.clone());
            let named: BTreeSet<_> = hand_over.attempts.iter().map(name).collect();
            let open =
                |open: &&OpenAttempt| open.until + CLOCK_OFFSET_MAX > now && !named.contains(&name(open));
            attempts.extend(taken_over.iter().filter(open).cloned());
        }
        session.handed_over = Some(attempts);
    }
    Reply::Ack
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Sequence;
    use crate::testing::{START, Shard, key, open};
    use crate::time::Millis;

    fn attempt(id: &str, until: u64) -> OpenAttempt {
        OpenAttempt { key: key(id), generation: Sequence(5), attempt: 1, until: Millis(until) }
    }

    fn handed_over(shard: &Shard) -> Option<Vec<OpenAttempt>> {
        shard.state.session.as_ref().and_then(|session| session.handed_over.clone())
    }

    #[test]
    fn only_the_open_session_hands_over_and_only_once() {
        let mut shard = Shard::new();
        shard.run(START, HandOver { session: 9, attempts: Vec::new() });
        assert_eq!(handed_over(&shard), None);
        let attempts = vec![attempt("a", START + 50)];
        shard.run(START, HandOver { session: 1, attempts: attempts.clone() });
        shard.run(START, HandOver { session: 1, attempts: Vec::new() });
        assert_eq!(handed_over(&shard), Some(attempts));
    }

    #[test]
    fn what_was_taken_over_and_may_still_arrive_is_handed_on() {
        let mut shard = Shard::new();
        let (a, b, c) = (attempt("a", START + 11), attempt("b", START + 60), attempt("c", START + 10));
        let later = OpenAttempt { until: Millis(START + 70), ..b.clone() };
        shard.run(START, HandOver { session: 1, attempts: vec![a.clone(), b, c] });
        shard.run(START + 1, open(2));
        shard.run(START + 10 + CLOCK_OFFSET_MAX.0, HandOver { session: 3, attempts: vec![later.clone()] });
        assert_eq!(handed_over(&shard), Some(vec![later, a]), "b as named, a kept, c over");
    }
}
