//! A receiver of callbacks as a turmoil host: answers by the plan in the URL's path and by the fault in force, and
//! notes every callback. Deliberately absent: answers that schedule or defer, which the checkers do not know.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use checkers::history::{Delivery, Event, Reply};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use turmoil::net::{TcpListener, TcpStream};

use crate::clock::{elapsed, true_ms};
use crate::recorder::Recorder;

/// Where receivers listen.
pub const PORT: u16 = 9000;

/// The path of callbacks that are answered 200 and not noted: of a client whose history is no part of the run's.
pub const UNRECORDED: &str = "/unrecorded";

/// What a fault makes a receiver do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It keeps to the plan in the path.
    #[default]
    Good,
    /// It answers 500.
    Failing,
    /// It does not answer.
    Hanging,
    /// It answers by the plan, but late.
    Slow,
}

/// How long a slow receiver takes: less than any callback's time-out.
const SLOWNESS: Duration = Duration::from_millis(700);

/// A receiver. It outlives the crashes of its host.
pub struct Receiver {
    /// 1 and up.
    pub number: u32,
    /// Its host's name.
    pub name: String,
    /// What a fault makes it do.
    pub mood: Cell<Mood>,
    /// The nodes by their addresses.
    pub nodes: BTreeMap<IpAddr, u32>,
    /// Takes what it saw.
    pub recorder: Recorder,
}

/// What the path of a callback asks for while there is no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathPlan {
    /// 200.
    Good,
    /// This status for so many attempts, then 200.
    Status(u32, u16),
    /// 503 with a `Retry-After` of a second, for so many attempts.
    RetryAfter(u32),
    /// No answer for so many attempts.
    Hang(u32),
    /// The connection ends without an answer, for so many attempts.
    Reset(u32),
}

impl PathPlan {
    /// The path.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Good => "/good".to_owned(),
            Self::Status(attempts, status) => format!("/status/{attempts}/{status}"),
            Self::RetryAfter(attempts) => format!("/later/{attempts}"),
            Self::Hang(attempts) => format!("/hang/{attempts}"),
            Self::Reset(attempts) => format!("/reset/{attempts}"),
        }
    }

    fn of(path: &str) -> Self {
        let mut parts = path.split('/').skip(1);
        let name = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0_u32);
        match name {
            "status" => Self::Status(number(), u16::try_from(number()).unwrap_or(500)),
            "later" => Self::RetryAfter(number()),
            "hang" => Self::Hang(number()),
            "reset" => Self::Reset(number()),
            _ => Self::Good,
        }
    }

    fn reply(self, attempt: u32) -> Reply {
        let plain = |status| Reply::Status { status, retry_after_s: None };
        match self {
            Self::Status(attempts, status) if attempt <= attempts => plain(status),
            Self::RetryAfter(attempts) if attempt <= attempts => {
                Reply::Status { status: 503, retry_after_s: Some(1) }
            }
            Self::Hang(attempts) if attempt <= attempts => Reply::Hang,
            Self::Reset(attempts) if attempt <= attempts => Reply::Reset,
            _ => plain(200),
        }
    }
}

impl Receiver {
    /// The host's software.
    pub async fn software(self: Rc<Self>) -> turmoil::Result {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, from) = listener.accept().await?;
            tokio::task::spawn_local(self.clone().connection(stream, from.ip()));
        }
    }

    async fn connection(self: Rc<Self>, stream: TcpStream, from: IpAddr) {
        let service = service_fn(move |request: Request<Incoming>| self.clone().callback(request, from));
        // It ends badly when it is reset, which is the plan.
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn callback(
        self: Rc<Self>,
        request: Request<Incoming>,
        from: IpAddr,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (at, received_ms) = (elapsed(), true_ms());
        let (head, body) = request.into_parts();
        if head.uri.path() == UNRECORDED {
            let _ = body.collect().await;
            return Ok(Response::new(Full::default()));
        }
        let read = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| read(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let attempt = u32::try_from(number("timer-attempt")).unwrap_or(u32::MAX);
        let reply = match self.mood.get() {
            Mood::Good | Mood::Slow => PathPlan::of(head.uri.path()).reply(attempt),
            Mood::Failing => Reply::Status { status: 500, retry_after_s: None },
            Mood::Hanging => Reply::Hang,
        };
        let _ = body.collect().await;
        let mut delivery = Delivery {
            at_ns: nanos(at),
            received_ms,
            receiver: self.number,
            node: self.nodes.get(&from).copied(),
            timer: timer_name(&head.headers),
            generation: number("timer-generation"),
            attempt,
            token: number("timer-fencing-token"),
            scheduled_at_ms: read("timer-scheduled-at")
                .and_then(|text| node::rfc3339::parse(text).ok())
                .map_or(0, |at| at.0),
            reply,
            answered_ns: None,
        };
        tracing::info!(target: "sim", receiver = self.number, timer = delivery.timer, generation = delivery.generation, attempt, token = delivery.token, ?reply, "callback");
        match reply {
            Reply::Status { status, retry_after_s } => {
                let guard = Unanswered::new(&self.recorder, delivery.clone());
                if self.mood.get() == Mood::Slow {
                    tokio::time::sleep(SLOWNESS).await;
                }
                guard.settle();
                delivery.answered_ns = Some(nanos(elapsed()));
                self.recorder.note(Event::Delivery(delivery));
                Ok(answer(status, retry_after_s))
            }
            Reply::Hang => {
                self.recorder.note(Event::Delivery(delivery));
                std::future::pending::<Infallible>().await;
                Err(std::io::ErrorKind::TimedOut.into())
            }
            Reply::Reset => {
                self.recorder.note(Event::Delivery(delivery));
                Err(std::io::ErrorKind::ConnectionReset.into())
            }
        }
    }
}

/// Notes a callback as unanswered if it is dropped before it was settled: the sender or this host went away.
struct Unanswered<'a> {
    recorder: &'a Recorder,
    delivery: Option<Delivery>,
}

impl<'a> Unanswered<'a> {
    fn new(recorder: &'a Recorder, delivery: Delivery) -> Self {
        Self { recorder, delivery: Some(delivery) }
    }

    fn settle(mut self) {
        self.delivery = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(delivery) = self.delivery.take() {
            self.recorder.note(Event::Delivery(Delivery { reply: Reply::Hang, ..delivery }));
        }
    }
}

fn answer(status: u16, retry_after_s: Option<u64>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::OK);
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// The timer as the history names it.
fn timer_name(headers: &HeaderMap) -> String {
    let read = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let id = percent_encoding::percent_decode_str(read("timer-id")).decode_utf8_lossy();
    format!("{}/{id}", read("timer-group"))
}

/// A time of the simulation as the history writes it.
#[must_use]
pub fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}
