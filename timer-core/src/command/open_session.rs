//! A new leader takes office.

use crate::command::{Context, Reply};
use crate::ids::NodeId;
use crate::limits::{CALLBACK_TIMEOUT_MAX, CLOCK_OFFSET_MAX};
use crate::shard_state::{Lost, Predecessor, Session, ShardState};
use crate::time::Millis;

/// The first command of a leader. Its log index is the session's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The leader.
    pub node: NodeId,
}

/// Opens the session and keeps what the one before may have left on its way.
///
/// A second one in the same entry finds its number taken and changes nothing.
pub(crate) fn apply(state: &mut ShardState, context: &Context<'_>, open: OpenSession) -> Reply {
    let number = context.sequence.index();
    let former = state.session.take();
    let session = match former {
        Some(session) if session.number >= number => session,
        former => {
            let (predecessor, lost) = legacy(former, number, context.now);
            Session { number, node: open.node, opened_at: context.now, predecessor, lost, handed_over: None }
        }
    };
    let number = session.number;
    state.session = Some(session);
    Reply::SessionOpened(number)
}

/// What the session `number`, opened at `now`, must know of those before it.
fn legacy(former: Option<Session>, number: u64, now: Millis) -> (Predecessor, Option<Lost>) {
    let Some(former) = former else { return (Predecessor::None, None) };
    // Beyond this nothing that vanished leaders have sent can arrive any more.
    let recent = |lost: &Lost| now < lost.opened_at + CALLBACK_TIMEOUT_MAX + CLOCK_OFFSET_MAX;
    let lost = former.lost.filter(recent);
    match former.handed_over {
        Some(attempts) => (Predecessor::HandedOver(attempts), lost),
        None => {
            let since = lost.map_or(now, |lost| lost.since);
            (Predecessor::Lost, Some(Lost { session: number, opened_at: now, since }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HandOver;
    use crate::testing::{START, Shard, envelope, open};

    #[test]
    fn a_session_is_numbered_by_its_entry_and_knows_how_the_one_before_ended() {
        let mut shard = Shard::default();
        assert_eq!(shard.run(START, open(7)), Reply::SessionOpened(1));
        let session = shard.state.session.clone();
        assert_eq!(session.map(|s| (s.predecessor, s.node)), Some((Predecessor::None, NodeId(7))));
        assert_eq!(shard.run(START + 5, open(8)), Reply::SessionOpened(2));
        let lost = Lost { session: 2, opened_at: Millis(START + 5), since: Millis(START + 5) };
        let session = shard.state.session.clone();
        assert_eq!(session.map(|s| (s.predecessor, s.lost)), Some((Predecessor::Lost, Some(lost))));
        shard.run(START + 6, HandOver { session: 2, attempts: Vec::new() });
        shard.run(START + 7, open(7));
        let session = shard.state.session.clone();
        let handed_over = Predecessor::HandedOver(Vec::new());
        assert_eq!(session.map(|s| (s.predecessor, s.lost)), Some((handed_over, Some(lost))));
    }

    #[test]
    fn lost_leaders_are_forgotten_when_nothing_of_them_can_arrive() {
        let mut shard = Shard::new();
        shard.run(START, open(2));
        shard.run(START, HandOver { session: 2, attempts: Vec::new() });
        shard.run(START + CALLBACK_TIMEOUT_MAX.0 + CLOCK_OFFSET_MAX.0, open(3));
        assert_eq!(shard.state.session.clone().and_then(|s| s.lost), None);
    }

    #[test]
    fn two_in_one_entry_are_one_session() {
        let mut shard = Shard::default();
        let replies = shard.entry(START, vec![envelope(None, open(1)), envelope(None, open(2))]);
        assert_eq!(replies, [Reply::SessionOpened(1), Reply::SessionOpened(1)]);
        assert_eq!(
            shard.state.session.map(|s| (s.node, s.predecessor)),
            Some((NodeId(1), Predecessor::None))
        );
    }
}
