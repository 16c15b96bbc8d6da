//! Turns names into addresses. Nothing is remembered here: the age of a connection bounds how long an answer is
//! good for.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Names that are looked up at the same time. Each takes one of the runtime's 512 threads for blocking work.
const LOOKUPS_MAX: usize = 64;

/// Turns names into addresses.
pub trait Resolve: Send + Sync + std::fmt::Debug + 'static {
    /// The addresses of `host` in the order in which they are to be tried.
    ///
    /// # Errors
    /// When the name can't be resolved now.
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
///
/// It blocks a thread for as long as a name server keeps silent, which are many seconds, and the tables are
/// read on threads of the same pool. So all who want a name wait for one look-up of it, and at most
/// [`LOOKUPS_MAX`] go on at once: names that hang make callbacks late, never reads.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    room: Arc<Semaphore>,
    under_way: Arc<Mutex<HashMap<String, Lookup>>>,
}

type Lookup = Shared<BoxFuture<'static, Result<Vec<IpAddr>, Unresolved>>>;

/// An [`io::Error`] that can be given to many.
#[derive(Clone, Debug)]
struct Unresolved {
    kind: io::ErrorKind,
    message: String,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(LOOKUPS_MAX)), under_way: Arc::default() }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let lookup = self.lookup(host);
        lookup.map(|found| found.map_err(|fault| io::Error::new(fault.kind, fault.message))).boxed()
    }
}

impl SystemResolver {
    /// The look-up of `host` that is under way, or a new one.
    fn lookup(&self, host: &str) -> Lookup {
        let mut under_way = self.under_way.lock();
        if let Some(lookup) = under_way.get(host) {
            return lookup.clone();
        }
        let (name, room, table) = (host.to_owned(), self.room.clone(), self.under_way.clone());
        // A task of its own, which ends also when nobody waits any more, and then makes room for the next.
        let task = tokio::spawn(async move {
            let found = ask(&name, &room).await;
            table.lock().remove(&name);
            found
        });
        let lookup = async move { task.await.unwrap_or_else(|e| Err(Unresolved::of(&io::Error::other(e)))) };
        let lookup = lookup.boxed().shared();
        under_way.insert(host.to_owned(), lookup.clone());
        lookup
    }
}

impl Unresolved {
    fn of(error: &io::Error) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}

async fn ask(name: &str, room: &Semaphore) -> Result<Vec<IpAddr>, Unresolved> {
    let Ok(_room) = room.acquire().await else {
        return Err(Unresolved::of(&io::Error::other("the resolver is closed")));
    };
    match tokio::net::lookup_host((name, 0)).await {
        Ok(found) => Ok(found.map(|address| address.ip()).collect()),
        Err(e) => Err(Unresolved::of(&e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_want_a_name_wait_for_one_look_up() {
        let resolver = SystemResolver::default();
        let waiting: Vec<_> = (0..100).map(|_| resolver.resolve("localhost")).collect();
        assert_eq!(resolver.under_way.lock().len(), 1);
        for found in futures_util::future::join_all(waiting).await {
            assert!(found.unwrap().iter().any(IpAddr::is_loopback));
        }
        assert!(resolver.under_way.lock().is_empty(), "the next one asks anew");
    }

    #[tokio::test]
    async fn a_look_up_that_nobody_waits_for_ends_all_the_same() {
        let resolver = SystemResolver::default();
        drop(resolver.resolve("localhost"));
        let lookup = resolver.under_way.lock().get("localhost").cloned().unwrap();
        assert!(lookup.await.is_ok());
        assert!(resolver.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn names_beyond_the_bound_wait_for_room() {
        let resolver = SystemResolver::default();
        let full =
            resolver.room.clone().acquire_many_owned(u32::try_from(LOOKUPS_MAX).unwrap()).await.unwrap();
        let mut waiting = resolver.resolve("localhost");
        tokio::task::yield_now().await;
        assert!((&mut waiting).now_or_never().is_none());
        drop(full);
        assert!(waiting.await.is_ok());
    }
}
