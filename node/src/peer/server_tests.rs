//! The service over a real connection, on a node that panics.

use std::time::Duration;

use proto::wire::peer::peer_client::PeerClient;
use proto::wire::peer::peer_server::PeerServer;
use tokio::net::TcpListener;

use super::*;

/// Answers clock probes, and panics when it is asked for a vote or for a shard's Raft.
struct Fragile;

impl Inbound for Fragile {
    fn probe(&self, _: ProbeRequest) -> ProbeReply {
        ProbeReply::default()
    }

    fn hello(&self, _: &Hello) -> Result<Hello, Refusal> {
        Ok(Hello::default())
    }

    fn raft(&self, _: u16) -> Result<Raft, String> {
        panic!("the shard's Raft is broken")
    }

    fn vote(&self, _: u16, _: VoteRequest) -> BoxFuture<'_, Result<VoteReply, String>> {
        Box::pin(async { panic!("no vote") })
    }

    fn transfer(&self, _: u16, _: TransferRequest) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn now_ms(&self) -> u64 {
        7
    }

    fn submit(&self, _: u16, _: SubmitRequest) -> BoxFuture<'_, SubmitReply> {
        Box::pin(std::future::ready(SubmitReply::default()))
    }

    fn read(&self, _: u16, _: ReadRequest) -> BoxFuture<'_, ReadReply> {
        Box::pin(std::future::ready(ReadReply::default()))
    }

    fn list(&self, _: u16, _: ListRequest) -> BoxFuture<'_, ListReply> {
        Box::pin(std::future::ready(ListReply::default()))
    }

    fn groups(&self, _: u16, _: GroupsRequest) -> BoxFuture<'_, GroupsReply> {
        Box::pin(std::future::ready(GroupsReply::default()))
    }

    fn attempts(&self, _: u16, _: AttemptsRequest) -> BoxFuture<'_, AttemptsReply> {
        Box::pin(std::future::ready(AttemptsReply::default()))
    }

    fn outcomes(&self, _: u16, _: OutcomesRequest) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(true))
    }

    fn snapshot(&self, _: u16, _: SnapshotBegin) -> BoxFuture<'_, Result<Box<dyn SnapshotSink>, String>> {
        Box::pin(std::future::ready(Err("none".to_owned())))
    }
}

/// A lane to a fragile node: what is sent, and what comes back.
async fn lane(url: &str) -> (mpsc::Sender<Frame>, Streaming<Frame>) {
    let mut client = PeerClient::connect(url.to_owned()).await.unwrap();
    let (tx, rx) = mpsc::channel(8);
    tx.send(reply(0, 0, Body::Hello(Hello { node_id: 2, ..Hello::default() }))).await.unwrap();
    let mut frames = client.exchange(ReceiverStream::new(rx)).await.unwrap().into_inner();
    assert!(matches!(frames.message().await.unwrap().unwrap().body, Some(Body::Hello(_))));
    (tx, frames)
}

/// Were it kept, appends of that shard would get no answer on this connection, and no error either.
#[tokio::test]
async fn a_connection_with_a_request_that_nobody_will_answer_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = PeerServer::new(PeerService::new(Arc::new(Fragile)));
    let server = tonic::transport::Server::builder().add_service(service);
    let incoming = futures_util::stream::unfold(listener, |listener| async {
        Some((listener.accept().await.map(|(stream, _)| stream), listener))
    });
    let serving = tokio::spawn(server.serve_with_incoming(incoming));
    let append = proto::wire::peer::AppendRequest::default();
    for broken in [Body::Vote(VoteRequest::default()), Body::Append(append)] {
        let (tx, mut frames) = lane(&url).await;
        tx.send(reply(1, 0, Body::ClockProbe(Default::default()))).await.unwrap();
        let answer = frames.message().await.unwrap().unwrap().body;
        assert!(matches!(answer, Some(Body::ClockReply(ClockReply { now_ms: 7 }))), "{answer:?}");
        tx.send(reply(2, 0, broken)).await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(30), frames.message()).await;
        assert!(matches!(end, Ok(Ok(None) | Err(_))), "{end:?}");
    }
    serving.abort();
}
