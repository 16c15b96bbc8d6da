//! Takes a shard's whole state from its leader, beside the old one, and installs it when all of it is there.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use raft_store::Stores;
use raft_store::state_machine::SnapshotReceiver;
use timer_core::ids::ShardId;

use super::codec;
use super::frame::SnapshotBegin;
use super::server::SnapshotSink;
use crate::shard::raft::Raft;

/// One transfer.
struct Transfer {
    shard: u16,
    raft: Raft,
    vote: codec::Vote,
    /// Away only while a thread works on it.
    receiver: Option<SnapshotReceiver>,
}

/// Begins a transfer.
///
/// # Errors
/// When the snapshot is of another cluster, shard or format, or the disk can't take it.
pub async fn begin(
    stores: &Arc<Stores>,
    shard: u16,
    raft: Raft,
    begin: SnapshotBegin,
) -> Result<Box<dyn SnapshotSink>, String> {
    let vote = codec::vote_in(begin.vote.as_ref().ok_or("no vote")?);
    let stores = stores.clone();
    let receiver =
        blocking(move || stores.state().receive(ShardId(shard), &begin.header).map_err(|e| e.to_string()))
            .await?;
    tracing::info!(shard, "receiving a snapshot");
    Ok(Box::new(Transfer { shard, raft, vote, receiver: Some(receiver) }))
}

impl SnapshotSink for Transfer {
    fn chunk(&mut self, data: Bytes) -> BoxFuture<'_, Result<(), String>> {
        async move {
            let mut receiver = self.receiver.take().ok_or("the transfer has failed before")?;
            let (receiver, result) = blocking(move || {
                let result = receiver.chunk(&data).map(drop).map_err(|e| e.to_string());
                Ok((receiver, result))
            })
            .await?;
            result?;
            self.receiver = Some(receiver);
            Ok(())
        }
        .boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<codec::Vote, String>> {
        async move {
            let Self { shard, raft, vote, receiver } = *self;
            let receiver = receiver.ok_or("the transfer has failed before")?;
            let snapshot = blocking(move || receiver.finish(&vote).map_err(|e| e.to_string())).await?;
            let installed = raft.install_full_snapshot(vote, snapshot).await.map_err(|e| e.to_string())?;
            tracing::info!(shard, "installed a snapshot");
            Ok(installed.vote)
        }
        .boxed()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?
}
