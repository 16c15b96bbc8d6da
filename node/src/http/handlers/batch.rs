//! `POST /groups/{group}/batch`: many operations on single timers in one request, each as if it had come alone.
//!
//! Operations run side by side, those on one timer in their order. The answer is written while they run, so that it
//! never lies in memory as a whole.

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::request_id;
use super::{
    REPLAYED, create_timer, delete_timer, fire_timer, get_timer, patch_timer, put_timer, redrive_timer,
};
use crate::backend::{Applied, BackendError};
use crate::http::HttpState;
use crate::http::body::{self, Media};
use crate::http::context::{self, IDEMPOTENCY_KEY};
use crate::http::input::batch::{self, Kind, Operation};
use crate::http::input::fingerprint;
use crate::http::limits::{BATCH_OPERATIONS_AT_ONCE, BATCH_READ_MAX, BATCH_RETRY_AFTER};
use crate::http::problem::{self, Code, Problem};
use crate::http::query::Query;
use crate::http::{ids, output};

/// Handles the operation.
///
/// # Errors
/// The problem of the whole request; that of one operation stands among the results.
pub async fn batch(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let group = ids::group(parts.uri.path())?;
    Query::parse(parts.uri.query(), &[])?;
    for name in [header::IF_MATCH, header::IF_NONE_MATCH] {
        if parts.headers.contains_key(&name) {
            return Err(Problem::invalid(
                name.as_str(),
                "must stand in each operation, not over all of them",
            ));
        }
    }
    let idempotency_key = context::idempotency_key(&parts.headers)?;
    let reading = context::of_read(&state, &request_id(&parts), &parts.headers);
    state.backend.find_group(reading, group.clone()).await?;
    // Until there is a place, the body stays where it comes from.
    let place = tokio::time::timeout(state.settings.deadline, state.batches.clone().acquire_owned()).await;
    let Ok(Ok(place)) = place else { return Err(too_many()) };
    let bytes_max = state.settings.body_bytes_max;
    let bytes = body::read_within(&state, &parts.headers, body, Media::Json, bytes_max).await?;
    let operations = batch::operations(&bytes)?;
    // From now on: how long the body took is the client's affair.
    let deadline = Instant::now() + state.settings.deadline;
    let batch = Arc::new(Batch { state, group, parts, idempotency_key, deadline });
    let (reading, gone) = oneshot::channel();
    tokio::spawn(hold(place, gone, deadline + BATCH_READ_MAX));
    let answer = batch.answer(operations).map(move |piece| {
        let _ = &reading;
        Ok::<_, Infallible>(piece)
    });
    let mut response = Response::new(Body::from_stream(answer));
    output::mark_json(&mut response);
    Ok(response)
}

/// Keeps the place of a batch, whose body lies in memory, until its answer is read or dropped. A client that does not read
/// keeps it for so long only: a few of them would take all places.
async fn hold(place: OwnedSemaphorePermit, gone: oneshot::Receiver<()>, until: Instant) {
    // It ends by being dropped.
    let _ = tokio::time::timeout_at(until, gone).await;
    drop(place);
}

fn too_many() -> Problem {
    let reason = "there were too many batches at once for all of the request's time".to_owned();
    BackendError::Overloaded { reason, retry_after: BATCH_RETRY_AFTER }.into()
}

/// What all operations of one request share.
struct Batch {
    state: HttpState,
    group: String,
    parts: Parts,
    idempotency_key: Option<String>,
    deadline: Instant,
}

/// An operation, and its turn among those on the same timer.
struct Turn {
    operation: Result<Operation, Problem>,
    /// Resolves when the one before is over.
    before: Option<oneshot::Receiver<()>>,
    /// Dropped when this one is over.
    over: oneshot::Sender<()>,
}

