//! Sends a shard's whole state to a follower that lags behind the log: a header, chunks, and "that was all".
//!
//! openraft's snapshot is metadata only; the data are read here, from a view taken when the transfer begins,
//! and may be newer than the metadata. The receiver installs what the view says.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a newer peer may send frames that this version does not know"
)]

use std::time::Duration;

use openraft::errors::{NetworkError, RPCError, StreamingError, Unreachable};
use openraft::raft::SnapshotResponse;
use raft_store::TypeConfig;
use raft_store::state_machine::{SnapshotData, SnapshotError};
use raft_store::type_config::Snapshot;

use super::codec;
use super::frame::{Body, SnapshotBegin, SnapshotChunk, SnapshotFinish, SnapshotReply, frame};
use super::link::{Link, LinkError};

/// How long the receiver may take for one chunk: it writes it to its disk.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the receiver may take to install.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(300);

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
enum SendError {
    /// The peer.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The state here.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// An answer that is none.
    #[error("an unexpected answer to a snapshot")]
    Answer,
    /// It was received here and is not for sending.
    #[error("a received snapshot can't be sent")]
    Received,
}

/// Sends `snapshot`'s shard; gives the receiver's vote.
///
/// # Errors
/// When the peer can't be reached, refuses, or the state can't be read. openraft tries again.
pub async fn send(
    link: &Link,
    shard: u16,
    target: u64,
    vote: codec::Vote,
    snapshot: Snapshot,
) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
    match transfer(link, shard, vote, snapshot).await {
        Ok(vote) => {
            tracing::info!(shard, to = target, "sent a snapshot");
            Ok(SnapshotResponse::new(vote))
        }
        Err(e) => {
            tracing::warn!(shard, to = target, error = %e, "a snapshot could not be sent");
            let rpc: RPCError<TypeConfig> = match &e {
                SendError::Link(LinkError::NotSent(_) | LinkError::Refused { .. }) => {
                    RPCError::Unreachable(Unreachable::new(&e))
                }
                SendError::Link(_) | SendError::Snapshot(_) | SendError::Answer | SendError::Received => {
                    RPCError::Network(NetworkError::new(&e))
                }
            };
            Err(StreamingError::from(rpc))
        }
    }
}

async fn transfer(
    link: &Link,
    shard: u16,
    vote: codec::Vote,
    snapshot: Snapshot,
) -> Result<codec::Vote, SendError> {
    let SnapshotData::Outgoing(outgoing) = snapshot.snapshot else { return Err(SendError::Received) };
    let mut stream = outgoing.open()?;
    let begin = SnapshotBegin { vote: Some(codec::vote_out(&vote)), header: stream.header().clone() };
    let transfer = ask(link, shard, Body::SnapshotBegin(begin), CHUNK_TIMEOUT).await?.transfer;
    while let Some(data) = stream.next().await {
        let chunk = SnapshotChunk { transfer, data: data? };
        ask(link, shard, Body::SnapshotChunk(chunk), CHUNK_TIMEOUT).await?;
    }
    let finish = Body::SnapshotFinish(SnapshotFinish { transfer });
    let reply = ask(link, shard, finish, INSTALL_TIMEOUT).await?;
    reply.vote.as_ref().map(codec::vote_in).ok_or(SendError::Answer)
}

async fn ask(link: &Link, shard: u16, body: Body, wait: Duration) -> Result<SnapshotReply, SendError> {
    match link.call(frame(shard, body), wait).await? {
        Body::SnapshotReply(reply) => Ok(reply),
        _ => Err(SendError::Answer),
    }
}
