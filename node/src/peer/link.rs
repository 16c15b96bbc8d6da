//! One lane to one peer, from the side that asks: sends frames, matches replies, reconnects by itself.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a newer peer may send frames that this version does not know"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proto::wire::peer::peer_client::PeerClient;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use super::frame::{Body, Frame, Hello, Lane};
use crate::sockets::connect_peer;

/// Frames that wait to be sent on a lane. A full queue is an error at once: whoever asks has a deadline.
const SEND_QUEUE_MAX: usize = 4096;
/// The largest frame that is accepted: an append of several full entries.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// How long one try to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The waits between tries to connect.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
/// See [`RECONNECT_MIN`].
const RECONNECT_MAX: Duration = Duration::from_secs(1);

/// Why a peer gave no usable answer. In every case but `NotSent` it may have acted.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LinkError {
    /// Nothing was sent: no connection, or the queue is full.
    #[error("not connected to {0}")]
    NotSent(String),
    /// The connection broke before the answer.
    #[error("the connection to {0} broke")]
    Broken(String),
    /// No answer in time.
    #[error("no answer from {peer} within {waited:?}")]
    TimedOut {
        /// The peer's name.
        peer: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The peer refused.
    #[error("{peer} refused: {reason}")]
    Refused {
        /// The peer's name.
        peer: String,
        /// Its reason.
        reason: String,
    },
}

/// What a link says about itself first: made anew for each connection. None while there is nothing to say yet:
/// a node that does not know its own log would be refused.
pub type MakeHello = Arc<dyn Fn(Lane) -> Option<Hello> + Send + Sync>;
/// Looks at the peer's own first frame; an error closes the connection.
pub type CheckHello = Arc<dyn Fn(&Hello) -> Result<(), String> + Send + Sync>;

type Waiting = oneshot::Sender<Result<Body, LinkError>>;

/// A lane to a peer. Clones share it.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    peer: String,
    lane: Lane,
    next_id: AtomicU64,
    /// The sender of the present connection, if there is one.
    sender: Mutex<Option<mpsc::Sender<Frame>>>,
    waiting: Mutex<HashMap<u64, Waiting>>,
    connected: watch::Sender<bool>,
    /// What this node has lost, as the peer says that it had acknowledged it.
    lost_log: Mutex<Option<String>>,
}

/// An answer that is on its way.
struct Pending {
    link: Link,
    id: u64,
    answer: oneshot::Receiver<Result<Body, LinkError>>,
}

impl Link {
    /// A link that its [`Link::run`] has yet to connect.
    #[must_use]
    pub fn new(peer: String, lane: Lane) -> Self {
        Self {
            inner: Arc::new(Inner {
                peer,
                lane,
                next_id: AtomicU64::new(1),
                sender: Mutex::new(None),
                waiting: Mutex::new(HashMap::new()),
                connected: watch::Sender::new(false),
                lost_log: Mutex::new(None),
            }),
        }
    }

