//! Creates timers as fast as the server takes them: N clients, each with one connection and one request under
//! way (a closed loop, so a slow server is asked less, and latency under overload is understated).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::clock;
use crate::connection::{Connection, SendError};
use crate::latency::Latencies;
use crate::request::{Definition, Ids, PutTimer};
use crate::routes::Routes;

/// A sensible [`Load::failures_max`]: a fail-over is shorter than this many back-offs.
pub const FAILURES_MAX: u32 = 100;
/// How long a client waits after one.
const BACKOFF: Duration = Duration::from_millis(50);

/// What to create.
pub struct Load<'a> {
    /// The nodes; client i talks to node i modulo their number.
    pub targets: &'a [SocketAddr],
    /// If given, each timer goes to its leader instead, whichever client creates it.
    pub routes: Option<&'a Routes>,
    /// Connections.
    pub clients: usize,
    /// The names of the timers.
    pub ids: &'a Ids,
    /// When timer n is due: microseconds since 1970.
    pub due_us: &'a dyn Fn(usize) -> u64,
    /// Where callbacks go.
    pub callback_url: &'a str,
    /// Bytes of each payload.
    pub payload_bytes: usize,
    /// Ends the load after this many timers.
    pub count_max: usize,
    /// Ends the load after this long, the warm-up included.
    pub duration_max: Duration,
    /// Refusals and failures that one client takes in a row before the load is given up.
    pub failures_max: u32,
    /// Creates in this time from the start are not counted.
    pub warm_up: Duration,
}

/// What a load did, less its warm-up.
#[derive(Debug)]
pub struct Loaded {
    /// Timers that were acknowledged.
    pub created: u64,
    /// The time they took.
    pub elapsed: Duration,
    /// From request to answer, of the acknowledged ones.
    pub latencies: Latencies,
    /// Other answers by status, and broken connections as 0. Each was tried again.
    pub refused: BTreeMap<u16, u64>,
}

/// Why a load was given up.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The server would not take a timer.
    #[error("nothing but refusals and failures, the last with status {0}")]
    Refused(u16),
    /// The server was not there.
    #[error("nothing but refusals and failures, the last: {0}")]
    Broken(SendError),
}

/// Runs `load` to its end.
///
/// # Errors
/// When one client met nothing but failures for a while.
pub async fn run(load: &Load<'_>) -> Result<Loaded, LoadError> {
    assert!(!load.targets.is_empty() && load.clients > 0, "a load needs a target and a client");
    let started = Instant::now();
    let next = Cell::new(0);
    let clients = (0..load.clients).map(|client| {
        let target = load.targets[client % load.targets.len()];
        Client { load, target, next: &next, started, connections: BTreeMap::new() }.run()
    });
    let parts = try_join_all(clients).await?;

    let mut all = Loaded {
        created: 0,
        elapsed: started.elapsed().saturating_sub(load.warm_up),
        latencies: Latencies::new(),
        refused: BTreeMap::new(),
    };
    for part in parts {
        all.latencies.add_all(&part.latencies);
        for (status, count) in part.refused {
            *all.refused.entry(status).or_default() += count;
        }
    }
    all.created = all.latencies.len();
    Ok(all)
}

struct Part {
    latencies: Latencies,
    refused: BTreeMap<u16, u64>,
}

struct Client<'a> {
    load: &'a Load<'a>,
    target: SocketAddr,
    next: &'a Cell<usize>,
    started: Instant,
    connections: BTreeMap<SocketAddr, Connection>,
}

impl Client<'_> {
    async fn run(mut self) -> Result<Part, LoadError> {
        let mut part = Part { latencies: Latencies::new(), refused: BTreeMap::new() };
        // Rendered again only when the due time changes.
        let mut rendered: Option<(u64, PutTimer)> = None;
        while let Some(number) = self.take_number() {
            let due_us = (self.load.due_us)(number);
            let put = match &mut rendered {
                Some((for_us, put)) if *for_us == due_us => put,
                stale => &mut stale.insert((due_us, self.render(due_us))).1,
            };
            let target =
                self.load.routes.map_or(self.target, |routes| routes.leader_of(&self.load.ids.name(number)));
            self.create(target, put.numbered(number), &mut part).await?;
        }
        Ok(part)
    }

    fn take_number(&self) -> Option<usize> {
        let number = self.next.get();
        let go_on = number < self.load.count_max && self.started.elapsed() < self.load.duration_max;
        go_on.then(|| self.next.replace(number + 1))
    }

    fn render(&self, due_us: u64) -> PutTimer {
        let definition = Definition {
            execute_at: &clock::rfc3339(due_us),
            callback_url: self.load.callback_url,
            payload_bytes: self.load.payload_bytes,
        };
        PutTimer::new(self.target, self.load.ids, &definition)
    }

    /// Sends `request` until it is acknowledged.
    async fn create(&mut self, target: SocketAddr, request: &[u8], part: &mut Part) -> Result<(), LoadError> {
        for failure in 1.. {
            let sent = Instant::now();
            let outcome = self.send(target, request).await;
            let counted = self.started.elapsed() >= self.load.warm_up;
            if let Ok(200 | 201) = outcome {
                if counted {
                    part.latencies.add(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
                }
                return Ok(());
            }
            if counted {
                *part.refused.entry(*outcome.as_ref().unwrap_or(&0)).or_default() += 1;
            }
            if failure >= self.load.failures_max {
                return Err(outcome.map_or_else(LoadError::Broken, LoadError::Refused));
            }
            tokio::time::sleep(BACKOFF).await;
        }
        Ok(())
    }

    async fn send(&mut self, target: SocketAddr, request: &[u8]) -> Result<u16, SendError> {
        let mut connection = match self.connections.remove(&target) {
            Some(open) => open,
            None => Connection::open(target).await?,
        };
        let status = connection.send(request).await?;
        self.connections.insert(target, connection);
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every request on every connection with the next of `statuses`, the last for ever.
    async fn server(statuses: &'static [u16]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for at in 0.. {
                if stream.read(&mut [0; 4096]).await.unwrap() == 0 {
                    return;
                }
                let status = statuses.get(at).or(statuses.last()).unwrap();
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    async fn load(target: SocketAddr, count_max: usize) -> Result<Loaded, LoadError> {
        run(&Load {
            targets: &[target],
            routes: None,
            clients: 1,
            ids: &Ids::new(1),
            due_us: &|_| 1_764_000_000_000_000,
            callback_url: "http://127.0.0.1:9/",
            payload_bytes: 10,
            count_max,
            duration_max: Duration::from_secs(20),
            failures_max: 3,
            warm_up: Duration::ZERO,
        })
        .await
    }

    #[tokio::test]
    async fn a_refused_create_is_counted_and_tried_again() {
        let loaded = load(server(&[201, 503, 201]).await, 5).await.unwrap();
        assert_eq!(loaded.created, 5);
        assert_eq!(loaded.refused, BTreeMap::from([(503, 1)]));
    }

    #[tokio::test]
    async fn a_server_that_refuses_everything_ends_the_load() {
        let error = load(server(&[400]).await, 1).await.unwrap_err();
        assert!(matches!(error, LoadError::Refused(400)), "{error}");
    }
}
