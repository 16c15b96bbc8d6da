//! Ordered keys on RocksDB.
//!
//! Deliberately absent: repair, and opening a damaged database in a mode that skips the damage.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{DB, ErrorKind, FlushOptions, IngestExternalFileOptions, Options, ReadOptions};
use rocksdb::{SstFileWriter, WriteBatch, WriteOptions};

pub use super::rocks_options::RocksLimits;
use super::rocks_options::{log, state};
use crate::engine::memory::Role;
use crate::engine::{Batch, Engine, Loader, Op, ReadView, View, Visit, blocking};
use crate::error::StoreError;
use crate::limits::LOAD_BYTES_MAX;

/// One RocksDB database.
pub struct RocksEngine {
    db: Arc<DB>,
    role: Role,
    name: String,
    options: Options,
}

impl std::fmt::Debug for RocksEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RocksEngine").field(&self.name).finish()
    }
}

impl RocksEngine {
    /// Opens the database in `dir`, or makes one there.
    ///
    /// # Errors
    /// When it is damaged, in use, or can't be read.
    pub fn open(dir: &Path, role: Role, limits: &RocksLimits) -> Result<Self, StoreError> {
        let (kind, options) = match role {
            Role::Log => ("log", log(limits)),
            Role::State => ("state", state(limits)),
        };
        let name = format!("{kind} in {}", dir.display());
        fs::create_dir_all(dir).map_err(|e| StoreError::io(&name, &e))?;
        let db = DB::open(&options, dir).map_err(|e| open_error(&name, dir, &e))?;
        let engine = Self { db: Arc::new(db), role, name, options };
        engine.clear_loads()?;
        Ok(engine)
    }

    /// Where loads put their files: inside the database's directory, so that they can be moved in.
    fn loads_dir(&self) -> PathBuf {
        self.db.path().join("incoming")
    }

    /// Removes the files of loads that a crash cut short.
    fn clear_loads(&self) -> Result<(), StoreError> {
        match fs::remove_dir_all(self.loads_dir()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::io(&self.name, &e)),
            _ => Ok(()),
        }
    }

    fn error(&self, error: &rocksdb::Error) -> StoreError {
        translate(&self.name, error)
    }
}

fn open_error(name: &str, dir: &Path, error: &rocksdb::Error) -> StoreError {
    let text = error.to_string();
    if text.contains("lock hold by current process") || text.contains("/LOCK: Resource temporarily") {
        return StoreError::InUse { dir: dir.to_owned() };
    }
    translate(name, error)
}

fn translate(name: &str, error: &rocksdb::Error) -> StoreError {
    let (what, detail) = (name.to_owned(), error.to_string());
    let full = ["No space left on device", "Disk quota exceeded", "NoSpace"];
    if full.iter().any(|text| detail.contains(text)) {
        return StoreError::DiskFull { what, detail };
    }
    let kind = error.kind();
    // A file that the manifest names is not there.
    let file_gone = kind == ErrorKind::IOError && detail.contains("No such file");
    if kind == ErrorKind::Corruption || file_gone {
        StoreError::Corrupted { what, detail }
    } else {
        StoreError::Io { what, detail }
    }
}

fn scan_options(from: &[u8], to: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(from);
    options.set_iterate_upper_bound(to);
    options
}

fn scan_with(
    name: &str,
    mut cursor: rocksdb::DBRawIteratorWithThreadMode<'_, DB>,
    from: &[u8],
    visit: Visit<'_>,
) -> Result<(), StoreError> {
    cursor.seek(from);
    while let Some((key, value)) = cursor.item() {
        if let ControlFlow::Break(()) = visit(key, value)? {
            return Ok(());
        }
        cursor.next();
    }
    // An iterator that met damage is merely not valid: only its status tells that from the end.
    cursor.status().map_err(|e| translate(name, &e))
}

impl View for RocksEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.db.get(key).map(|value| value.map(Bytes::from)).map_err(|e| self.error(&e))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        scan_with(&self.name, self.db.raw_iterator_opt(scan_options(from, to)), from, visit)
    }
}

/// `batch` as RocksDB takes it, which is once.
fn write_batch(batch: &Batch) -> WriteBatch {
    let mut writes = WriteBatch::default();
    for op in &batch.ops {
        match op {
            Op::Put(key, value) => writes.put(key, value),
            Op::Delete(key) => writes.delete(key),
            Op::DeleteRange(from, to) if from < to => writes.delete_range(from, to),
            Op::DeleteRange(..) => {}
        }
    }
    writes
}

struct Frozen<'a> {
    engine: &'a RocksEngine,
    snapshot: rocksdb::Snapshot<'a>,
}

