//! The sender's side: a consistent view of a replica as a stream of chunks.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use timer_core::ids::ShardId;
use tokio::sync::mpsc;
use xxhash_rust::xxh3::Xxh3;

use super::frame::{Body, FORMAT, Header, Totals, encode, put_record};
use crate::engine::View;
use crate::error::StoreError;
use crate::keys::incarnation_range;
use crate::limits::{CHUNK_BYTES_MAX, CHUNKS_AHEAD_MAX};
use crate::state_machine::check::hash_record;
use crate::state_machine::replica::{Current, Replica};
use crate::state_machine::{SnapshotError, StateInner, meta};

/// What can be sent of a shard. Holds nothing until it is opened.
#[derive(Clone, Debug)]
pub struct OutgoingSnapshot {
    inner: Arc<StateInner>,
    replica: Arc<Replica>,
}

/// A snapshot being sent. The view lives as long as this does: end it when the peer is gone.
#[derive(Debug)]
pub struct SnapshotStream {
    header: Bytes,
    chunks: Source,
}

#[derive(Debug)]
enum Source {
    /// From a thread that reads the disk.
    Thread { chunks: mpsc::Receiver<Result<Bytes, SnapshotError>>, thread: Option<JoinHandle<()>> },
    /// In memory all along.
    Ready(VecDeque<Bytes>),
}

impl OutgoingSnapshot {
    pub(crate) fn new(inner: Arc<StateInner>, replica: Arc<Replica>) -> Self {
        Self { inner, replica }
    }

    /// Takes a view of the shard as it is now and begins to read it. Waits for the view, not for the data.
    ///
    /// # Errors
    /// When the shard is blank, or can't be read.
    pub fn open(&self) -> Result<SnapshotStream, SnapshotError> {
        if !self.inner.engine.blocks() {
            let (mut header, mut chunks) = (Bytes::new(), VecDeque::new());
            produce(&self.inner, &self.replica, &mut |item| {
                match item {
                    Item::Header(bytes) => header = bytes,
                    Item::Chunk(bytes) => chunks.push_back(bytes),
                }
                true
            })?;
            return Ok(SnapshotStream { header, chunks: Source::Ready(chunks) });
        }
        let (to_header, from_thread) = std::sync::mpsc::sync_channel(1);
        let (to_chunks, chunks) = mpsc::channel(CHUNKS_AHEAD_MAX);
        let (inner, replica) = (self.inner.clone(), self.replica.clone());
        let work = move || {
            let mut to_header = Some(to_header);
            let outcome = produce(&inner, &replica, &mut |item| match item {
                Item::Header(bytes) => to_header.take().is_some_and(|to| to.send(Ok(bytes)).is_ok()),
                Item::Chunk(bytes) => to_chunks.blocking_send(Ok(bytes)).is_ok(),
            });
            if let Err(error) = outcome {
                // Whoever waits for the header or a chunk is told; if nobody does, nobody minds.
                let _ = match to_header.take() {
                    Some(to) => to.send(Err(error)).map_err(drop),
                    None => to_chunks.blocking_send(Err(error)).map_err(drop),
                };
            }
        };
        let thread = std::thread::Builder::new()
            .name("snapshot".into())
            .spawn(work)
            .map_err(|e| StoreError::io("the snapshot's thread", &e))?;
        let header = crate::engine::blocking(true, || from_thread.recv());
        let header = header.unwrap_or(Err(SnapshotError::Store(StoreError::Closed)))?;
        Ok(SnapshotStream { header, chunks: Source::Thread { chunks, thread: Some(thread) } })
    }
}

impl SnapshotStream {
    /// What the receiver's [`StateDb::receive`](crate::state_machine::StateDb::receive) wants.
    #[must_use]
    pub fn header(&self) -> &Bytes {
        &self.header
    }

    /// The next chunk, at most about 1 MiB; none behind the last. Keep a chunk until the receiver has it:
    /// after a broken connection the transfer goes on with the chunk that the receiver expects.
    pub async fn next(&mut self) -> Option<Result<Bytes, SnapshotError>> {
        match &mut self.chunks {
            Source::Thread { chunks, .. } => chunks.recv().await,
            Source::Ready(chunks) => chunks.pop_front().map(Ok),
        }
    }
}

impl Drop for SnapshotStream {
    /// The thread ends at its next chunk when nobody takes chunks any more.
    fn drop(&mut self) {
        if let Source::Thread { chunks, thread } = &mut self.chunks {
            chunks.close();
            while chunks.try_recv().is_ok() {}
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

enum Item {
    Header(Bytes),
    Chunk(Bytes),
}

/// Gives the header and the chunks of the replica as it is now, until `give` wants no more.
fn produce(
    inner: &StateInner,
    replica: &Replica,
    give: &mut dyn FnMut(Item) -> bool,
) -> Result<(), SnapshotError> {
    let _files_stay = inner.files.read_recursive();
    // Held until there is a view, so that the incarnation can't go before.
    let mut current = Some(replica.current());
    let mut outcome = Ok(());
    let viewed = inner.engine.view(&mut |view| {
        let incarnation = current.take().map_or(0, |current| current.incarnation);
        let at_view = meta::load(view, replica.shard, incarnation)?;
        outcome = produce_view(inner, replica, view, &at_view, give);
        Ok(())
    });
    inner.noted_snapshot(viewed.map_err(SnapshotError::from).and(outcome))
}

fn produce_view(
    inner: &StateInner,
    replica: &Replica,
    view: &dyn View,
    current: &Current,
    give: &mut dyn FnMut(Item) -> bool,
) -> Result<(), SnapshotError> {
    let Some(applied) = current.applied else {
        return Err(SnapshotError::Inconsistent("nothing was applied yet".into()));
    };
    let header = Header {
        format: FORMAT,
        cluster_id: inner.cluster_id.clone(),
        shard: ShardId(replica.shard),
        applied,
        membership: current.membership.clone(),
    };
    if !give(Item::Header(header.encode())) {
        return Ok(());
    }
    let (mut sequence, mut records, mut hash) = (0, 0, Xxh3::new());
    let mut body = BytesMut::new();
    let mut fault = None;
    let mut wanted = true;
    let (from, to) = incarnation_range(current.incarnation);
    view.scan(&from, &to, &mut |key, value| {
        let key = &key[4..];
        let large = !body.is_empty() && body.len() + key.len() + value.len() + 8 > CHUNK_BYTES_MAX;
        if large {
            wanted = give(Item::Chunk(encode(sequence, &Body::Records(body.split().freeze()))));
            sequence += 1;
        }
        if let Err(error) = put_record(&mut body, key, value) {
            fault = Some(error);
        }
        hash_record(&mut hash, key, value);
        records += 1;
        let go_on = wanted && fault.is_none();
        Ok(if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    let totals = Totals { records, hash: hash.digest() };
    let last = [Body::Records(body.freeze()), Body::Last(totals)];
    for (sequence, body) in (sequence..).zip(last) {
        wanted = wanted && give(Item::Chunk(encode(sequence, &body)));
    }
    Ok(())
}
