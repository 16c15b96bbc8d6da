//! Makes one attempt: sends the request, reads the answer within the time-out, and says what came of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use timer_core::attempt::Answer;
use timer_core::command::AttemptResult;
use timer_core::time::Millis;
use timer_core::timer::ErrorKind;
use tokio::time::Instant;

use super::answer::{self, ANSWER_BYTES_MAX, Body};
use super::bounded::Bounded;
use super::checked_body::{CheckedBody, MaySend, Withheld};
use super::connector::{Connector, Origin};
use super::failure::{self, Failure};
use super::guard::AddressPolicy;
use super::resolver::{Resolve, SystemResolver};
use super::{Attempt, Report, request};
use crate::environment::Clock;
use crate::tls::provider;
use crate::tls::roots::{RootsError, trusted};

type HttpClient = Client<Bounded<HttpsConnector<Connector>>, CheckedBody>;

/// How long a connection may take from the name to the end of TLS, whoever still waits for it.
const CONNECTED_MAX: Duration = Duration::from_secs(60);

/// How connections are made and kept.
#[derive(Clone, Debug)]
pub struct SenderSettings {
    /// Bounds connecting to one address; the callback's own time-out bounds the whole attempt. Default 5 s.
    pub connect_timeout: Duration,
    /// For how long a connection without a request is kept. Default 1.5 s: shorter than servers keep it by their
    /// defaults (gunicorn 2 s; Apache, Node.js, uvicorn 5 s; nginx 75 s), since a request that meets the closing of
    /// its connection is a failed attempt.
    ///
    /// `idle_timeout + connection_age_max < 30 s`, so that a name is resolved again within that time.
    pub idle_timeout: Duration,
    /// For how long a connection takes requests at most. Default 20 s.
    pub connection_age_max: Duration,
    /// Connections without a request that are kept per scheme, host and port. Default 256.
    pub idle_per_destination_max: usize,
    /// Turns names into addresses. Default: the operating system.
    pub resolver: Arc<dyn Resolve>,
    /// The certificate authorities that are trusted; [`trusted`] joins those of a machine with others. `None`, the
    /// default: the operating system's.
    pub roots: Option<RootCertStore>,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_millis(1_500),
            connection_age_max: Duration::from_secs(20),
            idle_per_destination_max: 256,
            resolver: Arc::new(SystemResolver::default()),
            roots: None,
        }
    }
}

/// Why callbacks can't be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// TLS can't be set up.
    #[error("TLS for callbacks can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// There is no list of authorities.
    #[error(transparent)]
    Roots(#[from] RootsError),
}

/// Makes attempts. One for a whole node: it holds the pool of connections.
#[derive(Debug)]
pub struct Sender {
    clock: Arc<dyn Clock>,
    client: HttpClient,
}

impl Sender {
    /// A sender whose callbacks may go where `policy` lets them.
    ///
    /// It speaks HTTP/1.1 only. There an attempt that gets no answer takes its connection with it; one of
    /// HTTP/2 is shared, so that a peer that has silently gone would swallow attempt after attempt, and the
    /// name would not be resolved again for as long as they kept coming.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
        settings: SenderSettings,
    ) -> Result<Self, SenderError> {
        let connector = Connector::new(
            policy,
            settings.resolver.clone(),
            settings.connect_timeout,
            settings.connection_age_max,
        );
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(settings.roots.clone())?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let connector = Bounded { connector, after: CONNECTED_MAX };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.idle_per_destination_max)
            .build(connector);
        Ok(Self { clock, client })
    }

    /// Makes one attempt. It takes at most the callback's time-out, from resolving the name to the last byte
    /// of the answer; whatever goes wrong is part of the report.
    ///
    /// `may_send` is asked once more when a connection is there, right before the request is written: a node that was
    /// paused or waited for a connection meanwhile may have lost its lead, and another may have called in its place. A
    /// request without a body is not asked.
    ///
    /// # Errors
    /// It might no longer be sent; nothing was.
    pub async fn send(&self, attempt: &Attempt, may_send: MaySend) -> Result<Report, Withheld> {
        let started_at = self.clock.now();
        let timeout = Duration::from_millis(attempt.timer.definition.callback.timeout.0);
        let exchange =
            Exchange { sender: self, attempt, started_at, timeout, deadline: Instant::now() + timeout };
        let (result, answer) = match exchange.head(may_send).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let body = exchange.body(body).await;
                let answer = Answer::new(head.status.as_u16(), body.bytes(), !body.is_whole());
                (self.meaning(attempt, &head, body), Some(answer))
            }
            Err(Unanswered::Withheld) => return Err(Withheld),
            Err(Unanswered::Failed(failure)) => (failure.result(None, self.clock.now()), None),
        };
        // The wall clock may have gone back meanwhile.
        Ok(Report { result, answer, started_at, finished_at: self.clock.now().max(started_at) })
    }

    fn meaning(&self, attempt: &Attempt, head: &response::Parts, body: Body) -> AttemptResult {
        answer::meaning(head, body, &attempt.timer.definition.retry.dead_on, self.clock.now())
    }
}

