//! Damaged, cut, missing and exchanged files of RocksDB: refused, with a text that helps.

use std::fs;
use std::path::{Path, PathBuf};

use super::options;
use openraft::storage::{RaftSnapshotBuilder as _, RaftStateMachine as _};

use super::workload::{Shard, bytes_entry, history, run};
use crate::state_machine::SnapshotData;
use crate::{Health, StoreError, Stores};

/// The files of `dir` that end in `suffix` and have something in them, oldest first.
fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(suffix) && fs::metadata(path).unwrap().len() > 0)
        .collect();
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn open(dir: &Path) -> Result<Stores, StoreError> {
    Stores::open(dir, 1, &options())
}

/// A data directory whose log is in a WAL: copied while it is open, as a crash would leave it.
async fn in_wal(entries: u64) -> tempfile::TempDir {
    let (live, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stores = open(live.path()).unwrap();
    let mut shard = Shard::open(&stores, 0);
    for index in 0..entries {
        shard.append(vec![bytes_entry(1, index, 200)]).await.unwrap();
    }
    copy(live.path(), crashed.path());
    crashed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wal_that_is_whole_is_taken_and_one_that_is_not_is_refused() {
    let data = in_wal(300).await;
    let try_with = |damage: &dyn Fn(&mut Vec<u8>)| {
        let dir = tempfile::tempdir().unwrap();
        copy(data.path(), dir.path());
        let wal = files(&dir.path().join("log"), ".log").pop().unwrap();
        let mut bytes = fs::read(&wal).unwrap();
        damage(&mut bytes);
        fs::write(&wal, bytes).unwrap();
        open(dir.path()).map(|stores| stores.log_status(timer_core::ids::ShardId(0)).last)
    };
    assert_eq!(try_with(&|_| {}).unwrap().map(|id| id.index()), Some(299));
    for part in 1..10 {
        let error = try_with(&|bytes| {
            let at = bytes.len() * part / 10;
            bytes[at] ^= 0x10;
        })
        .unwrap_err();
        let fits = matches!(error, StoreError::Corrupted { .. } | StoreError::LogWentBack { .. });
        assert!(fits, "flipped at {part}/10: {error}");
        assert!(error.to_string().contains("join again as a new node"), "{error}");
    }
    for part in 1..10 {
        let error = try_with(&|bytes| bytes.truncate(bytes.len() * part / 10)).unwrap_err();
        let fits = matches!(error, StoreError::Corrupted { .. } | StoreError::LogWentBack { .. });
        assert!(fits, "cut at {part}/10: {error}");
    }
    // The last record was acknowledged: a torn tail is not forgiven where the mark says that it was there.
    assert!(matches!(
        try_with(&|bytes| bytes.truncate(bytes.len() - 5)),
        Err(StoreError::LogWentBack { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_a_file_of_the_log_is_refused() {
    let data = in_wal(300).await;
    // A second open flushes the WAL to a table.
    drop(open(data.path()).unwrap());
    let table = files(&data.path().join("log"), ".sst").pop().unwrap();
    let mut bytes = fs::read(&table).unwrap();
    bytes[5000] ^= 1;
    fs::write(&table, bytes).unwrap();
    let error = open(data.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupted { .. }), "{error}");
    fs::remove_file(&table).unwrap();
    let error = open(data.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupted { .. }), "{error}");
}

/// A data directory whose state is in one table of many blocks. Flushed once: after several flushes it depends on how
/// far RocksDB's compaction has come whether the largest table has blocks that an open does not read.
async fn in_tables() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path()).unwrap();
    Shard::open(&stores, 0).append_and_apply(history(400)).await.unwrap();
    stores.close().unwrap();
    dir
}

/// A copy of `whole` with a bit flipped in the largest table of the state, `sixteenths` of its length from its begin.
fn with_flipped_bit(whole: &Path, sixteenths: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(whole, dir.path());
    let tables = files(&dir.path().join("state"), ".sst");
    let table = tables.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(table).unwrap();
    let place = bytes.len() * sixteenths / 16;
    bytes[place] ^= 1;
    fs::write(table, bytes).unwrap();
    dir
}

fn hash(stores: &Stores) -> Result<u64, StoreError> {
    Shard::open(stores, 0).stores.reader.state_hash().map(|(_, hash)| hash)
}

fn assert_failed(stores: &Stores) {
    let health = stores.health().borrow().clone();
    assert!(matches!(&health, Health::Failed(why) if why.contains("is damaged")), "{health:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_a_file_of_the_state_is_an_error_and_never_a_wrong_timer() {
    let whole = in_tables().await;
    let right = hash(&open(whole.path()).unwrap()).unwrap();
    let mut found_by_reading = 0;
    for place in 1..16 {
        let dir = with_flipped_bit(whole.path(), place);
        let Ok(stores) =
            open(dir.path()).inspect_err(|e| assert!(matches!(e, StoreError::Corrupted { .. }), "{e}"))
        else {
            continue;
        };
        match hash(&stores) {
            // A part of the file that no read needs, e.g. a filter.
            Ok(found) => assert_eq!(found, right),
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupted { .. }), "{error}");
                assert_failed(&stores);
                found_by_reading += 1;
            }
        }
    }
    assert!(found_by_reading > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_state_is_a_fault_of_the_node_also_where_only_a_snapshot_reads_it() {
    let whole = in_tables().await;
    // Where an open does not see it and a reading of all timers does.
    let seen_by_reading = |dir: &Path| open(dir).is_ok_and(|stores| hash(&stores).is_err());
    let mut damaged = (1..16).map(|place| with_flipped_bit(whole.path(), place));
    let dir = damaged.find(|dir| seen_by_reading(dir.path())).unwrap();
    let stores = open(dir.path()).unwrap();
    let mut state_machine = Shard::open(&stores, 0).stores.state_machine;
    let snapshot = state_machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let SnapshotData::Outgoing(outgoing) = snapshot.snapshot else { panic!("a built snapshot is sent") };
    assert_eq!(*stores.health().borrow(), Health::Healthy, "it was not read yet");
    // The fault is told instead of the header or of a chunk, whichever comes first.
    if let Ok(mut stream) = outgoing.open() {
        let mut failed = false;
        while let Some(chunk) = stream.next().await {
            failed |= chunk.is_err();
        }
        assert!(failed);
    }
    assert_failed(&stores);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_the_log_is_refused() {
    let (live, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    {
        let stores = open(live.path()).unwrap();
        let mut shard = Shard::open(&stores, 0);
        shard.append((0..5).map(|i| bytes_entry(1, i, 10)).collect()).await.unwrap();
        copy(&live.path().join("log"), &old.path().join("log"));
        shard.append((5..9).map(|i| bytes_entry(1, i, 10)).collect()).await.unwrap();
    }
    let log = live.path().join("log");
    fs::remove_dir_all(&log).unwrap();
    copy(&old.path().join("log"), &log);
    let error = open(live.path()).unwrap_err();
    assert!(matches!(error, StoreError::LogWentBack { shard: 0, .. }), "{error}");
    // And so is none at all, or a log without its mark.
    fs::remove_dir_all(&log).unwrap();
    let error = open(live.path()).unwrap_err();
    assert!(error.to_string().contains("has no entry, but entry 8 of term 1"), "{error}");
    fs::remove_dir_all(&log).unwrap();
    copy(&old.path().join("log"), &log);
    fs::remove_file(live.path().join("mark")).unwrap();
    let error = open(live.path()).unwrap_err();
    assert!(error.to_string().contains("`mark`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_is_lost_while_the_log_was_removed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    {
        let stores = open(dir.path()).unwrap();
        run(&stores, &mut Shard::open(&stores, 0), &history(60)).await.unwrap();
        stores.close().unwrap();
    }
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::StateWentBack { shard: 0, applied: 0, .. }), "{error}");
}

/// The writer takes the append and the truncation behind it at once: the mark must not stay where the append
/// had raised it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncation_right_behind_an_append_leaves_the_mark_below_the_log() {
    use openraft::storage::{IOFlushed, RaftLogStorage};

    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let stores = open(dir.path()).unwrap();
        let mut log = Shard::open(&stores, 0).stores.log;
        let start = log.get_log_state().await.unwrap().last_log_id.map_or(0, |id| id.index() + 1);
        for index in start..start + 30 {
            log.append([bytes_entry(1, index, 10)], IOFlushed::noop()).await.unwrap();
        }
        log.truncate_after(Some(crate::type_config::log_id(1, 1, start + 3))).await.unwrap();
        drop((log, stores));
        let found = open(dir.path()).unwrap_or_else(|e| panic!("round {round}: {e}"));
        let last = found.log_status(timer_core::ids::ShardId(0)).last;
        assert_eq!(last.map(|id| id.index()), Some(start + 3), "round {round}");
    }
}

#[test]
fn a_directory_in_use_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let _stores = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}