impl Batch {
    /// The body of the answer, piece by piece.
    fn answer(self: Arc<Self>, operations: Vec<Bytes>) -> impl Stream<Item = Bytes> + Send + use<> {
        let mut last_of: HashMap<String, oneshot::Receiver<()>> = HashMap::new();
        // Operations are read in their order, as places become free: nothing is read that can't run.
        let results = stream::iter(operations.into_iter().enumerate()).map(move |(number, raw)| {
            let operation = Operation::read(&raw);
            let (over, wait) = oneshot::channel();
            let id = operation.as_ref().ok().and_then(|operation| operation.id.clone());
            let before = id.and_then(|id| last_of.insert(id, wait));
            let turn = Turn { operation, before, over };
            self.clone().take(number, turn).instrument(tracing::Span::current())
        });
        let pieces = results.buffered(BATCH_OPERATIONS_AT_ONCE);
        let first = stream::once(std::future::ready(Bytes::from_static(b"{\"results\":[")));
        let last = stream::once(std::future::ready(Bytes::from_static(b"]}")));
        first.chain(pieces).chain(last)
    }

    /// Takes a turn and writes its result, with a comma before all but the first.
    async fn take(self: Arc<Self>, number: usize, turn: Turn) -> Bytes {
        let Turn { operation, before, over } = turn;
        if let Some(before) = before {
            // It ends by being dropped.
            let _ = before.await;
        }
        let result = match operation {
            // The outermost layer, which catches panics elsewhere, has given its answer by now.
            Ok(operation) => AssertUnwindSafe(self.run(number, operation)).catch_unwind().await,
            Err(problem) => Ok(Err(problem)),
        };
        let result = result.unwrap_or_else(|_| Err(Problem::internal("an operation of a batch panicked")));
        drop(over);
        let json = match result {
            Ok(answer) => answer.json(),
            Err(problem) => self.problem_json(&problem),
        };
        let comma: &[u8] = if number == 0 { b"" } else { b"," };
        Bytes::from([comma, &json].concat())
    }

    /// Runs an operation as the request that it would be alone.
    async fn run(&self, number: usize, operation: Operation) -> Result<Answered, Problem> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let detail = "the batch's time was over before this operation began";
            return Err(Problem::new(Code::Timeout, detail).with_outcome(Applied::NotApplied));
        }
        let mut state = self.state.clone();
        state.settings.deadline = left;
        let kind = operation.kind;
        let mut request = operation.into_request(&self.group)?;
        request.extensions_mut().insert(request_id(&self.parts));
        if let Some(trace) = self.parts.headers.get(context::TRACEPARENT) {
            request.headers_mut().insert(context::TRACEPARENT, trace.clone());
        }
        if let (Some(key), None) = (&self.idempotency_key, request.headers().get(IDEMPOTENCY_KEY)) {
            let key = HeaderValue::from_str(&fingerprint::key_of_operation(key, number));
            let key = key.map_err(|error| Problem::internal(&error.to_string()))?;
            request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        }
        let state = State(state);
        let response = match kind {
            Kind::Put => put_timer::put_timer(state, request).await,
            Kind::Create => create_timer::create_timer(state, request).await,
            Kind::Get => get_timer::get_timer(state, request).await,
            Kind::Patch => patch_timer::patch_timer(state, request).await,
            Kind::Delete => delete_timer::delete_timer(state, request).await,
            Kind::Fire => fire_timer::fire_timer(state, request).await,
            Kind::Redrive => redrive_timer::redrive_timer(state, request).await,
        }?;
        Answered::of(response).await
    }

    fn problem_json(&self, problem: &Problem) -> Vec<u8> {
        let status = problem.code.status().as_u16();
        let mut json = format!("{{\"status\":{status},").into_bytes();
        if let Some(wait) = problem.retry_after {
            json.extend_from_slice(format!("\"retryAfter\":{},", problem::whole_seconds(wait)).as_bytes());
        }
        json.extend_from_slice(b"\"problem\":");
        json.extend_from_slice(&problem.to_json(Some(&request_id(&self.parts).0)));
        json.push(b'}');
        json
    }
}

/// An answer that shows a timer.
struct Answered {
    status: StatusCode,
    replayed: bool,
    timer: Bytes,
}

impl Answered {
    async fn of(response: Response) -> Result<Self, Problem> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| Problem::internal(&error.to_string()))?;
        let replayed = parts.headers.contains_key(REPLAYED);
        Ok(Self { status: parts.status, replayed, timer: body.to_bytes() })
    }

    fn json(&self) -> Vec<u8> {
        let replayed = if self.replayed { "\"replayed\":true," } else { "" };
        let mut json = format!("{{\"status\":{},{replayed}\"timer\":", self.status.as_u16()).into_bytes();
        json.extend_from_slice(&self.timer);
        json.push(b'}');
        json
    }
}
