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
    Backend, BackendError, ClusterView, GroupDeleted, Listed, NodeView, RequestContext, ShardView,
    TestedCallback, TimerView,
};
use node::environment::{Clock as _, ManualClock, SystemEntropy};
use node::http::{HttpSettings, HttpState, UrlCheck, UrlFault, router};
use parking_lot::Mutex;
use serde_json::Value;
use timer_core::attempt::{Answer as Answered, Attempt, Details};
use timer_core::command::{
    AddSigningSecret, AttemptResult, Command, Entry, Envelope, Fence, GroupStep, OpenSession, Outcome,
    PauseGroup, Precondition, PutGroup, Refusal, RemoveSigningSecret, Reply, SetGroup, StepGroup,
};
use timer_core::definition::{Definition, Payload};
use timer_core::group::{Group, GroupCounts, GroupTerms, Phase};
use timer_core::ids::{NodeId, TimerKey};
use timer_core::list::{ListQuery, Place};
use timer_core::shard_state::ShardState;
use timer_core::tables::{Overlay, Tables, apply, index_keys, lowest_position};
use timer_core::time::Millis;
use timer_core::timer::{InFlight, Timer};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use crate::contract::{Asked, CONTRACT};
use crate::operations::died;

/// 2026-11-25T10:00:00Z, where the clock of every test begins.
pub const START: Millis = Millis(1_795_600_800_000);

/// One shard's tables in memory.
#[derive(Default)]
struct Store {
    timers: BTreeMap<TimerKey, Timer>,
    groups: BTreeMap<String, Group>,
    counts: BTreeMap<String, GroupCounts>,
    attempts: BTreeMap<TimerKey, BTreeMap<u8, Attempt>>,
}

impl Tables for Store {
    type Error = Infallible;
    fn timer(&self, key: &TimerKey) -> Result<Option<Timer>, Infallible> {
        Ok(self.timers.get(key).cloned())
    }

    fn group(&self, name: &str) -> Result<Option<Group>, Infallible> {
        Ok(self.groups.get(name).cloned())
    }

    fn group_counts(&self, name: &str) -> Result<GroupCounts, Infallible> {
        Ok(self.counts.get(name).copied().unwrap_or_default())
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
        self.store.groups.extend(changes.groups.into_iter().map(|group| (group.name.clone(), group)));
        self.store.counts.extend(changes.group_counts);
        reply
    }

    fn state_of_group(&self, name: &str) -> Option<GroupTerms> {
        let record = self.store.groups.get(name);
        record.map_or_else(|| (name == "default").then(GroupTerms::default), Group::terms)
    }

    fn fence(&self, key: &TimerKey) -> Fence {
        let generation = self.store.timers.get(key).map(|timer| timer.generation);
        let attempt = generation.zip(self.in_flight.get(key).copied());
        Fence { session: self.state.session.as_ref().map_or(0, |session| session.number), attempt }
    }
}

fn envelope_of(context: RequestContext, command: Command) -> Envelope {
    let RequestContext { request, principal, traceparent, .. } = context;
    Envelope { principal, request, traceparent, ..Envelope::own(command) }
}

/// A cluster of one shard, and a meta shard, whose every answer comes at once.
pub struct FakeBackend {
    shard: Mutex<Shard>,
    meta: Mutex<Shard>,
    clock: ManualClock,
    manual: bool,
}

impl FakeBackend {
    /// Brings a copy to the shard of timers, and gives how many of the group's it holds.
    fn copy(&self, group: &Group) -> GroupCounts {
        let set = Command::SetGroup(Box::new(SetGroup { group: group.copy() }));
        let Reply::GroupHeld(held) = self.shard.lock().run(self.clock.now(), Envelope::own(set)) else {
            panic!("no copy of {group:?}")
        };
        held.counts
    }