impl View for Frozen<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.snapshot.get(key).map(|value| value.map(Bytes::from)).map_err(|e| self.engine.error(&e))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let mut options = scan_options(from, to);
        // Views are for reading a whole replica once, which would wash everything else out of the cache.
        options.fill_cache(false);
        scan_with(&self.engine.name, self.snapshot.raw_iterator_opt(options), from, visit)
    }
}

impl Engine for RocksEngine {
    /// A write to the state goes to memory, and is done where it is called. Only where RocksDB would make it
    /// wait for a flush is it moved to where waiting is allowed: moving each cost a fifth of the throughput
    /// of three nodes.
    fn write(&self, batch: Batch, sync: bool) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        if self.role == Role::Log {
            options.set_sync(sync);
            return self.db.write_opt(write_batch(&batch), &options).map_err(|e| self.error(&e));
        }
        options.disable_wal(true);
        options.set_no_slowdown(true);
        match self.db.write_opt(write_batch(&batch), &options) {
            Err(e) if e.kind() == ErrorKind::Incomplete => {
                options.set_no_slowdown(false);
                blocking(true, || self.db.write_opt(write_batch(&batch), &options))
            }
            written => written,
        }
        .map_err(|e| self.error(&e))
    }

    fn view(&self, read: ReadView<'_>) -> Result<(), StoreError> {
        let snapshot = self.db.snapshot();
        read(&Frozen { engine: self, snapshot })
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db.flush_opt(&options).map_err(|e| self.error(&e))
    }

    fn drop_files(&self, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        self.db.delete_file_in_range(from, to).map_err(|e| self.error(&e))
    }

    fn loader(&self, id: u32) -> Result<Box<dyn Loader>, StoreError> {
        let dir = self.loads_dir().join(id.to_string());
        fs::create_dir_all(&dir).map_err(|e| StoreError::io(&self.name, &e))?;
        Ok(Box::new(RocksLoader {
            db: self.db.clone(),
            name: self.name.clone(),
            options: self.options.clone(),
            dir,
            pending: Vec::new(),
            pending_bytes: 0,
            files: Vec::new(),
        }))
    }

    fn blocks(&self) -> bool {
        true
    }
}

/// Writes sorted files and moves them in: no memtable, no WAL, no stall of other shards' writes.
struct RocksLoader {
    db: Arc<DB>,
    name: String,
    options: Options,
    dir: PathBuf,
    pending: Vec<(Vec<u8>, Bytes)>,
    pending_bytes: usize,
    files: Vec<PathBuf>,
}

impl RocksLoader {
    fn write_file(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let path = self.dir.join(format!("{:06}.sst", self.files.len()));
        let mut writer = SstFileWriter::create(&self.options);
        let mut write = || {
            writer.open(&path)?;
            for (key, value) in self.pending.drain(..) {
                writer.put(key, value)?;
            }
            writer.finish()
        };
        write().map_err(|e| translate(&self.name, &e))?;
        self.pending_bytes = 0;
        self.files.push(path);
        Ok(())
    }
}

impl Loader for RocksLoader {
    fn put(&mut self, key: Vec<u8>, value: Bytes) -> Result<(), StoreError> {
        self.pending_bytes += key.len() + value.len();
        self.pending.push((key, value));
        if self.pending_bytes < LOAD_BYTES_MAX { Ok(()) } else { self.write_file() }
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.write_file()?;
        if !self.files.is_empty() {
            let mut options = IngestExternalFileOptions::default();
            options.set_move_files(true);
            let files = std::mem::take(&mut self.files);
            self.db.ingest_external_file_opts(&options, files).map_err(|e| translate(&self.name, &e))?;
        }
        Ok(())
    }
}

impl Drop for RocksLoader {
    /// What stays is removed by the next open.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes so fast into so small a memtable that flushing can't keep up, in the runtime that a node has.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_write_waits_where_rocksdb_has_no_room_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let limits = RocksLimits { state_memtable_bytes_max: 64 << 10, ..RocksLimits::default() };
        let engine = RocksEngine::open(dir.path(), Role::State, &limits).unwrap();
        let batch = |number: u32| {
            let mut batch = Batch::default();
            batch.put(number.to_be_bytes().to_vec(), vec![7; 16 << 10]);
            batch
        };
        let mut at_once = WriteOptions::default();
        at_once.disable_wal(true);
        at_once.set_no_slowdown(true);
        let mut stalls = 0;
        let mut number = 0;
        while stalls < 10 {
            number += 1;
            assert!(number < 100_000, "RocksDB never stalled: this test shows nothing");
            if engine.db.write_opt(write_batch(&batch(number)), &at_once).is_err() {
                stalls += 1;
            }
            engine.write(batch(number), false).unwrap();
        }
        for written in 1..=number {
            assert!(engine.get(&written.to_be_bytes()).unwrap().is_some(), "{written}");
        }
    }
}
