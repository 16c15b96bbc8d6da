//! Work that may wait for a disk: away from the runtime's threads, unless there is no disk to wait for.

use tokio::task::{JoinError, spawn_blocking};

/// Does `work`: on a thread for such work if it `blocks`, else here and now, which a simulation can repeat.
///
/// # Errors
/// When the work panicked, or the runtime is shutting down.
pub async fn away<T: Send + 'static>(
    blocks: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if blocks { spawn_blocking(work).await } else { Ok(work()) }
}
