//! openraft's own suite of storage tests, on both engines.

use openraft::testing::log::{StoreBuilder, Suite};

use super::options;
use crate::Stores;
use crate::engine::memory::MemoryDisk;
use crate::log::ShardLog;
use crate::state_machine::ShardStateMachine;
use crate::type_config::TypeConfig;

type StorageError = openraft::StorageError<TypeConfig>;

/// The suite applies what no log has and purges what nobody applied, so it gets stores that do not wait for
/// each other.
fn unguarded(stores: &Stores) -> (ShardLog, ShardStateMachine) {
    (stores.log().shard(0, None), stores.state().shard(0, None, None))
}

struct Memory;

impl StoreBuilder<TypeConfig, ShardLog, ShardStateMachine, Stores> for Memory {
    async fn build(&self) -> Result<(Stores, ShardLog, ShardStateMachine), StorageError> {
        let stores = Stores::memory(&MemoryDisk::new(true), 1, &options()).unwrap();
        let (log, state_machine) = unguarded(&stores);
        Ok((stores, log, state_machine))
    }
}

#[tokio::test]
async fn openraft_accepts_the_memory_engine() {
    Suite::test_all(Memory).await.unwrap();
}

#[cfg(feature = "rocksdb")]
struct Rocks;

#[cfg(feature = "rocksdb")]
impl StoreBuilder<TypeConfig, ShardLog, ShardStateMachine, (Stores, tempfile::TempDir)> for Rocks {
    async fn build(
        &self,
    ) -> Result<((Stores, tempfile::TempDir), ShardLog, ShardStateMachine), StorageError> {
        let dir = tempfile::tempdir().unwrap();
        let stores = Stores::open(dir.path(), 1, &options()).unwrap();
        let (log, state_machine) = unguarded(&stores);
        Ok(((stores, dir), log, state_machine))
    }
}

#[cfg(feature = "rocksdb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openraft_accepts_rocksdb() {
    Suite::test_all(Rocks).await.unwrap();
}
