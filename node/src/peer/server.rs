//! The side that answers: takes lanes from peers and hands each frame to the part of the node that it is for.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use proto::wire::peer::peer_server::Peer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::codec;
use super::frame::{
    AttemptsReply, AttemptsRequest, Body, ClockReply, Frame, GroupsReply, GroupsRequest, Hello, ListReply,
    ListRequest, OutcomesReply, OutcomesRequest, ProbeReply, ProbeRequest, ReadReply, ReadRequest, Refusal,
    SnapshotBegin, SnapshotReply, SubmitReply, SubmitRequest, TransferReply, TransferRequest, VoteReply,
    VoteRequest, refusal, reply,
};
use super::turns::{Turn, Turns};
use crate::shard::raft::Raft;

/// Replies that wait to be sent on a lane.
const REPLY_QUEUE_MAX: usize = 4096;
/// Frames of one lane that are served at the same time.
const SERVED_AT_ONCE_MAX: usize = 2048;
/// Appends of one shard that wait for its Raft core.
const APPEND_QUEUE_MAX: usize = 64;

/// What a node does for its peers. Every refusal is one line for people.
pub trait Inbound: Send + Sync + 'static {
    /// Who this node is.
    fn probe(&self, request: ProbeRequest) -> ProbeReply;
    /// Checks a peer's first frame and answers it.
    ///
    /// # Errors
    /// Why the peer is not welcome.
    fn hello(&self, theirs: &Hello) -> Result<Hello, Refusal>;
    /// The shard's Raft, or why there is none now.
    ///
    /// # Errors
    /// One line.
    fn raft(&self, shard: u16) -> Result<Raft, String>;
    /// A request for a vote.
    fn vote(&self, shard: u16, request: VoteRequest) -> BoxFuture<'_, Result<VoteReply, String>>;
    /// A request to take over.
    fn transfer(&self, shard: u16, request: TransferRequest) -> BoxFuture<'_, Result<(), String>>;
    /// The wall clock in ms.
    fn now_ms(&self) -> u64;
    /// A forwarded command.
    fn submit(&self, shard: u16, request: SubmitRequest) -> BoxFuture<'_, SubmitReply>;
    /// A forwarded read.
    fn read(&self, shard: u16, request: ReadRequest) -> BoxFuture<'_, ReadReply>;
    /// A forwarded list.
    fn list(&self, shard: u16, request: ListRequest) -> BoxFuture<'_, ListReply>;
    /// A forwarded read of groups.
    fn groups(&self, shard: u16, request: GroupsRequest) -> BoxFuture<'_, GroupsReply>;
    /// A forwarded read of a history.
    fn attempts(&self, shard: u16, request: AttemptsRequest) -> BoxFuture<'_, AttemptsReply>;
    /// Outcomes of a leader that has left office.
    fn outcomes(&self, shard: u16, request: OutcomesRequest) -> BoxFuture<'_, bool>;
    /// A snapshot begins; what follows goes to the sink.
    ///
    /// # Errors
    /// One line.
    fn snapshot(
        &self,
        shard: u16,
        begin: SnapshotBegin,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotSink>, String>>;
}

/// Takes the chunks of one snapshot.
pub trait SnapshotSink: Send {
    /// The next chunk.
    fn chunk(&mut self, data: bytes::Bytes) -> BoxFuture<'_, Result<(), String>>;
    /// The last was sent: install it. Gives the vote to answer with.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<codec::Vote, String>>;
}

/// The gRPC service.
#[derive(Clone)]
pub struct PeerService {
    inbound: Arc<dyn Inbound>,
    turns: Arc<Turns>,
}

impl PeerService {
    /// A service on `inbound`.
    #[must_use]
    pub fn new(inbound: Arc<dyn Inbound>) -> Self {
        Self { inbound, turns: Arc::default() }
    }
}

type FrameStream = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;

#[tonic::async_trait]
impl Peer for PeerService {
    type ExchangeStream = FrameStream;

    async fn probe(&self, request: Request<ProbeRequest>) -> Result<Response<ProbeReply>, Status> {
        Ok(Response::new(self.inbound.probe(request.into_inner())))
    }

