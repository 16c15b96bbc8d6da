//! What the loop does with room, and what a destination is. No Raft is there: the timers that are due have no
//! records, so that each attempt is over as soon as it has a place.

use parking_lot::RwLock;
use raft_store::engine::memory::MemoryDisk;
use raft_store::type_config::LeaderId;
use raft_store::{StoreOptions, Stores};
use timer_core::ids::{Sequence, ShardId, TimerKey};

use super::*;
use crate::delivery::{AddressPolicy, SenderSettings};
use crate::environment::ManualClock;
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

/// The dispatcher of `office`, whose attempts may not start and whose proposals nobody takes.
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
        may_start: Arc::new(|| false),
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

#[test]
fn a_destination_is_scheme_host_and_port() {
    assert_eq!(destination("http://A.example:80/x/y?z"), "http://a.example:80");
    assert_eq!(destination("https://b.example?x"), "https://b.example");
    assert_eq!(destination("https://[::1]:9"), "https://[::1]:9");
}