    /// Whether there is a connection; changes can be waited for.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.inner.connected.subscribe()
    }

    /// What this node has lost, if the peer says that it had acknowledged more than it now has.
    #[must_use]
    pub fn lost_log(&self) -> Option<String> {
        self.inner.lost_log.lock().clone()
    }

    /// Sends `frame` now, and gives what to wait on.
    fn start(&self, mut frame: Frame) -> Result<Pending, LinkError> {
        let not_sent = || LinkError::NotSent(self.inner.peer.clone());
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        frame.id = id;
        let (tx, answer) = oneshot::channel();
        let sender = self.inner.sender.lock();
        let channel = sender.as_ref().ok_or_else(not_sent)?;
        // Registered before it is sent: the answer may come before `try_send` returns.
        self.inner.waiting.lock().insert(id, tx);
        if channel.try_send(frame).is_err() {
            self.inner.waiting.lock().remove(&id);
            return Err(not_sent());
        }
        Ok(Pending { link: self.clone(), id, answer })
    }

    /// Sends `frame` and waits for the answer.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn call(&self, frame: Frame, timeout: Duration) -> Result<Body, LinkError> {
        self.start(frame)?.wait(timeout).await
    }

    /// Keeps the link connected until `stop`.
    pub async fn run(self, endpoint: Endpoint, hello: MakeHello, check: CheckHello, stop: CancellationToken) {
        let mut wait = RECONNECT_MIN;
        loop {
            let served = tokio::select! {
                () = stop.cancelled() => break,
                served = self.connect_and_serve(&endpoint, &hello, &check) => served,
            };
            self.disconnect();
            match served {
                Ok(()) => wait = RECONNECT_MIN,
                Err(reason) => {
                    tracing::debug!(peer = self.inner.peer, lane = ?self.inner.lane, reason, "peer lane is down");
                    wait = (wait * 2).min(RECONNECT_MAX);
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.disconnect();
    }

    /// One connection, from its first frame to its last.
    async fn connect_and_serve(
        &self,
        endpoint: &Endpoint,
        hello: &MakeHello,
        check: &CheckHello,
    ) -> Result<(), String> {
        let hello = hello(self.inner.lane).ok_or("this node is starting")?;
        let channel = tokio::time::timeout(CONNECT_TIMEOUT, connect_peer(endpoint))
            .await
            .map_err(|_| format!("no connection within {CONNECT_TIMEOUT:?}"))?
            .map_err(|e| format!("no connection: {e}"))?;
        let mut client = PeerClient::new(channel)
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .max_encoding_message_size(FRAME_BYTES_MAX);
        let (tx, rx) = mpsc::channel(SEND_QUEUE_MAX);
        let first = Frame { id: 0, shard: 0, body: Some(Body::Hello(hello)) };
        tx.send(first).await.map_err(|e| e.to_string())?;
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, client.exchange(ReceiverStream::new(rx)));
        let mut replies = opened
            .await
            .map_err(|_| format!("no stream within {CONNECT_TIMEOUT:?}"))?
            .map_err(|e| e.to_string())?
            .into_inner();
        let greeting = tokio::time::timeout(CONNECT_TIMEOUT, replies.message());
        match greeting.await.map_err(|_| "no greeting".to_owned())?.map_err(|e| e.to_string())? {
            Some(Frame { body: Some(Body::Hello(theirs)), .. }) => check(&theirs)?,
            Some(Frame { body: Some(Body::Refusal(refused)), .. }) => {
                *self.inner.lost_log.lock() = refused.lost_log.then(|| refused.reason.clone());
                return Err(refused.reason);
            }
            _ => return Err("no greeting".to_owned()),
        }
        *self.inner.sender.lock() = Some(tx);
        self.inner.connected.send_replace(true);
        tracing::info!(peer = self.inner.peer, lane = ?self.inner.lane, "peer lane is up");
        loop {
            match replies.message().await {
                Ok(Some(Frame { id, body: Some(body), .. })) => self.answer(id, body),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(status) => return Err(status.message().to_owned()),
            }
        }
    }

    fn answer(&self, id: u64, body: Body) {
        // No one waits any more when the deadline has passed: the late answer is dropped.
        if let Some(waiting) = self.inner.waiting.lock().remove(&id) {
            let answer = match body {
                Body::Refusal(refused) => {
                    Err(LinkError::Refused { peer: self.inner.peer.clone(), reason: refused.reason })
                }
                body => Ok(body),
            };
            let _ = waiting.send(answer);
        }
    }

    fn disconnect(&self) {
        *self.inner.sender.lock() = None;
        if self.inner.connected.send_replace(false) {
            tracing::warn!(peer = self.inner.peer, lane = ?self.inner.lane, "peer lane is down");
        }
        for (_, waiting) in self.inner.waiting.lock().drain() {
            let _ = waiting.send(Err(LinkError::Broken(self.inner.peer.clone())));
        }
    }
}

impl Pending {
    async fn wait(mut self, timeout: Duration) -> Result<Body, LinkError> {
        match tokio::time::timeout(timeout, &mut self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(LinkError::Broken(self.link.inner.peer.clone())),
            Err(_) => Err(LinkError::TimedOut { peer: self.link.inner.peer.clone(), waited: timeout }),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.link.inner.waiting.lock().remove(&self.id);
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("peer", &self.inner.peer).field("lane", &self.inner.lane).finish()
    }
}
