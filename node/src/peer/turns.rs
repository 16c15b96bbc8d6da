//! Of all connections of one lane of one peer the newest is served, and no other.
//!
//! A peer opens a connection when it has given up the one before, and asks again there what got no answer. What it had
//! sent on the old one can still be under way here: it must not take effect after what came on the new one was
//! answered. So the new connection is greeted only when nothing of the old one is left.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

/// A peer's node id and the number of the lane.
type LaneOfPeer = (u64, i32);

/// Whose turn it is on each lane of each peer.
#[derive(Default)]
pub struct Turns {
    lanes: Mutex<HashMap<LaneOfPeer, LaneTurns>>,
}

#[derive(Default)]
struct LaneTurns {
    lock: Arc<tokio::sync::Mutex<()>>,
    newest: CancellationToken,
}

/// The right to serve a lane. It ends with its last clone: whatever works for the connection holds one.
#[derive(Clone, Debug)]
pub struct Turn {
    superseded: CancellationToken,
    _held: Arc<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Supersedes the connection that has the turn, waits until nothing of it is left, and takes the turn. None if a
    /// still newer connection came meanwhile.
    pub async fn take(&self, peer: u64, lane: i32) -> Option<Turn> {
        let superseded = CancellationToken::new();
        let lock = {
            let mut lanes = self.lanes.lock();
            let turns = lanes.entry((peer, lane)).or_default();
            std::mem::replace(&mut turns.newest, superseded.clone()).cancel();
            turns.lock.clone()
        };
        tokio::select! {
            biased;
            () = superseded.cancelled() => None,
            held = lock.lock_owned() => Some(Turn { superseded: superseded.clone(), _held: Arc::new(held) }),
        }
    }
}

impl Turn {
    /// Resolves when a newer connection wants the turn.
    pub async fn superseded(&self) {
        self.superseded.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::{join, pending};

    use super::*;

    #[tokio::test]
    async fn a_newer_connection_waits_until_nothing_of_the_older_is_left() {
        let turns = Turns::default();
        let first = turns.take(1, 4).await.unwrap();
        assert!(first.superseded().now_or_never().is_none());
        let of_a_task = first.clone();
        let mut second = std::pin::pin!(turns.take(1, 4));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(first.superseded().now_or_never().is_some(), "it is told");
        drop(first);
        assert!(second.as_mut().now_or_never().is_none(), "a task still works for it");
        drop(of_a_task);
        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn what_a_task_that_is_aborted_holds_is_released() {
        let turns = Turns::default();
        let first = turns.take(1, 4).await.unwrap();
        let task = tokio::spawn(async move {
            let _turn = first;
            pending::<()>().await;
        });
        let (second, ()) = join(turns.take(1, 4), async { task.abort() }).await;
        assert!(second.is_some());
    }

    #[tokio::test]
    async fn of_two_that_wait_the_newer_is_served() {
        let turns = Turns::default();
        let first = turns.take(1, 4).await.unwrap();
        let release = async { drop(first) };
        let (second, third, ()) = tokio::join!(turns.take(1, 4), turns.take(1, 4), release);
        assert!(second.is_none() && third.is_some());
    }

    #[tokio::test]
    async fn lanes_and_peers_do_not_wait_for_each_other() {
        let turns = Turns::default();
        let _first = turns.take(1, 4).await.unwrap();
        assert!(turns.take(1, 3).await.is_some() && turns.take(2, 4).await.is_some());
    }
}
