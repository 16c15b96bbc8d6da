//! How the two RocksDB instances are tuned, and why.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options,
};
use timer_core::mutant::Mutant;

/// Memory and files that the engines may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RocksLimits {
    /// Bytes of the state's block cache; index and filter blocks count.
    pub state_cache_bytes_max: usize,
    /// Bytes of one memtable of the state; there are at most [`MEMTABLES_MAX`].
    pub state_memtable_bytes_max: usize,
    /// Bytes of one memtable of the log; there are at most [`MEMTABLES_MAX`].
    pub log_memtable_bytes_max: usize,
    /// Files that each engine keeps open.
    pub open_files_max: i32,
}

/// Memtables of an engine: one is written while the others are flushed.
pub const MEMTABLES_MAX: i32 = 3;

impl Default for RocksLimits {
    fn default() -> Self {
        Self {
            state_cache_bytes_max: 64 << 20,
            state_memtable_bytes_max: 32 << 20,
            log_memtable_bytes_max: 16 << 20,
            open_files_max: 256,
        }
    }
}

/// What both have in common.
fn base(limits: &RocksLimits) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_paranoid_checks(true);
    options.set_max_background_jobs(2);
    options.set_max_write_buffer_number(MEMTABLES_MAX);
    options.set_max_open_files(limits.open_files_max);
    options.set_level_compaction_dynamic_level_bytes(true);
    // Their own log files say little and never end.
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// The log: its WAL is the durability of everything.
pub(super) fn log(limits: &RocksLimits) -> Options {
    let mut options = base(limits);
    // The default mode stops silently at the first damaged record, which loses what was acknowledged.
    // This one refuses damage in the middle and takes a torn tail, which was never acknowledged.
    let mode = if Mutant::DefaultWalMode.is_on() {
        DBRecoveryMode::PointInTime
    } else {
        DBRecoveryMode::TolerateCorruptedTailRecords
    };
    options.set_wal_recovery_mode(mode);
    options.set_track_and_verify_wals_in_manifest(!Mutant::DefaultWalMode.is_on());
    options.set_write_buffer_size(limits.log_memtable_bytes_max);
    options.set_max_total_wal_size(4 * limits.log_memtable_bytes_max as u64);
    // Records live for minutes and are hardly ever read again: neither cache nor compression pays.
    options.set_compression_type(DBCompressionType::None);
    options.set_block_based_table_factory(&tables(4 << 20));
    options
}

/// How tables are laid out, read through a cache of their own.
///
/// Index and filter are in partitions. Each as one block of a large file would be larger than what a shard of the cache
/// holds, so that every read would fetch all of it from the file: with half a million timers creates took three times as
/// long as with none.
fn tables(cache_bytes_max: usize) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(cache_bytes_max));
    table.set_cache_index_and_filter_blocks(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(4 << 10);
    table.set_pin_top_level_index_and_filter(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table
}

/// The state: no WAL, rebuilt from the log.
///
/// One column family, and no `atomic_flush`: memtables of one family are flushed in the order in which they
/// were filled and a batch never spans two, so what a crash leaves is always a prefix of whole batches.
/// Atomic flush is for several families, which would stop at different entries.
pub(super) fn state(limits: &RocksLimits) -> Options {
    let mut options = base(limits);
    options.set_write_buffer_size(limits.state_memtable_bytes_max);
    options.set_compression_type(DBCompressionType::Lz4);
    // A queue on an LSM tree dies of tombstones: files full of them are compacted early.
    options.add_compact_on_deletion_collector_factory(4096, 2048, 0.5);
    let mut table = tables(limits.state_cache_bytes_max);
    table.set_bloom_filter(10.0, false);
    table.set_block_size(8 << 10);
    table.set_format_version(6);
    options.set_block_based_table_factory(&table);
    options
}

#[cfg(test)]
mod tests {
    use rocksdb::statistics::Ticker;
    use rocksdb::{DB, WriteBatch, WriteOptions};

    use super::*;

    /// From one key to the next: every memtable covers the whole range, so that compaction has something to merge, and
    /// reads are spread. It divides no number of keys here.
    const STEP: u64 = 7919;

    #[test]
    fn reads_of_a_large_table_are_answered_from_a_small_cache() {
        const KEYS: u64 = 1_000_000;
        const READS: u64 = 5_000;
        let dir = tempfile::tempdir().unwrap();
        // Six times what the filter takes (10 bits a key), in shards of 512 KiB, which it would not fit into.
        let limits = RocksLimits { state_cache_bytes_max: 8 << 20, ..RocksLimits::default() };
        let mut options = state(&limits);
        options.enable_statistics();
        let db = DB::open(&options, dir.path()).unwrap();
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        for first in (0..KEYS).step_by(1000) {
            let mut batch = WriteBatch::default();
            (first..first + 1000).for_each(|n| batch.put((n * STEP % KEYS).to_be_bytes(), b"value"));
            db.write_opt(batch, &unlogged).unwrap();
        }
        db.compact_range(None::<&[u8]>, None::<&[u8]>);
        let read_absent = || {
            let before = options.get_ticker_count(Ticker::BlockCacheMiss);
            for n in 0..READS {
                let mut absent = (n * STEP % KEYS).to_be_bytes().to_vec();
                absent.push(0);
                assert!(db.get(absent).unwrap().is_none());
            }
            options.get_ticker_count(Ticker::BlockCacheMiss) - before
        };
        read_absent();
        let misses = read_absent();
        assert!(misses < READS / 10, "{misses} of {READS} reads fetched a block");
    }
}
