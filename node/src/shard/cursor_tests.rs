//! What a leader does that wanted to move the cursor over a timer which waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage, RaftStateMachine};
use raft_store::engine::memory::MemoryDisk;
use raft_store::type_config::{Entry, LeaderId, Payload, log_id};
use raft_store::{EntryData, StoreOptions, Stores};
use timer_core::command::{Entry as Commands, Fence, OpenSession, Precondition, Put, PutMode};
use timer_core::definition::{Callback, Definition, LatePolicy, Payload as Body, RetryPolicy};
use timer_core::ids::{NodeId, ShardId, TimerKey};
use timer_core::time::Span;
use timer_core::timer::Fingerprint;

use super::*;
use crate::shard::dispatcher::tests::{context, of_office};
use crate::shard::office::Office;

const NOW: Millis = Millis(1_000_000);
/// When the one timer is due.
pub(in crate::shard) const DUE: Millis = Millis(NOW.0 + 10);

fn put(url: &str) -> Command {
    Command::Put(Box::new(Put {
        key: TimerKey::new("default", "forgotten"),
        definition: Definition {
            execute_at: DUE,
            callback: Callback::post(url),
            payload: Body::Json(b"1".as_slice().into()),
            retry: RetryPolicy::default(),
            late: LatePolicy::Fire,
            labels: BTreeMap::new(),
        },
        delay: None,
        fingerprint: Fingerprint([0; 16]),
        mode: PutMode::CreateOrReplace,
        precondition: Precondition::default(),
        fence: Fence { session: 0, attempt: None },
    }))
}

fn entry(index: u64, command: Command) -> Entry {
    let envelope = Envelope::own(command);
    let bytes = proto::entry::encode(&Commands { proposed_at: NOW, commands: vec![envelope] });
    Entry { log_id: log_id(1, 1, index), payload: Payload::Normal(EntryData(bytes)) }
}

/// The dispatcher of the session in office, which has read up to a minute from now and forgotten the one timer, whose
/// receiver is at `url`.
pub(in crate::shard) async fn forgetful(url: &str) -> Dispatcher {
    let stores = Stores::memory(&MemoryDisk::new(false), 1, &StoreOptions::new("c")).unwrap();
    let mut shard = stores.shard(ShardId(0), None).unwrap();
    let commands = [Command::OpenSession(OpenSession { node: NodeId(1) }), put(url)];
    let entries: Vec<Entry> = (0..).zip(commands).map(|(index, command)| entry(index, command)).collect();
    // Nothing is applied that the log does not have.
    shard.log.append(entries.clone(), IOFlushed::noop()).await.unwrap();
    let items = entries.into_iter().map(|entry| Ok((entry, None)));
    shard.state_machine.apply(futures_util::stream::iter(items)).await.unwrap();

    let context = context(1);
    let state = shard.reader.shard_state();
    let session = state.session.unwrap().number;
    let office = Office::new(session, LeaderId { term: 1, node_id: 1 }, NOW, state.cursor, &[]);
    assert!(office.begin_load(NOW + context.look_ahead.span, &context.look_ahead).is_some());
    office.end_load(Vec::new(), None);
    of_office(context, shard.reader, office)
}

fn held(dispatcher: &Dispatcher) -> bool {
    dispatcher.context.metrics.render().contains("timerd_cursor_held_total 1")
}

#[tokio::test]
async fn a_timer_that_its_leader_forgot_is_read_from_the_tables_again() {
    let dispatcher = forgetful("http://receiver/").await;
    assert_eq!(dispatcher.office.next_due(), None, "it is forgotten");
    assert!(dispatcher.office.settled_below() > DUE, "the cursor would pass it");
    // The state machine has kept the cursor below the timer.
    look_again_if_held(&dispatcher, DUE + Span(1));
    assert!(held(&dispatcher));
    dispatcher.load_ahead(NOW).await;
    dispatcher.office.collect_due(DUE);
    assert!(dispatcher.office.has_ready());
}

#[tokio::test]
async fn nothing_is_read_again_where_the_cursor_moved_or_another_session_is_in_office() {
    let dispatcher = forgetful("http://receiver/").await;
    let cursor = dispatcher.reader.shard_state().cursor;
    look_again_if_held(&dispatcher, cursor);
    let stranger = Arc::new(Office::new(
        dispatcher.office.session + 1,
        LeaderId { term: 2, node_id: 1 },
        NOW,
        cursor,
        &[],
    ));
    let other = Dispatcher { office: stranger, ..dispatcher.clone() };
    look_again_if_held(&other, DUE + Span(1));
    assert!(!held(&dispatcher));
    assert_eq!(dispatcher.office.frontier(), NOW + dispatcher.context.look_ahead.span);
}