/// Why there is no answer.
enum Unanswered {
    Withheld,
    Failed(Failure),
}

impl Unanswered {
    fn of_client(error: &legacy::Error) -> Self {
        if failure::find::<Withheld>(error).is_some() {
            return Self::Withheld;
        }
        Self::Failed(Failure::of_client(error))
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// One attempt under way.
struct Exchange<'a> {
    sender: &'a Sender,
    attempt: &'a Attempt,
    started_at: Millis,
    timeout: Duration,
    deadline: Instant,
}

impl Exchange<'_> {
    /// Sends the request and gives the answer without its body.
    async fn head(&self, may_send: MaySend) -> Result<Response<Incoming>, Unanswered> {
        let (request, connection) = self.request(may_send)?;
        // A request of which no byte was written, because its pooled connection had been closed, goes out on another
        // one by itself. Once some was written, the receiver may have it: sending it again here would be a second
        // delivery with the same fencing token, so it is a failed attempt, and the next one has a larger token.
        let response = match tokio::time::timeout_at(self.deadline, self.sender.client.request(request)).await
        {
            Ok(answered) => answered.map_err(|error| Unanswered::of_client(&error))?,
            Err(_) => {
                let (kind, waiting_for) = awaited(&connection);
                return Err(Failure::timed_out(kind, self.timeout, &waiting_for).into());
            }
        };
        retire(&response, &connection);
        Ok(response)
    }

    fn request(&self, may_send: MaySend) -> Result<(Request<CheckedBody>, CaptureConnection), Failure> {
        let request =
            request::request(self.attempt, self.started_at).map_err(|fault| Failure::invalid(&fault))?;
        let mut request = request.map(|bytes| CheckedBody::new(bytes, may_send));
        let connection = capture_connection(&mut request);
        Ok((request, connection))
    }

    /// Reads the body to its end or to its bound.
    async fn body(&self, body: Incoming) -> Body {
        let mut came = Came::default();
        let failure = match tokio::time::timeout_at(self.deadline, came.read(body)).await {
            Ok(Ok(())) => return came.into_body(),
            Ok(Err(error)) => Failure::broken_body(&error),
            Err(_) => {
                let waiting_for = "the answer began, but did not end";
                Failure::timed_out(ErrorKind::ReadTimedOut, self.timeout, waiting_for)
            }
        };
        Body::Broken { begin: came.into_bytes(), failure }
    }
}

/// What was missing when the time-out passed.
fn awaited(connection: &CaptureConnection) -> (ErrorKind, String) {
    match connection.connection_metadata().as_ref() {
        Some(connected) => {
            let mut extras = http::Extensions::new();
            connected.get_extras(&mut extras);
            let address = extras.get::<Origin>().map(|origin| format!(" to {}", origin.address));
            let missing = format!("connected{}, but no answer", address.unwrap_or_default());
            (ErrorKind::AnswerTimedOut, missing)
        }
        None => (ErrorKind::ConnectTimedOut, "no connection".to_owned()),
    }
}

/// Takes the connection out of the pool when it has grown old.
fn retire(response: &Response<Incoming>, connection: &CaptureConnection) {
    let Some(origin) = response.extensions().get::<Origin>() else { return };
    if Instant::now() >= origin.retire_at
        && let Some(connected) = connection.connection_metadata().as_ref()
    {
        connected.poison();
    }
}

/// What has come of a body. Most answers are empty or one frame: those are not copied.
#[derive(Default)]
struct Came {
    first: Bytes,
    /// All of it, once there are two frames.
    all: BytesMut,
}

impl Came {
    /// Reads on to the end, or beyond the bound.
    async fn read(&mut self, mut body: Incoming) -> Result<(), hyper::Error> {
        while !body.is_end_stream() && self.len() <= ANSWER_BYTES_MAX {
            let Some(frame) = body.frame().await else { break };
            let Ok(data) = frame?.into_data() else { continue };
            if self.len() == 0 {
                self.first = data;
            } else {
                if self.all.is_empty() {
                    self.all.extend_from_slice(&std::mem::take(&mut self.first));
                }
                self.all.extend_from_slice(&data);
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    /// What was read to the end, or beyond the bound.
    fn into_body(self) -> Body {
        let is_whole = self.len() <= ANSWER_BYTES_MAX;
        let bytes = self.into_bytes();
        if is_whole { Body::Whole(bytes) } else { Body::CutOff(bytes) }
    }

    /// As much as is within the bound.
    fn into_bytes(self) -> Bytes {
        let mut bytes = if self.all.is_empty() { self.first } else { self.all.freeze() };
        bytes.truncate(ANSWER_BYTES_MAX);
        bytes
    }
}

fn tls(roots: Option<RootCertStore>) -> Result<ClientConfig, SenderError> {
    let roots = roots.map_or_else(|| trusted(&[]), Ok)?;
    let verified = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(verified.with_no_client_auth())
}
