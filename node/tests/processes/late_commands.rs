//! Commands between nodes that come when nobody waits for them any more: after the leader that they were for has gone,
//! or on a connection that the sender has given up. They must do nothing, since their sender has turned to another
//! leader meanwhile and told its client what that one said.

use std::time::Duration;

use proto::wire::peer::failure::Kind;
use proto::wire::peer::frame::Body;
use proto::wire::peer::peer_client::PeerClient;
use proto::wire::peer::submit_reply::Result as Submitted;
use proto::wire::peer::{Frame, Hello, SubmitRequest, reply};
use serde_json::{Value, json};
use timer_core::command::{Command, Delete, Envelope, Fence, Precondition};
use timer_core::ids::TimerKey;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::cluster::Cluster;

const WAIT: Duration = Duration::from_secs(20);

/// A connection to a leader's peer port, as another member would open it.
struct Connection {
    frames: mpsc::Sender<Frame>,
    replies: tonic::Streaming<Frame>,
}

/// A leader as its peers know it.
struct Leader {
    id: u64,
    term: u64,
    address: String,
    /// Of a member that does not lead.
    hello: Hello,
}

impl Leader {
    /// The leader of the only shard.
    async fn of(cluster: &Cluster) -> Self {
        let url = format!("{}/api/v1/cluster", cluster.nodes[cluster.leader_of(0).await].url);
        let view = cluster.client.send("GET", &url, &[], None).await.unwrap().json;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let id = view["shards"][0]["leader"].as_u64().unwrap();
        let nodes = view["nodes"].as_array().unwrap();
        let leader = nodes.iter().find(|node| node["id"] == id).unwrap();
        let other = nodes.iter().find(|node| node["id"] != id).unwrap();
        // On a lane without a name, so that the member's own connections stay.
        let hello = Hello {
            cluster_id: text(&view["clusterId"]),
            node_id: other["id"].as_u64().unwrap(),
            node_name: text(&other["name"]),
            ..Hello::default()
        };
        let term = view["shards"][0]["term"].as_u64().unwrap();
        Self { id, term, address: format!("http://{}", text(&leader["peerAddress"])), hello }
    }

    async fn connect(&self) -> Connection {
        let mut client = PeerClient::connect(self.address.clone()).await.unwrap();
        let (frames, queue) = mpsc::channel(16);
        frames.send(Frame { body: Some(Body::Hello(self.hello.clone())), ..Frame::default() }).await.unwrap();
        let mut replies = client.exchange(ReceiverStream::new(queue)).await.unwrap().into_inner();
        let greeting = replies.message().await.unwrap().unwrap();
        assert!(matches!(greeting.body, Some(Body::Hello(_))), "{greeting:?}");
        Connection { frames, replies }
    }

    /// A cancel of timer `id`, sent to this leader in `term`.
    fn cancel(id: &str, term: u64) -> Frame {
        let delete = Delete {
            key: TimerKey::new("default", id),
            purge: false,
            precondition: Precondition::default(),
            fence: Fence::default(),
        };
        let envelope = proto::entry::encode_envelope(&Envelope::own(Command::Delete(delete)));
        let request = SubmitRequest { envelope, deadline_ms: 10_000, leader_term: term };
        Frame { id: term, shard: 0, body: Some(Body::Submit(request)) }
    }
}

impl Connection {
    async fn ask(&mut self, frame: Frame) -> Submitted {
        self.frames.send(frame).await.unwrap();
        match self.replies.message().await.unwrap().unwrap().body {
            Some(Body::SubmitReply(reply)) => reply.result.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Whether the leader has closed it.
    async fn is_closed(&mut self) -> bool {
        !matches!(tokio::time::timeout(WAIT, self.replies.message()).await, Ok(Ok(Some(_))) | Err(_))
    }
}

async fn state(cluster: &Cluster, id: &str) -> Value {
    cluster.get(0, id).await.unwrap().json["state"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_another_term_of_its_leader_does_nothing() {
    let cluster = Cluster::start(3, 1).await;
    cluster.put_ok(0, "wanted", &json!({"delay": "30d", "callbackUrl": "http://127.0.0.1:1/"})).await;
    let leader = Leader::of(&cluster).await;
    let mut connection = leader.connect().await;
    for term in [leader.term - 1, leader.term + 1] {
        let Submitted::Failure(failure) = connection.ask(Leader::cancel("wanted", term)).await else {
            panic!("a command for term {term} was taken in term {}", leader.term);
        };
        assert_eq!((failure.kind(), failure.outcome_unknown), (Kind::NotLeader, false), "{failure:?}");
        assert_eq!((failure.leader, failure.leader_term), (leader.id, leader.term), "it says who leads");
        assert_eq!(state(&cluster, "wanted").await, "scheduled");
    }
    let taken = connection.ask(Leader::cancel("wanted", leader.term)).await;
    assert!(
        matches!(&taken, Submitted::Reply(reply) if matches!(reply.kind, Some(reply::Kind::Done(_)))),
        "{taken:?}"
    );
    assert_eq!(state(&cluster, "wanted").await, "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_on_a_connection_after_its_peer_opened_another_is_not_served() {
    let cluster = Cluster::start(3, 1).await;
    cluster.put_ok(0, "wanted", &json!({"delay": "30d", "callbackUrl": "http://127.0.0.1:1/"})).await;
    let leader = Leader::of(&cluster).await;
    let mut older = leader.connect().await;
    let mut newer = leader.connect().await;
    // It may be gone already, or take the frame and drop it.
    let _ = older.frames.send(Leader::cancel("wanted", leader.term)).await;
    assert!(older.is_closed().await);
    assert_eq!(state(&cluster, "wanted").await, "scheduled");
    let taken = newer.ask(Leader::cancel("wanted", leader.term)).await;
    assert!(matches!(taken, Submitted::Reply(_)), "{taken:?}");
    assert_eq!(state(&cluster, "wanted").await, "cancelled");
}