    fn change_group(&self, context: RequestContext, command: Command) -> Result<Reply, BackendError> {
        if let Some(error) = self.shard.lock().errors.pop_front() {
            return Err(error);
        }
        let reply = self.meta.lock().run(self.clock.now(), envelope_of(context, command));
        if let Reply::Group(done) = &reply {
            self.copy(&done.group);
        }
        Ok(reply)
    }

    /// The groups that are there, by name.
    fn known_groups(&self) -> Vec<Group> {
        let meta = self.meta.lock();
        let mut groups = meta.store.groups.clone();
        groups.entry("default".into()).or_insert_with(|| Group::unchanged_default(8));
        groups.into_values().filter(|group| group.phase != Phase::Gone).collect()
    }

    fn delete(
        &self,
        context: RequestContext,
        name: &str,
        precondition: &Precondition,
    ) -> Result<GroupDeleted, BackendError> {
        let record = self.meta.lock().store.groups.get(name).cloned();
        let group = record.ok_or(BackendError::GroupNotFound)?;
        let named = &precondition.versions;
        if group.phase == Phase::Open && !named.is_empty() && !named.contains(&group.version) {
            return Ok(GroupDeleted::Refused(Refusal::VersionMismatch(Some(group.version))));
        }
        let step = |version, step| Command::StepGroup(StepGroup { name: name.to_owned(), version, step });
        let mut meta = self.meta.lock();
        let closing = envelope_of(context, step(group.version, GroupStep::Close));
        let closed = match meta.run(self.clock.now(), closing) {
            Reply::Group(done) if done.group.phase == Phase::Gone => return Ok(GroupDeleted::Deleted),
            Reply::Group(done) => done.group,
            Reply::Refused(Refusal::VersionMismatch(_)) => return Err(BackendError::GroupNotFound),
            Reply::Refused(refusal) => return Ok(GroupDeleted::Refused(refusal)),
            other @ (Reply::Done(_)
            | Reply::Outcome(_)
            | Reply::SessionOpened(_)
            | Reply::GroupHeld(_)
            | Reply::Ack) => panic!("{other:?}"),
        };
        let counts = self.copy(&closed);
        let last = if counts.total() == 0 { GroupStep::Remove } else { GroupStep::Reopen };
        let Reply::Group(ended) = meta.run(self.clock.now(), Envelope::own(step(closed.version, last)))
        else {
            panic!("{closed:?} does not end")
        };
        self.copy(&ended.group);
        Ok(if counts.total() == 0 { GroupDeleted::Deleted } else { GroupDeleted::NotEmpty(counts) })
    }

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
            | Command::Expire(_)
            | Command::PutGroup(_)
            | Command::StepGroup(_)
            | Command::SetGroup(_)
            | Command::AddSigningSecret(_)
            | Command::RemoveSigningSecret(_)
            | Command::PauseGroup(_)
            | Command::Park(_)
            | Command::Release(_) => panic!("not for the HTTP layer to send: {command:?}"),
        }
        // What a node knows of the group.
        let group = command.timer().and_then(|key| shard.state_of_group(&key.group));
        let Some(group) = group else { return async { Err(BackendError::GroupNotFound) }.boxed() };
        let mut envelope = envelope_of(context, command);
        envelope.group = Some(group.generation);
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
        if shard.state_of_group(&key.group).is_none() {
            return async { Err(BackendError::GroupNotFound) }.boxed();
        }
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
        if shard.state_of_group(&key.group).is_none() {
            return async { Err(BackendError::GroupNotFound) }.boxed();
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
        if shard.state_of_group(&query.group).is_none() {
            return async { Err(BackendError::GroupNotFound) }.boxed();
        }
        let mut timers: Vec<Timer> =
            shard.store.timers.values().filter(|timer| query.has(timer)).cloned().collect();
        timers.sort_by(|one, other| query.order.compare(&Place::of(one), &Place::of(other)));
        let more = timers.len() > limit;
        let view = |timer| TimerView { timer, attempt_in_flight: InFlight::No };
        let timers = timers.into_iter().take(limit).map(view).collect();
        async move { Ok(Listed { timers, more }) }.boxed()
    }

    fn find_group(&self, _: RequestContext, name: String) -> BoxFuture<'_, Result<(), BackendError>> {
        let found = self.shard.lock().state_of_group(&name);
        async move { found.map(drop).ok_or(BackendError::GroupNotFound) }.boxed()
    }

    fn put_group(
        &self,
        context: RequestContext,
        put: PutGroup,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        let reply = self.change_group(context, Command::PutGroup(Box::new(put)));
        async { reply }.boxed()
    }

    fn add_signing_secret(
        &self,
        context: RequestContext,
        add: AddSigningSecret,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        let reply = self.change_group(context, Command::AddSigningSecret(add));
        async { reply }.boxed()
    }

    fn remove_signing_secret(
        &self,
        context: RequestContext,
        remove: RemoveSigningSecret,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        let reply = self.change_group(context, Command::RemoveSigningSecret(remove));
        async { reply }.boxed()
    }

    fn pause_group(
        &self,
        context: RequestContext,
        name: String,
        paused: bool,
        precondition: Precondition,
    ) -> BoxFuture<'_, Result<Reply, BackendError>> {
        let pause = PauseGroup { name, paused, shards: 8, precondition };
        let reply = self.change_group(context, Command::PauseGroup(pause));
        async { reply }.boxed()
    }

    fn test_callback(
        &self,
        _: RequestContext,
        key: TimerKey,
        definition: Definition,
    ) -> BoxFuture<'_, Result<TestedCallback, BackendError>> {
        let shard = &mut self.shard.lock();
        if let Some(error) = shard.errors.pop_front() {
            return async { Err(error) }.boxed();
        }
        if shard.state_of_group(&key.group).is_none() {
            return async { Err(BackendError::GroupNotFound) }.boxed();
        }
        let started_at = self.clock.now();
        let finished_at = started_at + definition.callback.timeout;
        // As a receiver would that gives back what it gets.
        let (status, result) = match definition.payload {
            Payload::None => (500, died()),
            Payload::Json(_) | Payload::Binary { .. } => (200, AttemptResult::Delivered),
        };
        let answer = Some(Answered::new(status, key.id.as_bytes(), false));
        async move { Ok(TestedCallback { result, answer, started_at, finished_at }) }.boxed()
    }

    fn delete_group(
        &self,
        context: RequestContext,
        name: String,
        precondition: Precondition,
    ) -> BoxFuture<'_, Result<GroupDeleted, BackendError>> {
        if let Some(error) = self.shard.lock().errors.pop_front() {
            return async { Err(error) }.boxed();
        }
        let deleted = self.delete(context, &name, &precondition);
        async { deleted }.boxed()
    }

    fn group(
        &self,
        context: RequestContext,
        name: String,
    ) -> BoxFuture<'_, Result<Option<Group>, BackendError>> {
        drop(context);
        if let Some(error) = self.shard.lock().errors.pop_front() {
            return async { Err(error) }.boxed();
        }
        let found = self.known_groups().into_iter().find(|group| group.name == name);
        async { Ok(found) }.boxed()
    }

    fn groups(
        &self,
        context: RequestContext,
        after: Option<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Group>, BackendError>> {
        assert!(context.request.is_none(), "a read has no request key");
        if let Some(error) = self.shard.lock().errors.pop_front() {
            return async { Err(error) }.boxed();
        }
        let behind = |group: &Group| after.as_ref().is_none_or(|after| group.name > *after);
        let found = self.known_groups().into_iter().filter(behind).take(limit).collect();
        async { Ok(found) }.boxed()
    }

    fn cluster_shards(&self) -> u16 {
        8
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
        let backend = Arc::new(FakeBackend {
            shard: Mutex::default(),
            meta: Mutex::default(),
            clock: clock.clone(),
            manual,
        });
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

    /// As if the cluster had had as many groups as it takes.
    pub fn use_up_groups(&self) {
        self.backend.meta.lock().state.groups = timer_core::limits::GROUPS_MAX;
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
