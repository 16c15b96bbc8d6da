//! Names to addresses. Nothing is remembered: a connection's age bounds how long a resolution is used.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::limits::LOOKUPS_MAX;

/// The addresses of a name, or why there are none, for everybody who waits for them.
pub type Resolution = Result<Arc<[IpAddr]>, Arc<io::Error>>;

/// Resolves names: the seam between callbacks and DNS.
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// The addresses of `host`, which is no address itself, best first.
    fn resolve(&self, host: &str) -> BoxFuture<'static, Resolution>;
}

/// The machine's resolver.
///
/// It blocks a thread of the runtime for each name, and a server of names that does not answer blocks it for
/// many seconds. So everybody who wants the same name waits for one look-up, and at most [`LOOKUPS_MAX`] go on
/// at once: the runtime's threads are needed for other things.
#[derive(Debug)]
pub struct SystemResolver {
    room: Arc<Semaphore>,
    under_way: Arc<Mutex<HashMap<String, Shared<BoxFuture<'static, Resolution>>>>>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(LOOKUPS_MAX)), under_way: Arc::default() }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> BoxFuture<'static, Resolution> {
        let mut under_way = self.under_way.lock();
        if let Some(lookup) = under_way.get(host) {
            return lookup.clone().boxed();
        }
        let (name, room, table) = (host.to_owned(), self.room.clone(), self.under_way.clone());
        // A task of its own: it goes on when all who wait have given up, and always clears its place.
        let task = tokio::spawn(async move {
            let resolution = lookup(&name, &room).await;
            table.lock().remove(&name);
            resolution
        });
        let lookup = async move {
            task.await.unwrap_or_else(|_| Err(Arc::new(io::Error::other("the look-up was cut short"))))
        };
        let lookup = lookup.boxed().shared();
        under_way.insert(host.to_owned(), lookup.clone());
        lookup.boxed()
    }
}

async fn lookup(name: &str, room: &Semaphore) -> Resolution {
    let _room = room.acquire().await.map_err(|e| Arc::new(io::Error::other(e)))?;
    // The port does not matter, but the call wants one.
    match tokio::net::lookup_host((name, 0)).await {
        Ok(found) => Ok(found.map(|address| address.ip()).collect()),
        Err(e) => Err(Arc::new(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_knows_its_own_name() {
        let resolver = SystemResolver::default();
        let (first, second) = (resolver.resolve("localhost"), resolver.resolve("localhost"));
        assert_eq!(resolver.under_way.lock().len(), 1, "one look-up for both");
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert!(first.iter().any(IpAddr::is_loopback), "{first:?}");
        assert_eq!(first, second);
        assert!(resolver.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn a_look_up_that_nobody_waits_for_ends_all_the_same() {
        let resolver = SystemResolver::default();
        drop(resolver.resolve("localhost"));
        let lookup = resolver.under_way.lock().get("localhost").cloned();
        if let Some(lookup) = lookup {
            assert!(lookup.await.is_ok());
        }
        assert!(resolver.under_way.lock().is_empty());
    }
}
