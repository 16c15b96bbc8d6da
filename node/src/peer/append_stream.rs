//! One session of appends to one follower: what is sent, and when.
//!
//! **One append at a time.** openraft credits an answer to every append that its stream has given out by then and that
//! ends at or before the log id in the answer (`InflightAppendQueue`), and the leader's lease and its linearizable reads
//! live on when those were given out. An append without entries ends where the one before it did; given out while that
//! one waits for its answer, it would be credited with it. A leader that was stopped for seconds finds such answers in its
//! sockets, learns from the first ones that an entry is committed, tells that to the followers whose answers it has not
//! read yet, and would take these for proof that it leads now. So nothing more is taken from the stream until the append
//! before is answered. It costs nothing where one entry of a shard is under way at a time; a follower that lags gets its
//! entries in large appends, one after the other.
//!
//! **Commits travel with entries.** openraft sends an append without entries whenever the commit index moves, which
//! doubles the messages of a shard that takes one entry after the other. Nobody waits for it: followers answer no reads,
//! and a new leader commits by its own first entry. So it is held for a moment, and dropped when a later append, which
//! says at least as much, comes first. openraft does not count answers: the answer to a later append also settles the
//! ones before it.

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use openraft::raft::AppendEntriesRequest;
use raft_store::TypeConfig;
use tokio::time::{Instant, timeout_at};

/// How long a follower may not hear of a commit for want of an entry: less than a heartbeat, which says it too.
const HOLD: Duration = Duration::from_millis(20);

type Append = AppendEntriesRequest<TypeConfig>;

/// Asks each append of `input` that is not needless, the next when the one before is answered, and gives the answers.
pub fn in_turn<R, F: Future<Output = R>>(
    input: impl Stream<Item = Append> + Unpin,
    ask: impl FnMut(Append) -> F,
) -> impl Stream<Item = R> {
    carry_commits(input).then(ask)
}

/// Gives the requests of `input` in order but for those without entries that a later one has made needless.
fn carry_commits(input: impl Stream<Item = Append> + Unpin) -> impl Stream<Item = Append> {
    stream::unfold((input.fuse(), None::<(Append, Instant)>), |(mut input, mut held)| async move {
        loop {
            let next = match &held {
                None => input.next().await,
                Some((_, until)) => timeout_at(*until, input.next()).await.unwrap_or_default(),
            };
            match next {
                Some(append) if append.entries.is_empty() => {
                    let until = held.map_or_else(|| Instant::now() + HOLD, |(_, until)| until);
                    held = Some((append, until));
                }
                Some(append) => return Some((append, (input, None))),
                // Time is up, or nothing follows. A probe for the end of a follower's log is such a last one.
                None => return held.map(|(append, _)| (append, (input, None))),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use openraft::entry::RaftEntry as _;
    use openraft::testing::log_id;
    use raft_store::type_config::Vote;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    type Entry = <TypeConfig as openraft::RaftTypeConfig>::Entry;

    /// The append after `prev` with `entries` entries, when `commit` is committed.
    fn append(prev: u64, entries: u64, commit: u64) -> Append {
        let id = |index| log_id::<TypeConfig>(1, 1, index);
        AppendEntriesRequest {
            vote: Vote::new_committed(1, 1),
            prev_log_id: Some(id(prev)),
            entries: (1..=entries).map(|n| Entry::new_blank(id(prev + n))).collect(),
            leader_commit: Some(id(commit)),
        }
    }

    /// What is left of an append to compare.
    fn seen(append: &Append) -> (u64, usize, u64) {
        let index = |id: &Option<_>| id.as_ref().map_or(0, |id: &raft_store::type_config::LogId| id.index);
        (index(&append.prev_log_id), append.entries.len(), index(&append.leader_commit))
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_travels_with_the_entry_that_follows_it() {
        let (tx, rx) = mpsc::unbounded_channel();
        let mut sent = std::pin::pin!(carry_commits(UnboundedReceiverStream::new(rx)));
        for request in [append(1, 1, 1), append(2, 0, 2), append(2, 2, 2), append(4, 0, 3), append(4, 0, 4)] {
            tx.send(request).unwrap();
        }
        assert_eq!(seen(&sent.next().await.unwrap()), (1, 1, 1));
        assert_eq!(seen(&sent.next().await.unwrap()), (2, 2, 2), "the empty one before it is needless");
        let before = Instant::now();
        assert_eq!(seen(&sent.next().await.unwrap()), (4, 0, 4), "of two empty ones the later is sent");
        assert_eq!(before.elapsed(), HOLD, "without an entry it waits so long");
    }

    /// What is taken from the stream counts as sent: an answer that comes later would be credited to it.
    #[tokio::test(start_paused = true)]
    async fn nothing_is_taken_from_the_stream_while_an_append_waits_for_its_answer() {
        let taken = Cell::new(0);
        let appends = [append(1, 1, 1), append(2, 0, 2), append(2, 1, 2)];
        let input = stream::iter(appends).inspect(|_| taken.set(taken.get() + 1));
        let (answer, mut answers) = mpsc::unbounded_channel();
        let asked = RefCell::new(Vec::new());
        let ask = |append: Append| {
            asked.borrow_mut().push(seen(&append));
            let (tx, rx) = tokio::sync::oneshot::channel();
            answer.send(tx).unwrap();
            rx
        };
        let mut answered = std::pin::pin!(in_turn(input, ask));
        for (asked_by_then, taken_by_then) in [(1, 1), (2, 3)] {
            // Long after commits that wait for an entry would have gone out alone.
            assert!(tokio::time::timeout(HOLD * 3, answered.next()).await.is_err());
            assert_eq!(taken.get(), taken_by_then, "before answer {asked_by_then}");
            answers.recv().await.unwrap().send(()).unwrap();
            assert_eq!(answered.next().await, Some(Ok(())));
        }
        assert_eq!(answered.next().await, None);
        assert_eq!(asked.take(), [(1, 1, 1), (2, 1, 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_request_is_sent_at_once_even_without_entries() {
        let before = Instant::now();
        let sent: Vec<_> =
            carry_commits(stream::iter([append(1, 1, 1), append(2, 0, 2)])).map(|a| seen(&a)).collect().await;
        assert_eq!(sent, [(1, 1, 1), (2, 0, 2)]);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}

#[cfg(test)]
#[path = "append_stream_raft_tests.rs"]
mod raft_tests;
