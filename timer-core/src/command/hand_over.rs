//! A leader leaves office in order: it has stopped starting attempts and names those on their way.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::command::Reply;
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
            let open = |open: &&OpenAttempt| open.until > now && !named.contains(&name(open));
            attempts.extend(taken_over.iter().filter(open).cloned());
        }
        session.handed_over = Some(attempts);
    }
    Reply::Ack
}
