//! Whether a node's stores can still be used. One fault of one file is enough to end the process: what a store that
//! failed once says next can't be trusted, another node can take over at once, and a process that has ended is
//! seen by whoever runs it.

use std::sync::Arc;

use tokio::sync::watch;

/// The state of a node's stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// They can be read and written.
    #[default]
    Healthy,
    /// Something could not be read, written or synced, or is damaged: the process should end. Says why.
    Failed(String),
}

/// Keeps the first fault. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latch(Arc<watch::Sender<Health>>);

impl Latch {
    /// Notes a fault, if it is the first.
    pub(crate) fn fail(&self, reason: &str) {
        self.0.send_if_modified(|health| {
            let first = *health == Health::Healthy;
            if first {
                *health = Health::Failed(reason.to_owned());
            }
            first
        });
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_stays() {
        let latch = Latch::default();
        let seen = latch.subscribe();
        assert_eq!(*seen.borrow(), Health::Healthy);
        latch.fail("first");
        latch.clone().fail("second");
        assert_eq!(*seen.borrow(), Health::Failed("first".into()));
    }
}
