//! One attempt: from a timer's record to what came of calling its receiver.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use http_body_util::Full;
use hyper::Response;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use timer_core::command::outcome::AttemptResult;
use timer_core::time::Millis;
use timer_core::timer::{ErrorKind, LastError, Timer};
use tokio::time::Instant;

use super::answer::{self, Answer, Terms};
use super::body;
use super::connector::{CallbackConnector, TcpConnector};
use super::fault::{Fault, closed_before_answer};
use super::guard::AddressPolicy;
use super::limits::{
    ANSWER_HEAD_BYTES_MAX, CONNECT_MAX, CONNECTED_MAX, CONNECTION_AGE_MAX, IDLE_CONNECTIONS_MAX, IDLE_MAX,
    RESOLUTION_AGE_MAX, STALE_NOTICE_MAX,
};
use super::request::{self, CallbackRequest};
use super::resolver::{Resolve, SystemResolver};
use super::stream::Mark;
use super::text;
use super::tls::{self, TrustedRoots};
use super::url_check::Target;
use crate::environment::Clock;

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The record, as it stands when the attempt starts.
    pub timer: Timer,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// Grows strictly from attempt to attempt of a timer; below 2^63.
    pub fencing_token: u64,
    /// How long after its time it starts.
    pub late_ms: u64,
    /// Names the cluster; printable ASCII.
    pub cluster_id: Arc<str>,
    /// Whether it does not wait for its time because a user said so.
    pub manual: bool,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it came to.
    pub result: AttemptResult,
    /// When it began.
    pub started_at: Millis,
    /// When it was answered, or given up; not before it began.
    pub finished_at: Millis,
}

/// How callbacks are sent.
#[derive(Clone, Debug)]
pub struct SenderSettings {
    /// How long one address may take to accept a connection.
    pub connect_max: Duration,
    /// How long a connection may idle before it is closed.
    pub idle_max: Duration,
    /// An answer from a connection older than this is its last. Together with `idle_max` below 30 s, so that
    /// names are resolved again within that time.
    pub connection_age_max: Duration,
    /// Idle connections kept for one destination.
    pub idle_connections_max: usize,
    /// Whom TLS trusts.
    pub roots: TrustedRoots,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self {
            connect_max: CONNECT_MAX,
            idle_max: IDLE_MAX,
            connection_age_max: CONNECTION_AGE_MAX,
            idle_connections_max: IDLE_CONNECTIONS_MAX,
            roots: TrustedRoots::Platform,
        }
    }
}

/// Why there is no sender.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// TLS could not be set up.
    #[error("TLS for callbacks can't be set up: {0}")]
    Tls(rustls::Error),
    /// Connections would outlive what their names resolved to.
    #[error(
        "connection_age_max {age:?} and idle_max {idle:?} must stay below {RESOLUTION_AGE_MAX:?} together"
    )]
    ConnectionsTooOld {
        /// `connection_age_max`
        age: Duration,
        /// `idle_max`
        idle: Duration,
    },
}

type PooledClient = Client<CallbackConnector, Full<Bytes>>;

/// Sends callbacks. One for a node; its connections are pooled per destination.
#[derive(Debug)]
pub struct Sender {
    pooled: PooledClient,
    /// Uses every connection once.
    fresh: PooledClient,
    clock: Arc<dyn Clock>,
    connection_age_max: Duration,
}

impl Sender {
    /// A sender that resolves names as the machine does.
    ///
    /// # Errors
    /// When the settings contradict each other or TLS can't be set up.
    pub fn new(
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
        settings: SenderSettings,
    ) -> Result<Self, SenderError> {
        Self::with_resolver(policy, clock, settings, Arc::new(SystemResolver::default()))
    }

