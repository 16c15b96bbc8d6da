//! What openraft makes of answers that come late: a real leader, and followers that answer when the test says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::pending;
use openraft::Instant as _;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use raft_store::engine::memory::MemoryDisk;
use raft_store::state_machine::SnapshotData;
use raft_store::type_config::{Snapshot, Vote};
use raft_store::{EntryData, PeerNode, StoreOptions, Stores};
use timer_core::command::Entry as Commands;
use timer_core::ids::ShardId;
use timer_core::time::Millis;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::shard::raft::{Raft, RaftTiming, config};

type C = TypeConfig;

const TIMING: RaftTiming = RaftTiming {
    heartbeat: Duration::from_millis(200),
    election_min: Duration::from_millis(600),
    election_max: Duration::from_millis(1_000),
    // Longer than the test: the leader does not give up by itself.
    probe: Duration::from_secs(60),
    log_keep_entries: 100,
};
/// For how long nobody answers.
const SILENCE: Duration = Duration::from_secs(3);
/// Long enough for everything that needs no answer.
const A_WHILE: Duration = Duration::from_millis(100);

/// The followers of node 1.
struct Followers {
    /// Whether they answer by themselves.
    awake: AtomicBool,
    /// Appends that wait for the test.
    asked: mpsc::UnboundedSender<Asked>,
}

/// An append that waits, and to whom it was sent.
struct Asked {
    target: u64,
    answer: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Factory(Arc<Followers>);

struct Client {
    followers: Arc<Followers>,
    target: u64,
}

impl RaftNetworkFactory<C> for Factory {
    type Network = Client;

    async fn new_client(&mut self, target: u64, _: &PeerNode) -> Client {
        Client { followers: self.0.clone(), target }
    }
}

impl RaftNetworkV2<C> for Client {
    type SnapshotData = SnapshotData;

    /// A heartbeat.
    async fn append_entries(
        &mut self,
        _: Append,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<C>, RPCError<C>> {
        if self.followers.awake.load(Ordering::SeqCst) {
            Ok(AppendEntriesResponse::Success)
        } else {
            pending().await
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<C>, RPCError<C>>>, RPCError<C>>>
    where
        S: Stream<Item = Append> + OptionalSend + Unpin + 'static,
    {
        let (followers, target) = (self.followers.clone(), self.target);
        let ask = move |append: Append| {
            let (answer, answered) = oneshot::channel();
            if followers.awake.load(Ordering::SeqCst) {
                answer.send(()).unwrap();
            } else {
                followers.asked.send(Asked { target, answer }).unwrap();
            }
            async move {
                let _ = answered.await;
                Ok(Ok(append.entries.last().map_or(append.prev_log_id, |last| Some(last.log_id))))
            }
        };
        let answers: BoxStream<'s, _> = Box::pin(in_turn(input, ask));
        Box::pin(async { Ok(answers) })
    }

    async fn vote(&mut self, rpc: VoteRequest<C>, _: RPCOption) -> Result<VoteResponse<C>, RPCError<C>> {
        Ok(VoteResponse::new(rpc.vote, rpc.last_log_id, true))
    }

    async fn pre_vote(&mut self, rpc: VoteRequest<C>, _: RPCOption) -> Result<VoteResponse<C>, RPCError<C>> {
        Ok(VoteResponse::new(rpc.vote, rpc.last_log_id, true))
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: Snapshot,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<C>, StreamingError<C>> {
        pending().await
    }

    async fn transfer_leader(
        &mut self,
        _: TransferLeaderRequest<C>,
        _: RPCOption,
    ) -> Result<TransferLeaderResponse<C>, RPCError<C>> {
        pending().await
    }
}

fn node(id: u64) -> (u64, PeerNode) {
    (id, PeerNode { name: format!("n{id}"), address: format!("n{id}:1") })
}

/// Node 1 of three, which leads, and what it keeps its log in.
async fn leader(followers: &Arc<Followers>) -> (Raft, Stores) {
    let stores = Stores::memory(&MemoryDisk::new(false), 1, &StoreOptions::new("c")).unwrap();
    let shard = stores.shard(ShardId(0), None).unwrap();
    let settings = config("c", 0, &TIMING).unwrap();
    let raft =
        Raft::new(1, settings, Factory(followers.clone()), shard.log, shard.state_machine).await.unwrap();
    raft.initialize(BTreeMap::from([node(1), node(2), node(3)])).await.unwrap();
    raft.trigger().elect(false).await.unwrap();
    raft.wait(Some(Duration::from_secs(10))).current_leader(1, "it leads").await.unwrap();
    (raft, stores)
}

/// A leader that was stopped finds old answers in its sockets. What it sends after the first of them must not be taken
/// for answered by the next: its lease, by which it calls and reads, would live on though nobody has heard of it.
#[tokio::test(start_paused = true)]
async fn an_answer_to_what_was_sent_long_ago_does_not_renew_the_lease() {
    let (tx, mut asked) = mpsc::unbounded_channel();
    let followers = Arc::new(Followers { awake: AtomicBool::new(true), asked: tx });
    let (raft, _stores) = leader(&followers).await;
    tokio::time::sleep(A_WHILE).await;
    followers.awake.store(false, Ordering::SeqCst);
    let entry = proto::entry::encode(&Commands { proposed_at: Millis(1), commands: Vec::new() });
    let writer = raft.clone();
    let write = tokio::spawn(async move { writer.client_write(EntryData(entry)).await });
    let (first, second) = (asked.recv().await.unwrap(), asked.recv().await.unwrap());
    assert_ne!(first.target, second.target);
    tokio::time::sleep(SILENCE).await;
    first.answer.send(()).unwrap();
    write.await.unwrap().unwrap();
    // What tells the followers that it is committed would go out now.
    tokio::time::sleep(A_WHILE).await;
    second.answer.send(()).unwrap();
    tokio::time::sleep(A_WHILE).await;
    let acked = raft.as_leader().unwrap().last_quorum_acked().unwrap();
    assert!(acked.elapsed() >= SILENCE, "renewed {:?} ago", acked.elapsed());
    raft.shutdown().await.unwrap();
}
