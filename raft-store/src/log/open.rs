//! Opens the logs of a node: reads and checks every entry, and compares with the high-water mark.

use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::Mutex;
use timer_core::mutant::Mutant;

use crate::engine::memory::SyncTime;
use crate::engine::{Batch, Engine, View};
use crate::error::StoreError;
use crate::keys::{log_anchor, log_committed, log_entry, log_format, log_vote};
use crate::log::LogDb;
use crate::log::mark::{Found, Mark, MarkFile, Place as Marked};
use crate::log::record;
use crate::log::shard_cell::{ShardCell, scan, unchained};
use crate::log::tail::Tail;
use crate::log::writer::Writer;

/// Format byte and shard count (u16). 1: without the meta shard, the last one.
const FORMAT: u8 = 2;

/// Whether nothing was ever written to the log but its format.
pub(crate) fn is_blank(engine: &dyn View) -> Result<bool, StoreError> {
    let mut blank = true;
    engine.scan(&[], &log_format::encode(), &mut |_, _| {
        blank = false;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(blank)
}

/// Opens the logs of `shards` shards. `sync_time`: how long syncs take on an engine that does not block, if not no
/// time at all. `tail_bytes_max` bounds the entries of one shard that stay in memory.
///
/// # Errors
/// When anything is not as it was left: see [`StoreError`].
pub(crate) fn open(
    engine: Arc<dyn Engine>,
    mark_file: Box<dyn MarkFile>,
    sync_time: Option<SyncTime>,
    shards: u16,
    tail_bytes_max: usize,
) -> Result<LogDb, StoreError> {
    check_format(&*engine, shards)?;
    let mark = Mark::load(mark_file, shards)?;
    let mut tails = Vec::with_capacity(usize::from(shards));
    for shard in 0..shards {
        tails.push(recover(&*engine, shard, tail_bytes_max)?);
    }
    if let Found::Mark(mark) = &mark {
        for (tail, place) in tails.iter().zip(mark.places()) {
            compare(tail, place)?;
        }
    }
    // What was found may be more than what was synced: from now on it counts as durable.
    engine.flush()?;
    let mut mark = match mark {
        Found::Mark(mark) => mark,
        Found::Nothing(file) => Mark::create(file, shards)?,
    };
    for tail in &tails {
        *mark.place(tail.shard) = Marked { log: tail.place(), vote: tail.vote.as_ref().map(Marked::of_vote) };
    }
    mark.save()?;
    let cells = tails.into_iter().map(ShardCell::new).collect();
    let (writer, threads) = match sync_time {
        _ if engine.blocks() => {
            let (writer, threads) = Writer::start(engine.clone(), mark)?;
            (writer, Some(threads))
        }
        Some(sync_time) => {
            let (writer, task) = Writer::late(engine.clone(), mark, sync_time);
            (writer, Some(task))
        }
        None => (Writer::inline(engine.clone(), mark), None),
    };
    Ok(LogDb { engine, cells, writer, threads: Mutex::new(threads) })
}

fn check_format(engine: &dyn Engine, shards: u16) -> Result<(), StoreError> {
    match engine.get(&log_format::encode())?.as_deref() {
        None if is_blank(engine)? => write_format(engine, shards),
        None => Err(StoreError::corrupted("the log", "the format record is missing")),
        Some([format, ..]) if *format > FORMAT => {
            let (found, known) = (u32::from(*format), u32::from(FORMAT));
            Err(StoreError::NewerFormat { what: "the log", found, known })
        }
        Some([format @ 1..=FORMAT, high, low]) => match u16::from_be_bytes([*high, *low]) {
            stored if stored == shards && *format == FORMAT => Ok(()),
            stored if stored + 1 == shards && *format < FORMAT => write_format(engine, shards),
            stored => Err(StoreError::ShardCount { stored, asked: shards }),
        },
        Some(_) => Err(StoreError::corrupted("the log", "the format record is not one")),
    }
}

fn write_format(engine: &dyn Engine, shards: u16) -> Result<(), StoreError> {
    let [high, low] = shards.to_be_bytes();
    let mut batch = Batch::default();
    batch.put(log_format::encode(), vec![FORMAT, high, low]);
    engine.write(batch, true)
}

fn recover(engine: &dyn View, shard: u16, tail_bytes_max: usize) -> Result<Tail, StoreError> {
    let mut tail = Tail::new(shard, tail_bytes_max);
    if let Some(bytes) = engine.get(&log_anchor::encode(shard))? {
        let (id, chain) = record::decode_anchor(shard, &bytes)?;
        tail = tail.anchored(id, chain);
    }
    let read = |key: Vec<u8>| engine.get(&key);
    tail.vote = read(log_vote::encode(shard))?.map(|b| record::decode_vote(shard, &b)).transpose()?;
    tail.committed =
        read(log_committed::encode(shard))?.map(|b| record::decode_log_id(shard, &b)).transpose()?;
    let (start, chain) = (first_index(engine, shard, &tail)?, tail.chain());
    let mut expected = Some(chain);
    scan(engine, shard, start, &log_entry::range_from(shard, 0), &mut |record, bytes| {
        // Only the first hangs on the anchor; the scan checks the others.
        if expected.take().is_some_and(|chain| chain != record.previous) {
            return Err(unchained(shard, record.entry.log_id.index()));
        }
        tail.recover(record, bytes);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(tail)
}

/// Where the entries must begin: behind the anchor, or in a log that was never purged wherever they do.
fn first_index(engine: &dyn View, shard: u16, tail: &Tail) -> Result<u64, StoreError> {
    if tail.purged.is_some() {
        return Ok(tail.end);
    }
    let (from, to) = log_entry::range_from(shard, 0);
    let mut first = 0;
    engine.scan(&from, &to, &mut |key, _| {
        first = log_entry::decode(key).map_or(0, |(_, index)| index);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first)
}

fn compare(tail: &Tail, mark: &Marked) -> Result<(), StoreError> {
    let entry = |place: Option<(u64, u64)>| {
        place.map_or_else(|| "no entry".to_owned(), |(term, index)| format!("entry {index} of term {term}"))
    };
    let vote = |vote: Option<(u64, u64, bool)>| {
        vote.map_or_else(
            || "no vote".to_owned(),
            |(term, node, _)| format!("a vote for {node} in term {term}"),
        )
    };
    if Mutant::DefaultWalMode.is_on() {
        return Ok(());
    }
    let shard = tail.shard;
    if tail.place() < mark.log {
        return Err(StoreError::LogWentBack { shard, found: entry(tail.place()), mark: entry(mark.log) });
    }
    let found = tail.vote.as_ref().map(Marked::of_vote);
    if found < mark.vote {
        return Err(StoreError::LogWentBack { shard, found: vote(found), mark: vote(mark.vote) });
    }
    Ok(())
}
