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
use crate::blocking::away;
use crate::observability::metrics::{Metrics, SnapshotDirection};
use crate::shard::raft::Raft;

/// One transfer.
struct Transfer {
    shard: u16,
    raft: Raft,
    vote: codec::Vote,
    /// Whether the stores can block.
    blocks: bool,
    /// Away only while a thread works on it.
    receiver: Option<SnapshotReceiver>,
    installed: bool,
    metrics: Arc<Metrics>,
}

impl Drop for Transfer {
    /// However it ended.
    fn drop(&mut self) {
        self.metrics.snapshot(SnapshotDirection::Received, self.installed);
    }
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
    metrics: Arc<Metrics>,
) -> Result<Box<dyn SnapshotSink>, String> {
    let vote = codec::vote_in(begin.vote.as_ref().ok_or("no vote")?);
    let stores = stores.clone();
    let blocks = stores.blocks();
    let receiver = blocking(blocks, move || {
        stores.state().receive(ShardId(shard), &begin.header).map_err(|e| e.to_string())
    })
    .await?;
    tracing::info!(shard, "receiving a snapshot");
    Ok(Box::new(Transfer { shard, raft, vote, blocks, receiver: Some(receiver), installed: false, metrics }))
}

impl SnapshotSink for Transfer {
    fn chunk(&mut self, data: Bytes) -> BoxFuture<'_, Result<(), String>> {
        async move {
            let mut receiver = self.receiver.take().ok_or("the transfer has failed before")?;
            let (receiver, result) = blocking(self.blocks, move || {
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

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<codec::Vote, String>> {
        async move {
            let vote = self.vote;
            let receiver = self.receiver.take().ok_or("the transfer has failed before")?;
            let snapshot =
                blocking(self.blocks, move || receiver.finish(&vote).map_err(|e| e.to_string())).await?;
            let installed =
                self.raft.install_full_snapshot(vote, snapshot).await.map_err(|e| e.to_string())?;
            self.installed = true;
            tracing::info!(shard = self.shard, "installed a snapshot");
            Ok(installed.vote)
        }
        .boxed()
    }
}

async fn blocking<T: Send + 'static>(
    blocks: bool,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    away(blocks, work).await.map_err(|e| e.to_string())?
}