    /// As [`Sender::new`], with a resolver of the caller's.
    ///
    /// # Errors
    /// As [`Sender::new`].
    pub fn with_resolver(
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
        settings: SenderSettings,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, SenderError> {
        let (age, idle) = (settings.connection_age_max, settings.idle_max);
        if age.saturating_add(idle) >= RESOLUTION_AGE_MAX {
            return Err(SenderError::ConnectionsTooOld { age, idle });
        }
        let tcp = TcpConnector { resolver, policy, connect_max: settings.connect_max };
        let connector = CallbackConnector::new(tcp, tls::client_config(&settings.roots)?, CONNECTED_MAX);
        let client = |idle_connections: usize| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(idle)
                .pool_max_idle_per_host(idle_connections)
                .http1_max_buf_size(ANSWER_HEAD_BYTES_MAX)
                .build(connector.clone())
        };
        Ok(Self {
            pooled: client(settings.idle_connections_max),
            fresh: client(0),
            clock,
            connection_age_max: age,
        })
    }

    /// Makes one attempt. It takes no longer than the callback's time-out, from connecting to the last byte of
    /// the answer's body, and never fails: what goes wrong is in the report.
    pub async fn send(&self, attempt: &Attempt) -> Report {
        let started_at = self.clock.now();
        let definition = &attempt.timer.definition;
        let timeout = Duration::from_millis(definition.callback.timeout.0);
        let outcome = match request::build(attempt, started_at) {
            Ok((request, target)) => self.exchange(&request, &target, timeout).await,
            Err(fault) => Err(Fault { kind: ErrorKind::InvalidCallback, message: fault.to_string() }),
        };
        // The clock may have gone back meanwhile.
        let now = self.clock.now().max(started_at);
        let result = match outcome {
            Ok(answer) => answer::judge(&answer, Terms { dead_on: &definition.retry.dead_on, timeout, now }),
            Err(Fault { kind, message }) => AttemptResult::Failed {
                error: LastError { kind, status: None, message: text::bounded(message), at: now },
                retry_after: None,
                permanent: matches!(kind, ErrorKind::BlockedAddress | ErrorKind::InvalidCallback),
            },
        };
        Report { result, started_at, finished_at: now }
    }

    /// Sends the request and reads its answer.
    async fn exchange(
        &self,
        request: &CallbackRequest,
        target: &Target,
        timeout: Duration,
    ) -> Result<Answer, Fault> {
        let deadline = Instant::now() + timeout;
        let Ok(response) = tokio::time::timeout_at(deadline, self.call(request, target)).await else {
            let message = format!("no answer from {} within {timeout:?}", target.destination());
            return Err(Fault { kind: ErrorKind::TimedOut, message });
        };
        let (head, body) = response?.into_parts();
        let (body, body_end) = body::read(body, deadline).await;
        Ok(Answer {
            status: head.status,
            content_type: text_of(&head.headers, &CONTENT_TYPE),
            retry_after: text_of(&head.headers, &RETRY_AFTER),
            location: text_of(&head.headers, &LOCATION),
            body,
            body_end,
        })
    }

    /// Sends the request over a pooled connection. If it turns out that the peer had closed that one, sends it
    /// again over a fresh one: the attempt has not met the receiver yet.
    ///
    /// The client itself does so when the close was known before the first byte was written. Later nobody can
    /// tell for certain that the receiver had not read the request; but a close that crossed it on its way is
    /// by far the likelier cause, and both requests carry the same `webhook-id`, attempt and fencing token.
    async fn call(&self, request: &CallbackRequest, target: &Target) -> Result<Response<Incoming>, Fault> {
        let mut first = request.clone();
        let captured = capture_connection(&mut first);
        let sent_at = Instant::now();
        let answered = self.pooled.request(first).await;
        let mark = Mark::of(&captured);
        let was_used = mark.as_ref().is_some_and(|mark| mark.count_use() > 0);
        if mark.is_some_and(|mark| mark.resolved_at().elapsed() >= self.connection_age_max) {
            // The pool does not go by age.
            if let Some(connection) = captured.connection_metadata().as_ref() {
                connection.poison();
            }
        }
        let error = match answered {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let was_stale = was_used && sent_at.elapsed() < STALE_NOTICE_MAX && closed_before_answer(&error);
        let error = if was_stale {
            match self.fresh.request(request.clone()).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            }
        } else {
            error
        };
        Err(Fault::of_client(&error, target.is_secure(), &target.destination()))
    }
}

/// A header's value, if it is text.
fn text_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
