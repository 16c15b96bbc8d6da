//! How commands gather into entries. No Raft is there, so that every entry is answered at once.

use timer_core::attempt::{Answer, Details, Trigger};
use timer_core::command::{AdvanceCursor, AttemptResult, Command, Outcome};
use timer_core::ids::{Sequence, TimerKey};
use timer_core::limits::{ANSWER_KEPT_BYTES_MAX, ERROR_BYTES_MAX, GROUP_NAME_BYTES_MAX, TIMER_ID_BYTES_MAX};
use timer_core::time::Millis;
use timer_core::timer::{ErrorKind, LastError};

use super::*;
use crate::environment::ManualClock;

const LINGER: Duration = Duration::from_millis(2);

/// A proposer whose loop runs, the sizes of its entries, and what ends it.
fn running(linger: Duration) -> (Proposer, mpsc::UnboundedReceiver<usize>, CancellationToken) {
    let (sizes_tx, sizes) = mpsc::unbounded_channel();
    let bounds = QueueBounds { commands_max: 10_000, bytes_max: 64 << 20, linger };
    let (handle, behind) = proposer(
        Arc::new(RwLock::new(None)),
        Arc::new(ManualClock::new(Millis(1_000))),
        Arc::new(|| Ok(())),
        bounds,
        Arc::new(move |size| sizes_tx.send(size).unwrap()),
    );
    let stop = CancellationToken::new();
    tokio::spawn(behind.run(stop.clone()));
    (handle, sizes, stop)
}

fn command(bytes: usize) -> Envelope {
    let command = Command::AdvanceCursor(AdvanceCursor { session: 1, to: Millis(1) });
    Envelope { principal: "x".repeat(bytes), ..Envelope::own(command) }
}

/// This node as leader of a term.
fn leader(term: u64) -> LeaderId {
    LeaderId { term, node_id: 1 }
}

/// Proposes `count` commands at the same time and gives when they were answered.
async fn propose(handle: &Proposer, count: usize, bytes: usize) -> Duration {
    let before = Instant::now();
    let all = (0..count).map(|_| handle.propose(leader(1), command(bytes), None));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer, Err(ProposeError::NotLeader(None)));
    }
    before.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_lone_command_is_proposed_at_once() {
    let (handle, mut sizes, _stop) = running(LINGER);
    for _ in 0..3 {
        assert_eq!(propose(&handle, 1, 1).await, Duration::ZERO);
        assert_eq!(sizes.recv().await, Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_waits_for_as_many_commands_as_there_were_lately() {
    let (handle, mut sizes, _stop) = running(LINGER);
    assert_eq!(propose(&handle, 5, 1).await, Duration::ZERO);
    assert_eq!(sizes.recv().await, Some(5));
    // One comes first, and four follow within the linger: they share an entry, which then waits no longer.
    let follow = async {
        tokio::time::sleep(LINGER / 2).await;
        propose(&handle, 4, 1).await
    };
    let (first, rest) = tokio::join!(propose(&handle, 1, 1), follow);
    assert_eq!((first, rest), (LINGER / 2, Duration::ZERO));
    assert_eq!(sizes.recv().await, Some(5));
    // Nobody follows: it waits no longer than the linger, and the next expects nobody.
    assert_eq!(propose(&handle, 1, 1).await, LINGER);
    assert_eq!(propose(&handle, 1, 1).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_an_entry_is_the_first_of_the_next() {
    let (handle, mut sizes, _stop) = running(Duration::ZERO);
    propose(&handle, 5, ENTRY_BYTES_MAX / 2 - 4096).await;
    assert_eq!([sizes.recv().await, sizes.recv().await, sizes.recv().await], [Some(2), Some(2), Some(1)]);
}

/// An outcome of a failed attempt in which everything is as large as it can be.
fn largest_outcome() -> Envelope {
    let message = "x".repeat(ERROR_BYTES_MAX);
    let error = LastError {
        kind: ErrorKind::HttpStatus,
        newer_kind: None,
        status: Some(503),
        message,
        at: Millis::MAX,
    };
    let outcome = Outcome {
        key: TimerKey::new("g".repeat(GROUP_NAME_BYTES_MAX), "i".repeat(TIMER_ID_BYTES_MAX)),
        generation: Sequence(u64::MAX),
        attempt: u32::MAX,
        session: u64::MAX,
        started_at: Millis::MAX,
        finished_at: Millis::MAX,
        result: AttemptResult::Failed { error, retry_after: Some(Millis::MAX), permanent: true },
        details: Some(Details {
            scheduled_at: Millis::MAX,
            trigger: Trigger::Retry,
            answer: Some(Answer::new(503, &[b'x'; ANSWER_KEPT_BYTES_MAX + 1], false)),
        }),
    };
    Envelope::own(Command::Outcome(Box::new(outcome)))
}

#[tokio::test(start_paused = true)]
async fn as_many_of_the_largest_outcomes_as_there_can_be_find_room_and_their_entries_keep_the_bound() {
    let settings = crate::config::Settings::dev("127.0.0.1:0".parse().unwrap(), "data".into());
    let attempts = usize::try_from(settings.delivery.concurrency_max).unwrap();
    assert_eq!(settings.raft.queue_bytes_max, 64 << 20, "as of the proposer that runs here");
    let (handle, mut sizes, _stop) = running(Duration::ZERO);
    let all = (0..attempts).map(|_| handle.propose(leader(1), largest_outcome(), None));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer, Err(ProposeError::NotLeader(None)), "not overloaded");
    }
    let mut left = attempts;
    while left > 0 {
        let size = sizes.recv().await.unwrap();
        let entry = Entry { proposed_at: Millis::MAX, commands: vec![largest_outcome(); size] };
        let bytes = proto::entry::encode(&entry).len();
        assert!(bytes <= ENTRY_BYTES_MAX, "{size} outcomes are {bytes} bytes");
        left -= size;
    }
}

#[tokio::test(start_paused = true)]
async fn commands_for_leaders_of_two_terms_do_not_share_an_entry() {
    let (handle, mut sizes, _stop) = running(Duration::ZERO);
    let terms = [1, 1, 2, 1, 1, 1];
    let all = terms.map(|term| handle.propose(leader(term), command(1), None));
    futures_util::future::join_all(all).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(sizes.recv().await);
    }
    assert_eq!(seen, [Some(2), Some(1), Some(3)]);
}

#[tokio::test(start_paused = true)]
async fn after_the_stop_nothing_is_taken_any_more() {
    let (handle, mut sizes, stop) = running(LINGER);
    stop.cancel();
    assert_eq!(sizes.recv().await, None, "the loop has ended");
    assert_eq!(propose(&handle, 1, 1).await, Duration::ZERO);
}
