//! Finds the leader of a command or read, within the caller's deadline, and says the truth about the outcome.
//!
//! The node that took the request does all the asking again: a peer answers for itself or names the leader it
//! knows, so a request makes at most one hop at a time and can't go round in circles.
//!
//! Asking again is safe (docs/adr/2026-11-30-commands-that-come-late.md): a command is for one leader in one term, so
//! that an earlier copy can't take effect after a later one was answered; it carries its request id, by which apply
//! knows what it has answered; and it says since when it is asked, so that apply knows when it can't know.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a newer peer may send frames that this version does not know"
)]

use std::sync::Arc;
use std::time::Duration;

use raft_store::type_config::LeaderId;
use timer_core::attempt::Attempt;
use timer_core::command::{Envelope, Moment, Reply};
use timer_core::ids::TimerKey;
use timer_core::list::ListQuery;
use tokio::time::Instant;

use super::node::Running;
use crate::backend::{Applied, BackendError, Listed, TimerView};
use crate::observability::metrics::Forwarded;
use crate::peer::frame::{
    AttemptsRequest, Body, Failure, Lane, ListRequest, ReadRequest, SubmitRequest, attempts_reply,
    failure::Kind, frame, list_reply, read_reply, submit_reply,
};
use crate::peer::link::LinkError;
use crate::peer::reply_codec::ReplyError;
use crate::peer::{history_codec, list_codec, reply_codec};
use crate::shard::host::ShardHost;
use crate::shard::proposer::ProposeError;

/// The wait before the leader is asked for again; a change of office here ends it at once.
const RETRY: Duration = Duration::from_millis(25);
/// What a client is told to wait when there is no leader: about one election.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// What a client is told to wait when a queue is full.
const RETRY_AFTER_FULL: Duration = Duration::from_millis(500);

/// What one try came to.
enum Try<T> {
    Done(T),
    /// Nothing was done; who is said to lead.
    NotLeader(Option<LeaderId>),
    /// It may have been done.
    Unknown(String),
    /// Nothing was done and asking again at once would not help.
    Failed(BackendError),
}

/// One request on its way to a leader.
struct Search<'a> {
    running: &'a Running,
    host: &'a Arc<ShardHost>,
    began: Instant,
    deadline: Instant,
    hint: Option<LeaderId>,
    /// What this node had applied before the first try: nothing of the request.
    since: Moment,
    maybe_applied: bool,
    reason: String,
}

impl Running {
    /// Replicates `envelope` in the shard of `key`.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub async fn submit(
        &self,
        key: &TimerKey,
        envelope: &mut Envelope,
        wait: Duration,
    ) -> Result<Reply, BackendError> {
        let mut search = Search::new(self, self.host_of(key), wait);
        loop {
            let tried = search.try_submit(envelope).await;
            if let Some(result) = search.settle(tried).await {
                return result;
            }
        }
    }

    /// Reads the timer of `key`, linearizably.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub async fn get(&self, key: &TimerKey, wait: Duration) -> Result<Option<TimerView>, BackendError> {
        let mut search = Search::new(self, self.host_of(key), wait);
        loop {
            let tried = search.try_get(key).await;
            if let Some(result) = search.settle(tried).await {
                return result;
            }
        }
    }

    /// Reads the history of the attempts of `key`, linearizably; none if there is no such timer.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub async fn attempts(
        &self,
        key: &TimerKey,
        wait: Duration,
    ) -> Result<Option<Vec<Attempt>>, BackendError> {
        let mut search = Search::new(self, self.host_of(key), wait);
        loop {
            let tried = search.try_attempts(key).await;
            if let Some(result) = search.settle(tried).await {
                return result;
            }
        }
    }

    /// Reads the first timers of a list in one shard, linearizably.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub async fn list_shard(
        &self,
        host: &Arc<ShardHost>,
        query: &ListQuery,
        (limit, bytes_max): (usize, usize),
        deadline: Instant,
    ) -> Result<Listed, BackendError> {
        let mut search = Search::new(self, host, deadline.saturating_duration_since(Instant::now()));
        loop {
            let tried = search.try_list(query, limit, bytes_max).await;
            if let Some(result) = search.settle(tried).await {
                return result;
            }
        }
    }
}

