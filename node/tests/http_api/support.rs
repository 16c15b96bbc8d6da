//! A backend that applies the real rules to tables in memory, and requests that are written in a line, each of
//! them held against the contract. What is not here: leaders, forwarding, time that goes by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use node::backend::{
    Backend, BackendError, ClusterView, Listed, NodeView, RequestContext, ShardView, TimerView,
};
use node::environment::{Clock as _, ManualClock, SystemEntropy};
use node::http::{HttpSettings, HttpState, UrlCheck, UrlFault, router};
use parking_lot::Mutex;
use serde_json::Value;
use timer_core::attempt::{Answer as Answered, Attempt, Details};
use timer_core::command::{AttemptResult, Command, Entry, Envelope, Fence, OpenSession, Outcome, Reply};
use timer_core::ids::{NodeId, TimerKey};
use timer_core::list::{ListQuery, Place};
use timer_core::shard_state::ShardState;
use timer_core::tables::{Overlay, Tables, apply, index_keys, lowest_position};
use timer_core::time::Millis;
use timer_core::timer::{InFlight, Timer};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use crate::contract::{Asked, CONTRACT};

/// 2026-11-25T10:00:00Z, where the clock of every test begins.
pub const START: Millis = Millis(1_795_600_800_000);

/// One shard's tables in memory.
#[derive(Default)]
struct Store {
    timers: BTreeMap<TimerKey, Timer>,
    attempts: BTreeMap<TimerKey, BTreeMap<u8, Attempt>>,
}

impl Tables for Store {
    type Error = Infallible;
    fn timer(&self, key: &TimerKey) -> Result<Option<Timer>, Infallible> {
        Ok(self.timers.get(key).cloned())
    }

    fn first_position(
        &self,
        from: Millis,
        until: Millis,
        counts: &dyn Fn(&TimerKey) -> bool,
    ) -> Result<Option<Millis>, Infallible> {
        let timers = self.timers.iter().filter(|(key, _)| counts(key)).map(|(_, timer)| timer);
        Ok(lowest_position(timers, from, until))
    }

    fn attempts(&self, key: &TimerKey) -> Result<BTreeMap<u8, Attempt>, Infallible> {
        Ok(self.attempts.get(key).cloned().unwrap_or_default())
    }
}

#[derive(Default)]
struct Shard {
    store: Store,
    state: ShardState,
    index: u64,
    /// What the dispatcher has on its way, for the fence.
    in_flight: BTreeMap<TimerKey, Millis>,
    /// Errors to give instead of an answer.
    errors: VecDeque<BackendError>,
    contexts: Vec<RequestContext>,
    ready: Option<String>,
    /// What metrics called the newest request.
    operation: &'static str,
}

impl Shard {
    fn run(&mut self, now: Millis, envelope: Envelope) -> Reply {
        self.index += 1;
        let entry = Entry { proposed_at: now, commands: vec![envelope] };
        let mut overlay = Overlay::new(&self.store, self.state.clone());
        let reply = apply(&mut overlay, self.index, &entry).unwrap().remove(0);
        let changes = overlay.into_changes();
        self.state = changes.state;
        for change in changes.timers {
            let slots = index_keys(change.after.as_ref()).attempts;
            let attempts = self.store.attempts.entry(change.key.clone()).or_default();
            attempts.retain(|slot, _| *slot < slots);
            attempts.extend(change.attempts);
            match change.after {
                Some(timer) => drop(self.store.timers.insert(change.key, timer)),
                None => drop(self.store.timers.remove(&change.key)),
            }
        }
        reply
    }

    fn fence(&self, key: &TimerKey) -> Fence {
        let generation = self.store.timers.get(key).map(|timer| timer.generation);
        let attempt = generation.zip(self.in_flight.get(key).copied());
        Fence { session: self.state.session.as_ref().map_or(0, |session| session.number), attempt }
    }
}

