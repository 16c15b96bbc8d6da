//! One call: tries it, on one endpoint after the other, until there is an answer that will not change.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use tokio::time::Instant;

use super::CallOptions;
use super::retry::{self, Next, RetrySettings};
use super::transport::{Received, Transport};
use crate::error::{Error, Failure, Outcome, Problem};
use crate::limits::QUOTE_BYTES_MAX;

/// Names one change for all of its tries.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Names one request in the server's log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C trace context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Says who calls.
const AGENT: &str = concat!("durable-timer-rust/", env!("CARGO_PKG_VERSION"));

/// A request that can be made again and again, each time the same.
pub struct Call {
    method: Method,
    path: String,
    body: Bytes,
    /// Beside those that every request has.
    pub headers: HeaderMap,
    /// Whether a second one does no harm.
    pub repeatable: bool,
}

/// An answer that will not change.
pub struct Reply {
    /// 2xx.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How many tries it took.
    pub tries: u32,
}

/// What all calls of a client share.
pub struct Core {
    endpoints: Vec<String>,
    /// The endpoint that calls begin with: the one that answered last.
    preferred: AtomicUsize,
    transport: Transport,
    authorization: Option<HeaderValue>,
    settings: RetrySettings,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl Reply {
    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }
}

impl Call {
    /// A request for `path`, which begins with a slash and is encoded.
    pub fn new(method: Method, path: String) -> Self {
        Self { method, path, body: Bytes::new(), headers: HeaderMap::new(), repeatable: true }
    }

    /// With `body` as JSON.
    pub fn json(&mut self, body: &impl Serialize) -> Result<(), Error> {
        let bytes = serde_json::to_vec(body).map_err(|fault| Error::Request(fault.to_string()))?;
        self.body = bytes.into();
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(())
    }

    /// With a header.
    pub fn header(&mut self, name: HeaderName, value: &str) -> Result<(), Error> {
        let fault = || Error::Request(format!("{name} can't be {value:?}"));
        self.headers.insert(name.clone(), HeaderValue::from_str(value).map_err(|_| fault())?);
        Ok(())
    }

    /// With what goes along with any request.
    pub fn context(&mut self, options: &CallOptions) -> Result<(), Error> {
        for (name, value) in [(REQUEST_ID, &options.request_id), (TRACEPARENT, &options.traceparent)] {
            if let Some(value) = value {
                self.header(name, value)?;
            }
        }
        Ok(())
    }

    /// With this key, or one minted now, once for all tries.
    pub fn idempotency_key(&mut self, key: Option<&str>) -> Result<(), Error> {
        match key {
            Some(key) => self.header(IDEMPOTENCY_KEY, key),
            None => self.header(IDEMPOTENCY_KEY, &mint_key()?),
        }
    }

    /// What is known of the effect when the answer is lost.
    pub fn outcome_of_lost(&self) -> Outcome {
        if self.method == Method::GET { Outcome::NotApplied } else { Outcome::Unknown }
    }
}

impl Core {
    /// The core of a client. There is at least one endpoint.
    pub fn new(
        endpoints: Vec<String>,
        transport: Transport,
        authorization: Option<HeaderValue>,
        settings: RetrySettings,
    ) -> Self {
        assert!(!endpoints.is_empty(), "a client has an endpoint");
        Self { endpoints, preferred: AtomicUsize::new(0), transport, authorization, settings }
    }

