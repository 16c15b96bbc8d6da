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