/// A cluster of one shard whose every answer comes at once.
pub struct FakeBackend {
    shard: Mutex<Shard>,
    clock: ManualClock,
    manual: bool,
}

impl FakeBackend {
    /// Fails as what has no error to give can: by a panic.
    fn panic_if_failing(&self) {
        let error = self.shard.lock().errors.pop_front();
        assert!(error.is_none(), "as a test wants it: {error:?}");
    }
}

impl Backend for FakeBackend {
    fn submit(
        &self,
        context: RequestContext,
        mut command: Command,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        let mut shard = self.shard.lock();
        shard.contexts.push(context.clone());
        if let Some(error) = shard.errors.pop_front() {
            return async { Err(error) }.boxed();
        }
        match &mut command {
            Command::Put(put) => put.fence = shard.fence(&put.key),
            Command::Patch(patch) => patch.fence = shard.fence(&patch.key),
            Command::Delete(delete) => delete.fence = shard.fence(&delete.key),
            Command::Fire(_) | Command::Redrive(_) => {}
            Command::Outcome(_)
            | Command::OpenSession(_)
            | Command::HandOver(_)
            | Command::AdvanceCursor(_)
            | Command::Expire(_) => panic!("not for the HTTP layer to send: {command:?}"),
        }
        let RequestContext { request, principal, traceparent, .. } = context;
        let envelope = Envelope { principal, request, traceparent, ..Envelope::own(command) };
        let reply = shard.run(self.clock.now(), envelope);
        async { Ok(reply) }.boxed()
    }

    fn get(
        &self,
        context: RequestContext,
        key: TimerKey,
    ) -> BoxFuture<'_, Result<Option<TimerView>, BackendError>> {
        let mut shard = self.shard.lock();
        assert!(context.request.is_none(), "a read has no request key");
        if let Some(error) = shard.errors.pop_front() {
            return async { Err(error) }.boxed();
        }
        assert_ne!(key.id, "panic", "a handler that panics");
        let until = shard.in_flight.get(&key).copied();
        let attempt_in_flight = until.map_or(InFlight::No, |until| InFlight::Yes { until });
        let view = shard.store.timers.get(&key).cloned().map(|timer| TimerView { timer, attempt_in_flight });
        async { Ok(view) }.boxed()
    }

    fn attempts(
        &self,
        context: RequestContext,
        key: TimerKey,
    ) -> BoxFuture<'_, Result<Option<Vec<Attempt>>, BackendError>> {
        let mut shard = self.shard.lock();
        assert!(context.request.is_none(), "a read has no request key");
        if let Some(error) = shard.errors.pop_front() {
            return async { Err(error) }.boxed();
        }
        let history = shard.store.timers.contains_key(&key).then(|| {
            let Ok(slots) = shard.store.attempts(&key);
            let mut attempts: Vec<Attempt> = slots.into_values().collect();
            attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.recorded));
            attempts
        });
        async { Ok(history) }.boxed()
    }

    fn list(
        &self,
        context: RequestContext,
        query: ListQuery,
        limit: usize,
        _bytes_max: usize,
    ) -> BoxFuture<'_, Result<Listed, BackendError>> {
        let mut shard = self.shard.lock();
        assert!(context.request.is_none(), "a read has no request key");
        if let Some(error) = shard.errors.pop_front() {
            return async { Err(error) }.boxed();
        }
        let mut timers: Vec<Timer> =
            shard.store.timers.values().filter(|timer| query.has(timer)).cloned().collect();
        timers.sort_by(|one, other| query.order.compare(&Place::of(one), &Place::of(other)));
        let more = timers.len() > limit;
        let view = |timer| TimerView { timer, attempt_in_flight: InFlight::No };
        let timers = timers.into_iter().take(limit).map(view).collect();
        async move { Ok(Listed { timers, more }) }.boxed()
    }

    fn shard_of(&self, _: &TimerKey) -> u16 {
        3
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }

    fn cluster(&self) -> BoxFuture<'_, ClusterView> {
        self.panic_if_failing();
        let node = NodeView {
            id: 7,
            name: "n1".into(),
            peer_address: "127.0.0.1:7001".into(),
            http_url: "http://127.0.0.1:7000".into(),
            version: Some("0.1.0".into()),
            reachable: true,
            clock_offset_ms: None,
        };
        let shard = |shard, leader: Option<u64>| ShardView {
            shard,
            leader,
            term: 2,
            voters: vec![7],
            applied_index: 9,
            healthy: leader.is_some(),
        };
        let view = ClusterView {
            cluster_id: "c-1".into(),
            cluster_name: "test".into(),
            node_id: 7,
            node_name: "n1".into(),
            nodes: vec![node],
            shards: vec![shard(0, Some(7)), shard(1, None)],
        };
        async { view }.boxed()
    }

    fn ready(&self) -> Result<(), String> {
        self.panic_if_failing();
        self.shard.lock().ready.clone().map_or(Ok(()), Err)
    }

    fn manual_clock(&self) -> Option<ManualClock> {
        self.panic_if_failing();
        self.manual.then(|| self.clock.clone())
    }

    fn metrics(&self) -> String {
        self.panic_if_failing();
        "# EOF\n".to_owned()
    }

    fn answered(&self, operation: &'static str, _status: u16, _took: Duration) {
        self.shard.lock().operation = operation;
    }
}