    /// Tries `call` until there is an answer that will not change, or a bound is met.
    pub async fn run(&self, call: &Call) -> Result<Reply, Error> {
        let started = Instant::now();
        let mut at = self.preferred.load(Ordering::Relaxed) % self.endpoints.len();
        let mut open = false;
        // Certificates do not mend themselves within a call.
        let mut nobody_is_safe = true;
        let mut tries = 0;
        loop {
            tries += 1;
            let (failure, asked) = match self.attempt(call, at, started).await {
                Ok(received) => match sort(received) {
                    Sorted::Good(received) => {
                        self.preferred.store(at, Ordering::Relaxed);
                        let Received { status, headers, body } = received;
                        return Ok(Reply { status, headers, body, tries });
                    }
                    Sorted::Refused(mut problem) => {
                        self.preferred.store(at, Ordering::Relaxed);
                        // What an earlier try left open, only an answer about this very request can close.
                        if problem.status >= 500 && (open || retry::problem_leaves_open(&problem)) {
                            problem.outcome = Some(call.outcome_of_lost());
                        }
                        return Err(Error::Refused(problem));
                    }
                    Sorted::Foreign { status, reason } => {
                        return Err(Error::Answer { status, reason, outcome: call.outcome_of_lost() });
                    }
                    Sorted::Busy(problem, asked) => (Failure::Busy(problem), asked),
                },
                Err(failure) => (failure, None),
            };
            open |= retry::leaves_open(&failure);
            nobody_is_safe &= matches!(failure, Failure::Tls { .. });
            let wait = match retry::after(&failure, tries, self.endpoints.len()) {
                Next::TryOtherNow => Duration::ZERO,
                Next::Wait => self.settings.wait(tries, asked, random()?),
            };
            let waited = started.elapsed();
            if !call.repeatable
                || tries >= self.settings.tries_max
                || (nobody_is_safe && retry::all_were_tried(tries, self.endpoints.len()))
                || waited + wait >= self.settings.total_max
            {
                let outcome = if open { call.outcome_of_lost() } else { Outcome::NotApplied };
                return Err(Error::GaveUp { tries, waited, outcome, last: failure });
            }
            tokio::time::sleep(wait).await;
            at = (at + 1) % self.endpoints.len();
        }
    }

    /// One try on the endpoint `at`.
    async fn attempt(&self, call: &Call, at: usize, started: Instant) -> Result<Received, Failure> {
        let url = format!("{}{}", self.endpoints[at], call.path);
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = url.parse().map_err(|fault| Failure::Connect(format!("{url}: {fault}")))?;
        *request.headers_mut() = call.headers.clone();
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let left = self.settings.total_max.saturating_sub(started.elapsed());
        let bound = self.settings.try_max.min(left);
        match tokio::time::timeout(bound, self.transport.send(request)).await {
            Ok(Err(Failure::Connect(reason))) => {
                Err(Failure::Connect(format!("{}: {reason}", self.endpoints[at])))
            }
            Ok(Err(Failure::Tls { fault, .. })) => {
                Err(Failure::Tls { endpoint: self.endpoints[at].clone(), fault })
            }
            Ok(result) => result,
            Err(_) => Err(Failure::Slow(bound)),
        }
    }
}

/// What an answer means for the call.
enum Sorted {
    Good(Received),
    Refused(Box<Problem>),
    Busy(Box<Problem>, Option<Duration>),
    Foreign { status: u16, reason: String },
}

fn sort(received: Received) -> Sorted {
    let status = received.status;
    if status.is_success() {
        return Sorted::Good(received);
    }
    let text = received.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = retry::retry_after(text);
    let problem = serde_json::from_slice::<Problem>(&received.body).ok().filter(|p| !p.code.is_empty());
    match problem {
        Some(problem) if retry::is_busy(status.as_u16()) => Sorted::Busy(Box::new(problem), asked),
        Some(problem) => Sorted::Refused(Box::new(problem)),
        None if retry::is_busy(status.as_u16()) => Sorted::Busy(Box::new(of_proxy(&received)), asked),
        None => Sorted::Foreign { status: status.as_u16(), reason: quote(&received.body) },
    }
}

/// The problem of an answer that has none of ours in it.
fn of_proxy(received: &Received) -> Problem {
    Problem {
        status: received.status.as_u16(),
        code: String::new(),
        title: received.status.canonical_reason().unwrap_or("no reason given").to_owned(),
        detail: quote(&received.body),
        request_id: None,
        errors: Vec::new(),
        outcome: None,
        timer: None,
        version: None,
        attempt_in_flight: None,
        attempt_in_flight_until: None,
    }
}

/// The beginning of a body, for people.
fn quote(body: &[u8]) -> String {
    let begin = &body[..body.len().min(QUOTE_BYTES_MAX)];
    String::from_utf8_lossy(begin).trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// 32 random hexadecimal digits.
pub fn mint_key() -> Result<String, Error> {
    Ok(format!("{:016x}{:016x}", random()?, random()?))
}

fn random() -> Result<u64, Error> {
    getrandom::u64().map_err(|fault| Error::Request(format!("no random bytes: {fault}")))
}
