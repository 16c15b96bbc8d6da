//! A node from its start to its end: serves until it is asked to stop or a fault ends it, and then stops in order.

use std::sync::Arc;
use std::time::Duration;

use super::housekeeping;
use super::node::Node;
use super::serve::serve_http;
use crate::blocking::away;
use crate::delivery::AddressPolicy;
use crate::sockets::TcpListener;
use crate::tls::Reloader;

/// How long a shutdown waits for attempts that are under way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a shutdown waits for the node's own loops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

impl Node {
    /// Lives until `asked` resolves or a fatal fault; the node is stopped when this returns. With `tls` the REST API is
    /// served over TLS only.
    ///
    /// # Errors
    /// The fault, in one line for the operator.
    pub async fn live(
        self: &Arc<Self>,
        policy: AddressPolicy,
        http: TcpListener,
        tls: Option<Reloader>,
        asked: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let serving = tokio::spawn(serve_http(self.clone(), policy, http, tls));
        let ended = self.run_until(asked).await;
        self.shut_down().await;
        if ended.is_ok() {
            // Requests that are open get their answers. After a fault they would wait in vain.
            let _ = serving.await;
        }
        ended
    }

    async fn run_until(self: &Arc<Self>, asked: impl Future<Output = ()>) -> Result<(), String> {
        let mut fatal = self.fatal.subscribe();
        let run = self.run();
        tokio::pin!(run, asked);
        let mut started = false;
        loop {
            tokio::select! {
                result = &mut run, if !started => {
                    result?;
                    started = true;
                }
                () = &mut asked => return Ok(()),
                _ = fatal.changed() => {
                    if let Some(reason) = fatal.borrow_and_update().clone() {
                        return Err(reason);
                    }
                }
            }
        }
    }

    /// Stops in order: passes the shards on, waits for attempts under way, makes the state durable. With a fatal fault
    /// it only stops: a node that can't write its log can't pass anything on, and others take over the sooner.
    async fn shut_down(self: &Arc<Self>) {
        self.draining.send_replace(true);
        let sound = self.fatal.borrow().is_none();
        if let Some(running) = self.running().filter(|_| sound) {
            if running.cluster.members.len() == 1 {
                // There is nobody to pass on to, so attempts end first and are then named as ended.
                housekeeping::stop_starting(running);
                self.drain().await;
            }
            let passed = running.hosts.iter().map(|host| host.hand_over(true));
            let passed = futures_util::future::join_all(passed).await;
            tracing::info!(
                shards = passed.len(),
                passed_on = passed.iter().filter(|passed| **passed).count(),
                "handed over"
            );
            self.drain().await;
            let stores = running.stores.clone();
            match away(stores.blocks(), move || stores.flush()).await {
                Ok(Ok(_persisted)) => {}
                Ok(Err(e)) => tracing::error!(error = %e, "the last flush failed; the log has it all"),
                Err(e) => tracing::error!(error = %e, "the last flush failed; the log has it all"),
            }
        }
        self.stop.cancel();
        self.tasks.close();
        if !sound {
            return;
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        if let Some(running) = self.running() {
            let stores = running.stores.clone();
            let _ = away(stores.blocks(), move || stores.close()).await;
        }
    }

    async fn drain(&self) {
        let under_way = || self.running().map_or(0, |running| housekeeping::under_way(running));
        let drained = async {
            while under_way() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!(
                under_way = under_way(),
                "attempts did not end in time; a later leader awaits them"
            );
        }
    }
}