/// An answer, with its JSON if it has some.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    pub json: Value,
    /// What metrics call the operation.
    pub operation: &'static str,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The problem's code, after checks that hold for every problem.
    pub fn problem(&self) -> (u16, &str) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], self.status.as_u16());
        assert_eq!(self.json["requestId"], self.header("x-request-id"));
        let code = self.json["code"].as_str().unwrap();
        assert_eq!(self.json["type"], format!("/docs/errors/{code}"));
        (self.status.as_u16(), code)
    }

    /// The fields with faults, in order.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().map_or(&[][..], Vec::as_slice);
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }

    pub fn ok(&self) -> &Value {
        assert!(self.status.is_success(), "{self:?}");
        &self.json
    }
}

/// The API of a fresh cluster.
pub struct Api {
    pub router: Router,
    backend: Arc<FakeBackend>,
    pub clock: ManualClock,
    /// The places for batches: there is one.
    pub batches: Arc<Semaphore>,
    /// The places for lists: there is one.
    pub lists: Arc<Semaphore>,
    /// Which combinations of the contract the answers so far were.
    pub seen: Mutex<BTreeSet<String>>,
}

impl Api {
    pub fn new() -> Self {
        Self::with(true, HttpSettings::default())
    }

    pub fn with(manual: bool, settings: HttpSettings) -> Self {
        let clock = ManualClock::new(START);
        let backend = Arc::new(FakeBackend { shard: Mutex::default(), clock: clock.clone(), manual });
        let open = Command::OpenSession(OpenSession { node: NodeId(7) });
        backend.shard.lock().run(START, Envelope::own(open));
        let (batches, lists) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let state = HttpState {
            backend: Arc::<FakeBackend>::clone(&backend),
            entropy: Arc::<SystemEntropy>::default(),
            url_check: UrlCheck::new(check_url),
            settings,
            batches: batches.clone(),
            lists: lists.clone(),
        };
        Self { router: router(state), backend, clock, batches, lists, seen: Mutex::default() }
    }

