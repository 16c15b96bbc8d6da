//! What the loop does with room, and what a destination is. No Raft is there: the timers that are due have no
//! records, so that each attempt is over as soon as it has a place.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use raft_store::engine::memory::MemoryDisk;
use raft_store::type_config::LeaderId;
use raft_store::{StoreOptions, Stores};
use timer_core::attempt::{Answer, Trigger};
use timer_core::ids::{Sequence, ShardId, TimerKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::delivery::{AddressPolicy, SenderSettings};
use crate::environment::ManualClock;
use crate::shard::cursor::tests::{DUE, forgetful};
use crate::shard::feed::Feed;
use crate::shard::proposer::{QueueBounds, proposer};

const NOW: Millis = Millis(1_000_000);
/// Turns that other tasks get before something counts as stuck.
const TURNS_MAX: u32 = 100_000;

/// What offices share, with room for so many attempts.
pub(in crate::shard) fn context(room: usize) -> DispatchContext {
    let clock = Arc::new(ManualClock::new(NOW));
    let roots = Some(rustls::RootCertStore::empty());
    let settings = SenderSettings { roots, ..SenderSettings::default() };
    DispatchContext {
        sender: Arc::new(Sender::new(AddressPolicy::dev(), clock.clone(), settings).unwrap()),
        clock,
        room: Arc::new(Semaphore::new(room)),
        destinations: Arc::new(Destinations::new(10)),
        cluster_id: Arc::from("c"),
        metrics: Arc::new(Metrics::new()),
        attempts: TaskTracker::new(),
        look_ahead: LookAhead { span: Span(60_000), timers_max: 100, bytes_max: 1 << 20 },
    }
}

/// The dispatcher of `office`, whose proposals nobody takes.
pub(in crate::shard) fn of_office(
    context: DispatchContext,
    reader: StateReader,
    office: Office,
) -> Dispatcher {
    let queue = QueueBounds { commands_max: 10, bytes_max: 1 << 20, linger: Duration::ZERO };
    let (proposer, _) = proposer(
        Arc::new(RwLock::new(None)),
        context.clock.clone(),
        Arc::new(|| Ok(())),
        queue,
        Arc::new(|_| {}),
    );
    Dispatcher {
        office: Arc::new(office),
        reader,
        proposer,
        may_start: Arc::new(|| true),
        confirm: Arc::new(|| Box::pin(std::future::ready(true))),
        forward: Arc::new(|_| Box::pin(std::future::ready(false))),
        context,
        ended: CancellationToken::new(),
    }
}

/// A shard's dispatcher with so many timers that are due.
fn dispatcher(context: &DispatchContext, stores: &Stores, shard: u16, due: u64) -> Dispatcher {
    let office = Office::new(1, LeaderId { term: 1, node_id: 1 }, NOW, Millis(0), &[]);
    let bounds = &context.look_ahead;
    assert!(office.begin_load(NOW + bounds.span, bounds).is_some());
    let timers = (0..due).map(|n| Due {
        key: TimerKey::new("default", n.to_string()),
        generation: Sequence(n),
        position: NOW,
    });
    office.end_load(timers.collect(), None);
    of_office(context.clone(), stores.state().reader(ShardId(shard)), office)
}

/// A semaphore hands a permit that is given back to the next who waits: two that give back what they waited for
/// hand it to each other for ever.
#[tokio::test]
async fn two_shards_that_wait_for_room_use_it_when_it_comes() {
    let stores = Stores::memory(&MemoryDisk::new(false), 2, &StoreOptions::new("c")).unwrap();
    let context = context(1);
    let taken = context.room.clone().acquire_owned().await.unwrap();
    let shards: Vec<_> = (0..2).map(|shard| dispatcher(&context, &stores, shard, 20)).collect();
    // Kept: a loop ends with its feed.
    let feeds: Vec<_> = shards.iter().map(|_| Feed::default()).collect();
    for (shard, feed) in shards.iter().zip(&feeds) {
        tokio::spawn(shard.clone().run(feed.subscribe()));
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    drop(taken);
    let settled = || shards.iter().all(|shard| shard.office.sizes().settled == 20);
    let mut turns = 0;
    while !settled() {
        assert!(turns < TURNS_MAX, "what is due does not start");
        turns += 1;
        tokio::task::yield_now().await;
    }
}

/// The wall clock stands still here, as a manual one does between two calls.
#[tokio::test(start_paused = true)]
async fn what_is_due_while_nothing_may_start_starts_once_it_may_without_a_move_of_the_clock() {
    let stores = Stores::memory(&MemoryDisk::new(false), 1, &StoreOptions::new("c")).unwrap();
    let context = context(2);
    let may_start = Arc::new(AtomicBool::new(false));
    let asked = may_start.clone();
    let shard = Dispatcher {
        may_start: Arc::new(move || asked.load(Ordering::SeqCst)),
        ..dispatcher(&context, &stores, 0, 20)
    };
    let (feed, office) = (Feed::default(), shard.office.clone());
    tokio::spawn(shard.run(feed.subscribe()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(office.sizes().settled, 0);
    assert_eq!(context.room.available_permits(), 2, "what may not start takes no place");
    may_start.store(true, Ordering::SeqCst);
    tokio::time::sleep(START_HOLD * 2).await;
    assert_eq!(office.sizes().settled, 20);
}

/// Makes the attempt that is due at [`DUE`], with `may_start`, and gives what is ready, under way and settled then.
async fn attempt(dispatcher: Dispatcher, may_start: MaySend) -> (usize, usize, u64) {
    let slots = dispatcher.reader.scan_wheel(Bound::Unbounded, DUE + Span(1), 10).unwrap();
    let [slot] = slots.as_slice() else { panic!("{slots:?}") };
    let due = Due { key: slot.key.clone(), generation: slot.sequence, position: slot.at };
    let context = DispatchContext { clock: Arc::new(ManualClock::new(DUE)), ..dispatcher.context.clone() };
    let dispatcher = Dispatcher { context, may_start, ..dispatcher };
    assert_eq!(dispatcher.office.admit(&due, DUE), Admission::Admitted);
    let place = dispatcher.context.room.clone().acquire_owned().await.unwrap();
    dispatcher.clone().attempt(due, place).await;
    let sizes = dispatcher.office.sizes();
    (sizes.ready, sizes.under_way, sizes.settled)
}

/// The wheel does not know that an entry hangs: it is asked again right before a call.
#[tokio::test]
async fn an_attempt_that_may_not_start_when_its_record_was_read_is_ready_again() {
    let dispatcher = forgetful("http://receiver/").await;
    assert_eq!(attempt(dispatcher, Arc::new(|| false)).await, (1, 0, 0));
}

/// The lead can be lost on the way to the receiver.
#[tokio::test]
async fn an_attempt_that_may_not_be_sent_when_its_connection_is_there_is_ready_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dispatcher = forgetful(&format!("http://{}/", listener.local_addr().unwrap())).await;
    let metrics = dispatcher.context.metrics.clone();
    let asked = AtomicBool::new(false);
    let once = move || !asked.swap(true, Ordering::SeqCst);
    assert_eq!(attempt(dispatcher, Arc::new(once)).await, (1, 0, 0));
    assert!(metrics.render().contains("timerd_callbacks_total{result=\"withheld\"} 1"));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"");
}

#[tokio::test]
async fn an_outcome_goes_out_with_what_the_history_keeps_of_its_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dispatcher = forgetful(&format!("http://{}/", listener.local_addr().unwrap())).await;
    let outcomes: Arc<Mutex<Vec<Envelope>>> = Arc::default();
    let sink = outcomes.clone();
    let forward: ForwardOutcome = Arc::new(move |envelope| {
        sink.lock().push(envelope);
        Box::pin(std::future::ready(true))
    });
    // Its office is over: what comes of it is brought to whoever leads next.
    dispatcher.ended.cancel();
    let receiver = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the request ends early");
        }
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 6\r\n\r\nthanks").await.unwrap();
        stream
    };
    let dispatcher = Dispatcher { forward, ..dispatcher };
    let (sizes, _stream) = tokio::join!(attempt(dispatcher, Arc::new(|| true)), receiver);
    assert_eq!(sizes, (0, 0, 1));
    let outcomes = outcomes.lock();
    let [Envelope { command: Command::Outcome(outcome), .. }] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    let answer = Some(Answer::new(202, b"thanks", false));
    let details = Details { scheduled_at: DUE, trigger: Trigger::Schedule, answer };
    assert_eq!((&outcome.result, &outcome.details), (&AttemptResult::Delivered, &Some(details)));
}
