//! Brings what applied commands mean from the state machine to the dispatcher, while there is one.

use std::sync::Arc;

use parking_lot::Mutex;
use raft_store::state_machine::NoticeSink;
use raft_store::type_config::LogId;
use timer_core::command::Notice;
use tokio::sync::mpsc;

/// Notices of some applied entries, in the log's order.
pub type Notices = mpsc::UnboundedReceiver<Vec<Notice>>;

/// One shard's feed. Clones share it.
///
/// The queue has no bound of its own: it can't be longer than what is applied while the dispatcher makes one
/// round, and apply must not wait for the dispatcher, which itself waits for apply.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    listener: Arc<Mutex<Option<mpsc::UnboundedSender<Vec<Notice>>>>>,
}

impl Feed {
    /// Listens from now on; whoever listened before hears no more.
    #[must_use]
    pub fn subscribe(&self) -> Notices {
        let (tx, rx) = mpsc::unbounded_channel();
        *self.listener.lock() = Some(tx);
        rx
    }
}

impl NoticeSink for Feed {
    fn listens(&self) -> bool {
        self.listener.lock().as_ref().is_some_and(|listener| !listener.is_closed())
    }

    fn applied(&self, _applied: LogId, notices: Vec<Notice>) {
        let mut listener = self.listener.lock();
        if listener.as_ref().is_some_and(|listener| listener.send(notices).is_err()) {
            *listener = None;
        }
    }

    fn replaced(&self, _applied: Option<LogId>) {
        // Only a follower's state is replaced, and a follower has no dispatcher.
        *self.listener.lock() = None;
    }
}