    async fn exchange(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let frames = request.into_inner();
        let (out, replies) = mpsc::channel(REPLY_QUEUE_MAX);
        let lane = ServedLane { inbound: self.inbound.clone(), turns: self.turns.clone(), out };
        // The lane's task ends with the stream: when the peer closes it, or when the server shuts down and
        // drops the connection. It is held by the reply stream, so nothing outlives the connection.
        let mut task = JoinSet::new();
        task.spawn(lane.serve(frames));
        let replies = ReceiverStream::new(replies).map(move |frame| {
            let _keep = &task;
            frame
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

/// One lane from one peer.
struct ServedLane {
    inbound: Arc<dyn Inbound>,
    turns: Arc<Turns>,
    out: mpsc::Sender<Result<Frame, Status>>,
}

impl ServedLane {
    async fn serve(self, mut frames: Streaming<Frame>) {
        let Some(turn) = self.greet(&mut frames).await else { return };
        tokio::select! {
            () = turn.superseded() => {}
            () = self.serve_frames(&mut frames, &turn) => {}
        }
    }

    /// Serves frames until the stream ends, or a task that works on one panics: what waits for its answer would wait for
    /// ever, so the peer is to connect again. `turn` is held by all that works on them.
    async fn serve_frames(&self, frames: &mut Streaming<Frame>, turn: &Turn) {
        let mut appenders: HashMap<u32, mpsc::Sender<Frame>> = HashMap::new();
        let mut snapshots: HashMap<u64, Box<dyn SnapshotSink>> = HashMap::new();
        let mut tasks = JoinSet::new();
        loop {
            let frame = tokio::select! {
                Some(ended) = tasks.join_next() => match ended {
                    Ok(()) => continue,
                    Err(panic) => {
                        tracing::error!(error = %panic, "a peer's request was not answered; closing its connection");
                        return;
                    }
                },
                frame = frames.message(), if tasks.len() < SERVED_AT_ONCE_MAX => frame,
            };
            let Ok(Some(frame)) = frame else { return };
            match frame.body {
                Some(Body::Append(_)) => self.append(frame, &mut appenders, &mut tasks, turn).await,
                Some(Body::SnapshotBegin(_) | Body::SnapshotChunk(_) | Body::SnapshotFinish(_)) => {
                    self.snapshot(frame, &mut snapshots).await;
                }
                _ => {
                    let (inbound, out, turn) = (self.inbound.clone(), self.out.clone(), turn.clone());
                    tasks.spawn(async move {
                        answer(inbound, out, frame).await;
                        drop(turn);
                    });
                }
            }
        }
    }

    /// Answers the peer's first frame, and gives the turn if it is welcome.
    async fn greet(&self, frames: &mut Streaming<Frame>) -> Option<Turn> {
        let Ok(Some(Frame { body: Some(Body::Hello(theirs)), .. })) = frames.message().await else {
            return None;
        };
        let (body, turn) = match self.inbound.hello(&theirs) {
            Ok(ours) => (Body::Hello(ours), Some(self.turns.take(theirs.node_id, theirs.lane).await?)),
            Err(refused) => (Body::Refusal(refused), None),
        };
        self.out.send(Ok(reply(0, 0, body))).await.ok()?;
        turn
    }

    /// Hands an append to its shard's task, which keeps the order.
    async fn append(
        &self,
        frame: Frame,
        appenders: &mut HashMap<u32, mpsc::Sender<Frame>>,
        tasks: &mut JoinSet<()>,
        turn: &Turn,
    ) {
        let appender = appenders.entry(frame.shard).or_insert_with(|| {
            let (tx, rx) = mpsc::channel(APPEND_QUEUE_MAX);
            let (inbound, out, turn) = (self.inbound.clone(), self.out.clone(), turn.clone());
            tasks.spawn(async move {
                append_loop(inbound, frame.shard, rx, out).await;
                drop(turn);
            });
            tx
        });
        let _ = appender.send(frame).await;
    }

    async fn snapshot(&self, frame: Frame, snapshots: &mut HashMap<u64, Box<dyn SnapshotSink>>) {
        let Frame { id, shard, body } = frame;
        let answer = match body {
            Some(Body::SnapshotBegin(begin)) => match self.inbound.snapshot(shard as u16, begin).await {
                Ok(sink) => {
                    snapshots.insert(id, sink);
                    Ok(SnapshotReply { transfer: id, vote: None })
                }
                Err(reason) => Err(reason),
            },
            Some(Body::SnapshotChunk(chunk)) => match snapshots.get_mut(&chunk.transfer) {
                None => Err("no such transfer".to_owned()),
                Some(sink) => match sink.chunk(chunk.data).await {
                    Ok(()) => Ok(SnapshotReply { transfer: chunk.transfer, vote: None }),
                    Err(reason) => {
                        snapshots.remove(&chunk.transfer);
                        Err(reason)
                    }
                },
            },
            Some(Body::SnapshotFinish(finish)) => match snapshots.remove(&finish.transfer) {
                None => Err("no such transfer".to_owned()),
                Some(sink) => sink.finish().await.map(|vote| SnapshotReply {
                    transfer: finish.transfer,
                    vote: Some(codec::vote_out(&vote)),
                }),
            },
            _ => Err("not a snapshot frame".to_owned()),
        };
        let body = answer.map_or_else(refusal, Body::SnapshotReply);
        let _ = self.out.send(Ok(reply(id, shard, body))).await;
    }
}

/// Serves one frame that needs no order.
async fn answer(inbound: Arc<dyn Inbound>, out: mpsc::Sender<Result<Frame, Status>>, frame: Frame) {
    let Frame { id, shard, body } = frame;
    let number = shard as u16;
    let body = match body {
        Some(Body::ClockProbe(_)) => Body::ClockReply(ClockReply { now_ms: inbound.now_ms() }),
        Some(Body::Vote(request)) => {
            inbound.vote(number, request).await.map_or_else(refusal, Body::VoteReply)
        }
        Some(Body::Transfer(request)) => {
            let refused = inbound.transfer(number, request).await.err().unwrap_or_default();
            Body::TransferReply(TransferReply { refusal: refused })
        }
        Some(Body::Submit(request)) => Body::SubmitReply(inbound.submit(number, request).await),
        Some(Body::Read(request)) => Body::ReadReply(inbound.read(number, request).await),
        Some(Body::List(request)) => Body::ListReply(inbound.list(number, request).await),
        Some(Body::Groups(request)) => Body::GroupsReply(inbound.groups(number, request).await),
        Some(Body::Attempts(request)) => Body::AttemptsReply(inbound.attempts(number, request).await),
        Some(Body::Outcomes(request)) => {
            Body::OutcomesReply(OutcomesReply { accepted: inbound.outcomes(number, request).await })
        }
        _ => refusal("this version does not know such a frame"),
    };
    let _ = out.send(Ok(reply(id, shard, body))).await;
}

/// Feeds a shard's appends to its Raft core in order, several at a time.
///
/// openraft ends a stream of appends at the first conflict or higher vote; the sender ends its own there as
/// well and sends what it thinks right next, so this begins a new stream.
async fn append_loop(
    inbound: Arc<dyn Inbound>,
    shard: u32,
    mut frames: mpsc::Receiver<Frame>,
    out: mpsc::Sender<Result<Frame, Status>>,
) {
    while let Some(first) = frames.recv().await {
        let raft = match inbound.raft(shard as u16) {
            Ok(raft) => raft,
            Err(reason) => {
                let _ = out.send(Ok(reply(first.id, shard, refusal(reason)))).await;
                continue;
            }
        };
        append_stream(&raft, shard, first, &mut frames, &out).await;
    }
}

async fn append_stream(
    raft: &Raft,
    shard: u32,
    first: Frame,
    frames: &mut mpsc::Receiver<Frame>,
    out: &mpsc::Sender<Result<Frame, Status>>,
) {
    let (tx, rx) = mpsc::channel(APPEND_QUEUE_MAX);
    let mut results = std::pin::pin!(raft.stream_append(ReceiverStream::new(rx)));
    let mut asked = std::collections::VecDeque::new();
    let mut next = Some(first);
    let mut open = true;
    loop {
        if let Some(Frame { id, body: Some(Body::Append(append)), .. }) = next.take() {
            match codec::append_in(append) {
                Ok(request) => {
                    asked.push_back(id);
                    // As many as are asked and not answered fit: this waits for nothing.
                    if tx.send(request).await.is_err() {
                        break;
                    }
                }
                Err(e) => {
                    let _ = out.send(Ok(reply(id, shard, refusal(e.to_string())))).await;
                    break;
                }
            }
        }
        tokio::select! {
            frame = frames.recv(), if open && asked.len() < APPEND_QUEUE_MAX => match frame {
                Some(frame) => next = Some(frame),
                None => open = false,
            },
            result = results.next(), if !asked.is_empty() => {
                let Some(id) = asked.pop_front() else { break };
                let (body, ended) = match result {
                    Some(Ok(result)) => {
                        (Body::AppendReply(codec::append_result_out(&result)), result.is_err())
                    }
                    Some(Err(fatal)) => (refusal(fatal.to_string()), true),
                    None => (refusal("the append stream ended"), true),
                };
                let _ = out.send(Ok(reply(id, shard, body))).await;
                if ended {
                    break;
                }
            }
            else => return,
        }
        if !open && asked.is_empty() {
            return;
        }
    }
    for id in asked {
        let _ = out.send(Ok(reply(id, shard, refusal("an append before it was refused")))).await;
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