    /// Sends `request`, and holds it and its answer against the contract.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = request.into_parts();
        let content_type = parts.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.map(|value| value.to_str().unwrap().to_owned());
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let read = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Arc::clone(&read);
        let body = body.map_frame(move |frame| {
            sink.lock().extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            frame
        });
        let answer = self.answer(Request::from_parts(parts, Body::new(body))).await;
        let asked = Asked { method, uri, content_type, body: std::mem::take(&mut *read.lock()) };
        self.seen.lock().extend(CONTRACT.check(&asked, &answer));
        answer
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let operation = self.backend.shard.lock().operation;
        Answer { status: parts.status, headers: parts.headers, bytes, json, operation }
    }

    /// `line`: method and path; below `/api/v1/groups/default/timers` if the path does not begin with `/`.
    pub async fn call(&self, line: &str, body: impl Into<Body>) -> Answer {
        self.call_with(line, &[], body).await
    }

    pub async fn call_with(&self, line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let path = match path {
            "" => "/api/v1/groups/default/timers".to_owned(),
            _ if path.starts_with('/') => path.to_owned(),
            _ => format!("/api/v1/groups/default/timers/{path}"),
        };
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Puts the next request in front of a cluster that fails; where that has no way to say so, it panics.
    pub fn fail_next(&self, error: BackendError) {
        self.backend.shard.lock().errors.push_back(error);
    }

    pub fn set_ready(&self, reason: Option<&str>) {
        self.backend.shard.lock().ready = reason.map(str::to_owned);
    }

    /// An attempt of `id` is on its way for `time_out`.
    pub fn begin_attempt(&self, id: &str, time_out: Duration) {
        let until = Millis(self.backend.now().0 + u64::try_from(time_out.as_millis()).unwrap());
        self.backend.shard.lock().in_flight.insert(TimerKey::new("default", id), until);
    }

    /// What came of the attempt of `id`, which nobody answered.
    pub fn end_attempt(&self, id: &str, result: AttemptResult) {
        self.answer_attempt(id, result, None);
    }

    /// What came of the attempt of `id`, which was answered so.
    pub fn answer_attempt(&self, id: &str, result: AttemptResult, answer: Option<Answered>) {
        let outcome = self.attempt(id, result, answer);
        assert_eq!(self.outcome(outcome), Reply::Outcome(true));
    }

    /// The outcome of the next attempt of `id`.
    pub fn attempt(&self, id: &str, result: AttemptResult, answer: Option<Answered>) -> Outcome {
        let now = self.backend.now();
        let timer = self.record(id);
        Outcome {
            key: timer.key.clone(),
            generation: timer.generation,
            attempt: timer.next_attempt(),
            session: self.backend.shard.lock().state.session.as_ref().unwrap().number,
            started_at: now,
            finished_at: now,
            result,
            details: Some(Details { scheduled_at: timer.due_at(), trigger: timer.next_trigger(), answer }),
        }
    }

    /// Replicates `outcome`.
    pub fn outcome(&self, outcome: Outcome) -> Reply {
        let now = self.backend.now();
        let mut shard = self.backend.shard.lock();
        shard.in_flight.remove(&outcome.key);
        shard.run(now, Envelope::own(Command::Outcome(Box::new(outcome))))
    }

    /// The context of the newest change that was sent to the cluster.
    pub fn last_context(&self) -> RequestContext {
        self.backend.shard.lock().contexts.last().unwrap().clone()
    }

    /// The record of `id`.
    pub fn record(&self, id: &str) -> Timer {
        self.backend.shard.lock().store.timers[&TimerKey::new("default", id)].clone()
    }

    pub fn has_record(&self, id: &str) -> bool {
        self.backend.shard.lock().store.timers.contains_key(&TimerKey::new("default", id))
    }
}

/// Stands for the address policy: `http:` and `https:`, but not to `blocked`.
fn check_url(url: &str) -> Result<(), UrlFault> {
    if url.starts_with("http://blocked") {
        return Err(UrlFault::Blocked("is an address that callbacks must not go to".to_owned()));
    }
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(());
    }
    Err(UrlFault::Invalid("must be an http or https URL".to_owned()))
}

/// A definition for a minute from now, with `more` members (`, "a": 1`).
pub fn timer(more: &str) -> String {
    format!(r#"{{"delay": "1m", "callbackUrl": "http://r/x"{more}}}"#)
}
