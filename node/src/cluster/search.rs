//! One request on its way to a shard's leader: tried here or at a peer, again and again until the deadline, with the truth
//! about its outcome.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a newer peer may send frames that this version does not know"
)]

use std::sync::Arc;
use std::time::Duration;

use raft_store::type_config::LeaderId;
use timer_core::attempt::Attempt;
use timer_core::command::{Envelope, Moment, Reply};
use timer_core::group::Group;
use timer_core::ids::{Sequence, TimerKey};
use timer_core::list::ListQuery;
use tokio::time::Instant;

use super::node::Running;
use crate::backend::{Applied, BackendError, Listed, TimerView};
use crate::observability::metrics::Forwarded;
use crate::peer::frame::{
    AttemptsRequest, Body, Failure, GroupsRequest, Lane, ListRequest, ReadRequest, SubmitRequest,
    attempts_reply, failure::Kind, frame, groups_reply, list_reply, read_reply, submit_reply,
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
pub(super) enum Try<T> {
    Done(T),
    /// Nothing was done; who is said to lead.
    NotLeader(Option<LeaderId>),
    /// It may have been done.
    Unknown(String),
    /// Nothing was done and asking again at once would not help.
    Failed(BackendError),
}

/// One request on its way to a leader.
pub(super) struct Search<'a> {
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

impl<'a> Search<'a> {
    pub(super) fn new(running: &'a Running, host: &'a Arc<ShardHost>, deadline: Instant) -> Self {
        let began = Instant::now();
        Self {
            running,
            host,
            began,
            deadline,
            hint: None,
            since: host.reader().moment(),
            maybe_applied: false,
            reason: "no leader is known".to_owned(),
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn left_ms(&self) -> u64 {
        u64::try_from(self.left().as_millis()).unwrap_or(u64::MAX)
    }

    /// The peer to ask, if the leader is one.
    fn remote(&self) -> Option<LeaderId> {
        let known = self.hint.or_else(|| self.host.leader());
        known.filter(|leader| leader.node_id != self.running.node_id)
    }

    pub(super) async fn try_submit(&mut self, envelope: &mut Envelope) -> Try<Reply> {
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

    pub(super) async fn try_get(&mut self, key: &TimerKey, group: Sequence) -> Try<Option<TimerView>> {
        if self.host.office().is_some() {
            let tried = tokio::time::timeout_at(self.deadline, self.host.get(key, group)).await;
            return tried.map_or(Try::NotLeader(None), from_local);
        }
        let Some(leader) = self.remote() else { return Try::NotLeader(None) };
        let request = ReadRequest {
            group: key.group.clone(),
            timer_id: key.id.clone(),
            deadline_ms: self.left_ms(),
            group_generation: group.0,
        };
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

    pub(super) async fn try_attempts(
        &mut self,
        key: &TimerKey,
        group: Sequence,
    ) -> Try<Option<Vec<Attempt>>> {
        if self.host.office().is_some() {
            let tried = tokio::time::timeout_at(self.deadline, self.host.attempts(key, group)).await;
            return tried.map_or(Try::NotLeader(None), from_local);
        }
        let Some(leader) = self.remote() else { return Try::NotLeader(None) };
        let request = AttemptsRequest {
            group: key.group.clone(),
            timer_id: key.id.clone(),
            deadline_ms: self.left_ms(),
            group_generation: group.0,
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

    pub(super) async fn try_list(
        &mut self,
        query: &ListQuery,
        group: Sequence,
        (limit, bytes_max): (usize, usize),
    ) -> Try<Listed> {
        if self.host.office().is_some() {
            let listed = self.host.list(query, group, limit, bytes_max);
            let tried = tokio::time::timeout_at(self.deadline, listed).await;
            return tried.map_or(Try::NotLeader(None), from_local);
        }
        let Some(leader) = self.remote() else { return Try::NotLeader(None) };
        let request = ListRequest {
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            bytes_max: u32::try_from(bytes_max).unwrap_or(u32::MAX),
            deadline_ms: self.left_ms(),
            group_generation: group.0,
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

    /// Reads groups of the meta shard.
    pub(super) async fn try_groups(&mut self, from: &str, limit: usize) -> Try<Vec<Group>> {
        if self.host.office().is_some() {
            let tried = tokio::time::timeout_at(self.deadline, self.host.groups(from, limit)).await;
            return tried.map_or(Try::NotLeader(None), from_local);
        }
        let Some(leader) = self.remote() else { return Try::NotLeader(None) };
        let request = GroupsRequest {
            from: from.to_owned(),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            deadline_ms: self.left_ms(),
        };
        match self.ask(leader.node_id, Body::Groups(request)).await {
            Ok(Body::GroupsReply(reply)) => match reply.result {
                Some(groups_reply::Result::Groups(groups)) => {
                    let groups = groups.groups.iter().map(|bytes| proto::group::decode(bytes));
                    match groups.collect() {
                        Ok(groups) => Try::Done(groups),
                        Err(e) => Try::Failed(BackendError::Internal(e.to_string())),
                    }
                }
                Some(groups_reply::Result::Failure(failure)) => from_remote(&failure),
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
    pub(super) async fn settle<T>(&mut self, tried: Try<T>) -> Option<Result<T, BackendError>> {
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
        Body::GroupsReply(reply) => match &reply.result {
            Some(groups_reply::Result::Failure(failure)) => failure,
            Some(groups_reply::Result::Groups(_)) | None => return false,
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
        Err(ProposeError::GroupNotFound) => Try::Failed(BackendError::GroupNotFound),
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
        Kind::GroupNotFound => Try::Failed(BackendError::GroupNotFound),
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
        ProposeError::GroupNotFound => (Kind::GroupNotFound, None, false),
    };
    Failure {
        kind: kind.into(),
        outcome_unknown: unknown,
        reason: e.to_string(),
        leader: leader.map_or(0, |leader| leader.node_id),
        leader_term: leader.map_or(0, |leader| leader.term),
    }
}
