//! The callback server of the measurements: it notes when each timer's first callback arrived and answers 200.
//! It reads heads only, because it shares its cores with the server under test.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::clock;
use crate::connection::{head_length, header};
use crate::request::Ids;

/// The longest request that is taken, in bytes.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// What arrived.
#[derive(Debug)]
struct Arrivals {
    /// Of each timer by number, when its first callback was read: microseconds since 1970, 0 = not yet.
    first_us: Vec<u64>,
    distinct: usize,
    repeated: usize,
}

/// A running receiver for the timers 0 to `count` - 1. Dropping it closes its connections.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    arrivals: Rc<RefCell<Arrivals>>,
    complete: Rc<Notify>,
    // Held for its drop.
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Listens on a free loopback port. Must be called within a `LocalSet`.
    pub async fn start(ids: Ids, count: usize) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrivals = Rc::new(RefCell::new(Arrivals { first_us: vec![0; count], distinct: 0, repeated: 0 }));
        let complete = Rc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let service = Service { ids, arrivals: Rc::clone(&arrivals), complete: Rc::clone(&complete) };
        tasks.spawn_local(accept(listener, service));
        Ok(Self { address, arrivals, complete, _tasks: tasks })
    }

    /// Where callbacks go.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Waits until every timer has arrived, at most `wait`; says whether they all did.
    pub async fn wait(&self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.complete.notified()).await.is_ok()
    }

    /// When each timer arrived first, microseconds since 1970, 0 for those that did not.
    pub fn first_us(&self) -> Vec<u64> {
        self.arrivals.borrow().first_us.clone()
    }

    /// Callbacks beyond the first of their timer.
    pub fn repeated(&self) -> usize {
        self.arrivals.borrow().repeated
    }
}

#[derive(Clone)]
struct Service {
    ids: Ids,
    arrivals: Rc<RefCell<Arrivals>>,
    complete: Rc<Notify>,
}

impl Service {
    fn note(&self, head: &[u8], at_us: u64) {
        let Some(number) = header(head, b"timer-id").and_then(|id| self.ids.number(id)) else { return };
        let mut arrivals = self.arrivals.borrow_mut();
        let Some(first) = arrivals.first_us.get_mut(number) else { return };
        if *first != 0 {
            arrivals.repeated += 1;
            return;
        }
        *first = at_us;
        arrivals.distinct += 1;
        if arrivals.distinct == arrivals.first_us.len() {
            self.complete.notify_one();
        }
    }
}

/// Takes connections until it is dropped; they end with it.
async fn accept(listener: TcpListener, service: Service) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn_local(serve(stream, service.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers requests until the peer closes or sends what is not HTTP/1.1 with a length.
async fn serve(mut stream: TcpStream, service: Service) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = Vec::with_capacity(4096);
    loop {
        while let Some(head) = head_length(&buffer) {
            let body =
                header(&buffer[..head], b"content-length").map_or(Some(0), |n| n.parse::<usize>().ok());
            let Some(end) = body.and_then(|n| head.checked_add(n)).filter(|&end| end <= REQUEST_BYTES_MAX)
            else {
                return;
            };
            if buffer.len() < end {
                break;
            }
            service.note(&buffer[..head], clock::now_us());
            buffer.drain(..end);
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
                return;
            }
        }
        if buffer.len() > REQUEST_BYTES_MAX || !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;
    use crate::connection::Connection;

    fn callback(id: &str) -> Vec<u8> {
        format!("POST / HTTP/1.1\r\nTimer-Id: {id}\r\nContent-Length: 2\r\n\r\n{{}}").into_bytes()
    }

    #[tokio::test]
    async fn each_timer_counts_once_and_repetitions_apart() {
        LocalSet::new()
            .run_until(async {
                let receiver = Receiver::start(Ids::new(1), 2).await.unwrap();
                let mut connection = Connection::open(receiver.address).await.unwrap();
                for id in
                    ["bench-0000000000000001-0000000000", "bench-0000000000000001-0000000000", "stranger"]
                {
                    assert_eq!(connection.send(&callback(id)).await.unwrap(), 200);
                }
                assert_eq!(receiver.repeated(), 1);
                assert!(receiver.first_us()[0] > 0);
                assert_eq!(receiver.first_us()[1], 0);

                let mut other = Connection::open(receiver.address).await.unwrap();
                other.send(&callback("bench-0000000000000001-0000000001")).await.unwrap();
                assert!(receiver.wait(Duration::from_secs(5)).await);
            })
            .await;
    }

    #[tokio::test]
    async fn a_timer_that_stays_out_is_not_waited_for_for_ever() {
        LocalSet::new()
            .run_until(async {
                let receiver = Receiver::start(Ids::new(1), 1).await.unwrap();
                assert!(!receiver.wait(Duration::from_millis(1)).await);
            })
            .await;
    }
}