impl<'a> Search<'a> {
    fn new(running: &'a Running, host: &'a Arc<ShardHost>, wait: Duration) -> Self {
        let began = Instant::now();
        Self {
            running,
            host,
            began,
            deadline: began + wait,
            hint: None,
            since: host.reader().moment(),
            maybe_applied: false,
            reason: "no leader is known".to_owned(),
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The same for a peer.
    fn left_ms(&self) -> u64 {
        u64::try_from(self.left().as_millis()).unwrap_or(u64::MAX)
    }

    /// The peer to ask, if the leader is one.
    fn remote(&self) -> Option<LeaderId> {
        let known = self.hint.or_else(|| self.host.leader());
        known.filter(|leader| leader.node_id != self.running.node_id)
    }

    async fn try_submit(&mut self, envelope: &mut Envelope) -> Try<Reply> {
        envelope.asked_since = self.maybe_applied.then_some(self.since);
        if let Some(office) = self.host.office() {
            let submitted = self.host.submit(office.leader, envelope.clone());
            let tried = tokio::time::timeout_at(self.deadline, submitted).await;
            return tried.map_or_else(|_| Try::Unknown("it is not replicated yet".to_owned()), from_local);
        }
        let Some(leader) = self.remote() else { return Try::NotLeader(None) };
        let request = SubmitRequest {
            envelope: proto::entry::encode_envelope(envelope),
            deadline_ms: self.left_ms(),
            leader_term: leader.term,
        };
        match self.ask(leader.node_id, Body::Submit(request)).await {
            Ok(Body::SubmitReply(reply)) => match reply.result {
                Some(submit_reply::Result::Reply(reply)) => from_answer(reply_codec::reply_in(&reply)),
                Some(submit_reply::Result::Failure(failure)) => from_remote(&failure),
                None => Try::Unknown("an empty answer".to_owned()),
            },
            Ok(_) => Try::Unknown("an answer of another kind".to_owned()),
            Err(e) => from_link(e),
        }
    }

    async fn try_get(&mut self, key: &TimerKey) -> Try<Option<TimerView>> {
        if self.host.office().is_some() {
            let tried = tokio::time::timeout_at(self.deadline, self.host.get(key)).await;
            return tried.map_or(Try::NotLeader(None), from_local);
        }
        let Some(leader) = self.remote() else { return Try::NotLeader(None) };
        let request =
            ReadRequest { group: key.group.clone(), timer_id: key.id.clone(), deadline_ms: self.left_ms() };
        match self.ask(leader.node_id, Body::Read(request)).await {
            Ok(Body::ReadReply(reply)) => match reply.result {
                Some(read_reply::Result::Found(found)) => from_answer(reply_codec::found_in(&found)),
                Some(read_reply::Result::Failure(failure)) => from_remote(&failure),
                None => Try::NotLeader(None),
            },
            // A read has no effect, so nothing about it is unknown.
            Ok(_) | Err(_) => Try::NotLeader(None),
        }
    }

    async fn try_attempts(&mut self, key: &TimerKey) -> Try<Option<Vec<Attempt>>> {
        if self.host.office().is_some() {
            let tried = tokio::time::timeout_at(self.deadline, self.host.attempts(key)).await;
            return tried.map_or(Try::NotLeader(None), from_local);
        }
        let Some(leader) = self.remote() else { return Try::NotLeader(None) };
        let request = AttemptsRequest {
            group: key.group.clone(),
            timer_id: key.id.clone(),
            deadline_ms: self.left_ms(),
        };
        match self.ask(leader.node_id, Body::Attempts(request)).await {
            Ok(Body::AttemptsReply(reply)) => match reply.result {
                Some(attempts_reply::Result::History(history)) => {
                    from_answer(history_codec::history_in(&history))
                }
                Some(attempts_reply::Result::Failure(failure)) => from_remote(&failure),
                None => Try::NotLeader(None),
            },
            // A read has no effect, so nothing about it is unknown.
            Ok(_) | Err(_) => Try::NotLeader(None),
        }
    }

    async fn try_list(&mut self, query: &ListQuery, limit: usize, bytes_max: usize) -> Try<Listed> {
        if self.host.office().is_some() {
            let tried = tokio::time::timeout_at(self.deadline, self.host.list(query, limit, bytes_max)).await;
            return tried.map_or(Try::NotLeader(None), from_local);
        }
        let Some(leader) = self.remote() else { return Try::NotLeader(None) };
        let request = ListRequest {
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            bytes_max: u32::try_from(bytes_max).unwrap_or(u32::MAX),
            deadline_ms: self.left_ms(),
            ..list_codec::query_out(query)
        };
        match self.ask(leader.node_id, Body::List(request)).await {
            Ok(Body::ListReply(reply)) => match reply.result {
                Some(list_reply::Result::Listed(listed)) => from_answer(list_codec::listed_in(&listed)),
                Some(list_reply::Result::Failure(failure)) => from_remote(&failure),
                None => Try::NotLeader(None),
            },
            // A read has no effect, so nothing about it is unknown.
            Ok(_) | Err(_) => Try::NotLeader(None),
        }
    }

    async fn ask(&self, node: u64, body: Body) -> Result<Body, LinkError> {
        let lanes = &self.running.lanes;
        let link =
            lanes.lane(node, Lane::Request).ok_or_else(|| LinkError::NotSent(format!("node {node}")))?;
        let answer = link.call(frame(self.host.shard, body), self.left()).await;
        self.running.context.metrics.forwarded(match &answer {
            Ok(body) if is_not_leader(body) => Forwarded::NotLeader,
            Ok(_) => Forwarded::Answered,
            Err(_) => Forwarded::Failed,
        });
        answer
    }

    /// Takes note of a try; gives the result when there is one, else when it is time for the next.
    async fn settle<T>(&mut self, tried: Try<T>) -> Option<Result<T, BackendError>> {
        match tried {
            Try::Done(value) => return Some(Ok(value)),
            // A try before this one may have been done: only its repetition can tell.
            Try::Failed(e) if !self.maybe_applied => return Some(Err(e)),
            Try::Failed(e) => self.reason = e.to_string(),
            Try::NotLeader(hint) => self.hint = hint,
            Try::Unknown(reason) => {
                self.maybe_applied = true;
                self.hint = None;
                self.reason = reason;
            }
        }
        let mut changes = self.host.office_changes();
        changes.mark_unchanged();
        let _ = tokio::time::timeout(RETRY.min(self.left()), changes.changed()).await;
        if self.left().is_zero() { Some(Err(self.give_up())) } else { None }
    }

    fn give_up(&self) -> BackendError {
        let has_leader = self.host.office().is_some() || self.remote().is_some();
        if self.maybe_applied && has_leader {
            return BackendError::TimedOut { outcome: Applied::Unknown, waited: self.began.elapsed() };
        }
        let outcome = if self.maybe_applied { Applied::Unknown } else { Applied::NotApplied };
        BackendError::Unavailable {
            shard: self.host.shard,
            outcome,
            reason: self.reason.clone(),
            retry_after: RETRY_AFTER,
        }
    }
}

/// Whether a peer says that it does not lead the shard either.
fn is_not_leader(body: &Body) -> bool {
    let failure = match body {
        Body::SubmitReply(reply) => match &reply.result {
            Some(submit_reply::Result::Failure(failure)) => failure,
            Some(submit_reply::Result::Reply(_)) | None => return false,
        },
        Body::ReadReply(reply) => match &reply.result {
            Some(read_reply::Result::Failure(failure)) => failure,
            Some(read_reply::Result::Found(_)) | None => return false,
        },
        Body::ListReply(reply) => match &reply.result {
            Some(list_reply::Result::Failure(failure)) => failure,
            Some(list_reply::Result::Listed(_)) | None => return false,
        },
        Body::AttemptsReply(reply) => match &reply.result {
            Some(attempts_reply::Result::Failure(failure)) => failure,
            Some(attempts_reply::Result::History(_)) | None => return false,
        },
        _ => return false,
    };
    failure.kind() == Kind::NotLeader
}

fn overloaded(reason: String) -> BackendError {
    BackendError::Overloaded { reason, retry_after: RETRY_AFTER_FULL }
}

fn from_local<T>(result: Result<T, ProposeError>) -> Try<T> {
    match result {
        Ok(value) => Try::Done(value),
        Err(ProposeError::NotLeader(hint)) => Try::NotLeader(hint),
        Err(ProposeError::Unknown(reason)) => Try::Unknown(reason),
        Err(ProposeError::Overloaded) => Try::Failed(overloaded(ProposeError::Overloaded.to_string())),
        Err(ProposeError::DiskFull) => Try::Failed(BackendError::DiskFull),
        Err(ProposeError::Untrusted(_)) => Try::NotLeader(None),
    }
}

/// What a peer has answered, if it can be understood.
fn from_answer<T>(answer: Result<T, ReplyError>) -> Try<T> {
    answer.map_or_else(|e| Try::Failed(BackendError::Internal(e.to_string())), Try::Done)
}

fn from_link<T>(e: LinkError) -> Try<T> {
    match e {
        LinkError::NotSent(_) | LinkError::Refused { .. } => Try::NotLeader(None),
        LinkError::Broken(_) | LinkError::TimedOut { .. } => Try::Unknown(e.to_string()),
    }
}

fn from_remote<T>(failure: &Failure) -> Try<T> {
    match failure.kind() {
        Kind::NotLeader => Try::NotLeader(leader_in(failure)),
        Kind::Overloaded => Try::Failed(overloaded(failure.reason.clone())),
        Kind::DiskFull => Try::Failed(BackendError::DiskFull),
        _ if failure.outcome_unknown => Try::Unknown(failure.reason.clone()),
        Kind::Unspecified | Kind::Unavailable | Kind::TimedOut | Kind::Internal => Try::NotLeader(None),
    }
}

/// Who leads, as a peer says.
fn leader_in(failure: &Failure) -> Option<LeaderId> {
    (failure.leader != 0).then_some(LeaderId { term: failure.leader_term, node_id: failure.leader })
}

/// A local failure for the wire.
#[must_use]
pub fn failure_out(e: &ProposeError) -> Failure {
    let (kind, leader, unknown) = match e {
        ProposeError::NotLeader(hint) => (Kind::NotLeader, *hint, false),
        ProposeError::Overloaded => (Kind::Overloaded, None, false),
        ProposeError::Unknown(_) => (Kind::Unavailable, None, true),
        ProposeError::DiskFull => (Kind::DiskFull, None, false),
        ProposeError::Untrusted(_) => (Kind::NotLeader, None, false),
    };
    Failure {
        kind: kind.into(),
        outcome_unknown: unknown,
        reason: e.to_string(),
        leader: leader.map_or(0, |leader| leader.node_id),
        leader_term: leader.map_or(0, |leader| leader.term),
    }
}
