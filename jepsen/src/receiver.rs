//! The callback receivers: HTTP/1.1 by hand, because a receiver that resets, hangs or drips needs the bare socket.
//! Each callback is written to the history before it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use checkers::history::{Delivery, Event};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bounds::CALLBACK_TIMEOUT_MS;
use crate::clock::wall_ms;
use crate::names::receiver_name;
use crate::network::{CLIENT_ADDRESS, OTHER_ADDRESS, node_of};
use crate::outstanding::Outstanding;
use crate::recorder::Recorder;
use crate::script::{Answer, Moods, PORT, RECEIVERS};
use crate::wire::parse_rfc3339;

const HEAD_LINES_MAX: usize = 100;
const BODY_BYTES_MAX: usize = 1 << 20;
/// Slower than any sender waits.
const DRIP: Duration = Duration::from_millis(500);
/// How long a connection that hangs is kept at most, after which the sender has long gone.
const HANG: Duration = Duration::from_millis(CALLBACK_TIMEOUT_MS * 5);

/// What all receivers share.
#[derive(Debug)]
pub struct Receivers {
    pub recorder: Recorder,
    pub moods: Moods,
    pub outstanding: Outstanding,
    pub seed: u64,
    /// Requests that no callback of ours can be.
    pub odd: AtomicU64,
    /// Redirects that somebody followed.
    pub followed: AtomicU64,
    /// Callbacks that came to a receiver's other address.
    pub at_other: [AtomicU64; RECEIVERS],
}

/// The head of a request.
#[derive(Debug, Default)]
struct Head {
    path: String,
    body_bytes: usize,
    timer: String,
    generation: Option<u64>,
    attempt: Option<u32>,
    token: Option<u64>,
    scheduled_at_ms: Option<u64>,
}

/// The URL of a receiver.
pub fn url(receiver: usize) -> String {
    format!("http://{}:{}/hook", receiver_name(receiver), usize::from(PORT) + receiver)
}

/// Serves all receivers until `stop`.
pub async fn serve(receivers: Arc<Receivers>, stop: CancellationToken) -> anyhow::Result<JoinSet<()>> {
    let mut servers = JoinSet::new();
    let places = (PORT..).take(RECEIVERS).enumerate();
    for ((number, port), address) in
        places.flat_map(|place| [CLIENT_ADDRESS, OTHER_ADDRESS].map(|a| (place, a)))
    {
        let listener = TcpListener::bind((address, port)).await?;
        let (receivers, stop) = (receivers.clone(), stop.clone());
        servers.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    taken = listener.accept() => if let Ok((stream, peer)) = taken {
                        let receivers = receivers.clone();
                        connections.spawn(async move { receivers.connection(number, stream, peer).await });
                    },
                    Some(_) = connections.join_next(), if !connections.is_empty() => {}
                }
            }
            // Dropping the set ends what hangs on purpose.
        });
    }
    Ok(servers)
}

impl Receivers {
    /// Callbacks that came to where a receiver had moved.
    pub fn at_other_address(&self, receiver: usize) -> u64 {
        self.at_other.get(receiver).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    async fn connection(&self, number: usize, stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let is_other = stream.local_addr().is_ok_and(|local| local.ip().to_string() == OTHER_ADDRESS);
        let mut stream = BufReader::new(stream);
        while let Some(head) = read_head(&mut stream).await {
            let (at_ns, received_ms) = (self.recorder.now_ns(), wall_ms());
            if !read_body(&mut stream, head.body_bytes).await {
                return;
            }
            if head.path != "/hook" {
                self.followed.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let Some(mut delivery) = head.delivery(number, peer) else {
                self.odd.fetch_add(1, Ordering::Relaxed);
                return;
            };
            let answer = self.moods.answer(self.seed, number, &delivery.timer, delivery.attempt);
            delivery.at_ns = at_ns;
            delivery.received_ms = received_ms;
            delivery.reply = answer.reply();
            let answers = matches!(answer, Answer::Status(..) | Answer::Redirect);
            delivery.answered_ns = answers.then(|| self.recorder.now_ns());
            if is_other && let Some(count) = self.at_other.get(number) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            self.outstanding.delivered(&delivery);
            self.recorder.write(&Event::Delivery(delivery));
            if !give(&mut stream, answer).await {
                return;
            }
        }
    }
}

impl Head {
    fn delivery(&self, receiver: usize, peer: SocketAddr) -> Option<Delivery> {
        Some(Delivery {
            at_ns: 0,
            received_ms: 0,
            receiver: u32::try_from(receiver).ok()?,
            node: node_of(&peer.ip()),
            timer: self.timer.clone(),
            generation: self.generation?,
            attempt: self.attempt?,
            token: self.token?,
            scheduled_at_ms: self.scheduled_at_ms?,
            reply: Answer::Hang.reply(),
            answered_ns: None,
        })
    }

    fn header(&mut self, name: &str, value: &str) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => self.body_bytes = value.parse().unwrap_or(usize::MAX),
            "timer-id" => {
                let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                self.timer = decoded.into_owned();
            }
            "timer-generation" => self.generation = value.parse().ok(),
            "timer-attempt" => self.attempt = value.parse().ok(),
            "timer-fencing-token" => self.token = value.parse().ok(),
            "timer-scheduled-at" => self.scheduled_at_ms = parse_rfc3339(value),
            _ => {}
        }
    }
}

/// `None` at the end of the connection, or if it is no request.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<Head> {
    let mut head = Head::default();
    let mut line = String::new();
    for number in 0..HEAD_LINES_MAX {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let text = line.trim_end();
        if number == 0 {
            head.path = text.split(' ').nth(1)?.to_owned();
        } else if text.is_empty() {
            return Some(head);
        } else if let Some((name, value)) = text.split_once(':') {
            head.header(name, value.trim());
        }
    }
    None
}

async fn read_body(stream: &mut BufReader<TcpStream>, bytes: usize) -> bool {
    if bytes > BODY_BYTES_MAX {
        return false;
    }
    let mut body = vec![0; bytes];
    stream.read_exact(&mut body).await.is_ok()
}

/// Answers; `false` if the connection is over.
async fn give(stream: &mut BufReader<TcpStream>, answer: Answer) -> bool {
    match answer {
        Answer::Status(status, retry_after_s) => {
            let wait = retry_after_s.map(|s| format!("retry-after: {s}\r\n")).unwrap_or_default();
            let text = format!("HTTP/1.1 {status} Planned\r\n{wait}content-length: 0\r\n\r\n");
            stream.get_mut().write_all(text.as_bytes()).await.is_ok()
        }
        Answer::Redirect => {
            let text = "HTTP/1.1 302 Planned\r\nlocation: /followed\r\ncontent-length: 0\r\n\r\n";
            stream.get_mut().write_all(text.as_bytes()).await.is_ok()
        }
        Answer::Reset => {
            let _ = stream.get_mut().set_zero_linger();
            false
        }
        Answer::Hang => {
            let mut rest = Vec::new();
            let _ = tokio::time::timeout(HANG, stream.read_to_end(&mut rest)).await;
            false
        }
        Answer::Drip => {
            let _ = tokio::time::timeout(HANG, drip(stream)).await;
            false
        }
    }
}

/// A body of a hundred bytes, one at a time.
async fn drip(stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    stream.get_mut().write_all(b"HTTP/1.1 200 Planned\r\ncontent-length: 100\r\n\r\n").await?;
    for _ in 0..99 {
        tokio::time::sleep(DRIP).await;
        stream.get_mut().write_all(b"x").await?;
    }
    Ok(())
}
