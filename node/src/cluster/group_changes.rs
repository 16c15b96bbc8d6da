//! Makes, changes and deletes groups: in the meta shard, then their copies in the shards of timers, then in the meta shard
//! that all have them. Whoever does this may vanish at any point: the meta shard's leader goes on with what is not settled.
//! Every step can be taken twice, and two that go on with the same group can't take contrary ones.

use std::time::Duration;

use futures_util::future::try_join_all;
use timer_core::command::{Command, Envelope, GroupStep, Precondition, Refusal, Reply, SetGroup, StepGroup};
use timer_core::group::{Group, GroupCounts, Phase};
use timer_core::timer::State;
use tokio::time::Instant;

use super::node::Running;
use crate::backend::{Applied, BackendError, GroupDeleted, RequestContext};

/// Groups that are looked at in one round for what is not settled.
const ROUND_MAX: usize = 1_000;
/// How long a round may wait for a shard.
const ROUND_WAIT: Duration = Duration::from_secs(5);
/// Times that a delete begins anew because the group was changed meanwhile.
const DELETE_TRIES_MAX: u32 = 5;

impl Running {
    /// Makes or changes a group; `envelope` holds a [`PutGroup`](timer_core::command::PutGroup), or another command that changes
    /// one and names no step. Answered when all its shards have it.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub(super) async fn put_group(
        &self,
        envelope: &mut Envelope,
        deadline: Instant,
    ) -> Result<Reply, BackendError> {
        let reply = self.submit_to(self.meta(), envelope, deadline).await?;
        if let Reply::Group(done) = &reply {
            self.settle(&done.group, deadline).await.map_err(begun)?;
        }
        Ok(reply)
    }

    /// Deletes the group `name`, if it holds no timer and `precondition` holds.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub(super) async fn delete_group(
        &self,
        context: RequestContext,
        name: &str,
        precondition: &Precondition,
    ) -> Result<GroupDeleted, BackendError> {
        let deadline = Instant::now() + context.deadline;
        let RequestContext { principal, request, traceparent, .. } = context;
        for _ in 0..DELETE_TRIES_MAX {
            let Some(group) = self.group_record(name, deadline).await? else {
                return Err(BackendError::GroupNotFound);
            };
            let named = &precondition.versions;
            if group.phase == Phase::Open && !named.is_empty() && !named.contains(&group.version) {
                return Ok(GroupDeleted::Refused(Refusal::VersionMismatch(Some(group.version))));
            }
            if group.phase == Phase::Closed {
                match self.finish_delete(group, deadline).await.map_err(begun)? {
                    Some(deleted) => return Ok(deleted),
                    None => continue,
                }
            }
            let step = StepGroup { name: name.to_owned(), version: group.version, step: GroupStep::Close };
            let mut envelope = Envelope {
                principal: principal.clone(),
                request: request.clone(),
                traceparent: traceparent.clone(),
                ..Envelope::own(Command::StepGroup(step))
            };
            let done = match self.submit_to(self.meta(), &mut envelope, deadline).await? {
                Reply::Group(done) => done,
                Reply::Refused(Refusal::VersionMismatch(_)) if group.phase == Phase::Gone => {
                    return Err(BackendError::GroupNotFound);
                }
                // Somebody has changed it meanwhile.
                Reply::Refused(Refusal::VersionMismatch(_)) => continue,
                Reply::Refused(refusal) => return Ok(GroupDeleted::Refused(refusal)),
                other @ (Reply::Done(_)
                | Reply::Outcome(_)
                | Reply::SessionOpened(_)
                | Reply::GroupHeld(_)
                | Reply::Ack) => return Err(unexpected(&other)),
            };
            match done.group.phase {
                Phase::Gone => return Ok(GroupDeleted::Deleted),
                Phase::Closed => {
                    if let Some(deleted) = self.finish_delete(done.group, deadline).await.map_err(begun)? {
                        return Ok(deleted);
                    }
                }
                // The answer of an earlier delete, whose group held timers or was made again since.
                Phase::Open => {
                    let counts = self.spread(&done.group, deadline).await?;
                    return Ok(GroupDeleted::NotEmpty(counts));
                }
            }
        }
        Err(BackendError::Internal(format!("the group {name:?} changes all the time")))
    }

    /// Goes on with the delete of a group that is closed. None: somebody else has opened it again, and it may be empty by
    /// now.
    async fn finish_delete(
        &self,
        group: Group,
        deadline: Instant,
    ) -> Result<Option<GroupDeleted>, BackendError> {
        let counts = self.spread(&group, deadline).await?;
        let step = if counts.total() == 0 { GroupStep::Remove } else { GroupStep::Reopen };
        let ended = match self.step(&group, step, deadline).await? {
            Some(ended) => ended,
            // Somebody else has: what came of it is what counts.
            None => self.group_record(&group.name, deadline).await?.ok_or(BackendError::GroupNotFound)?,
        };
        self.settle(&ended, deadline).await?;
        self.groups.forget(&group.name);
        Ok(match ended.phase {
            Phase::Gone => Some(GroupDeleted::Deleted),
            Phase::Open | Phase::Closed => (counts.total() > 0).then_some(GroupDeleted::NotEmpty(counts)),
        })
    }

    /// Has all shards know `group`, and says so in the meta shard.
    async fn settle(&self, group: &Group, deadline: Instant) -> Result<(), BackendError> {
        if !group.settled {
            self.spread(group, deadline).await?;
            self.step(group, GroupStep::Settle, deadline).await?;
        }
        Ok(())
    }

    /// Takes a step from the group's version. None if it is of another version by now.
    async fn step(
        &self,
        group: &Group,
        step: GroupStep,
        deadline: Instant,
    ) -> Result<Option<Group>, BackendError> {
        let step = StepGroup { name: group.name.clone(), version: group.version, step };
        let mut envelope = Envelope::own(Command::StepGroup(step));
        match self.submit_to(self.meta(), &mut envelope, deadline).await? {
            Reply::Group(done) => Ok(Some(done.group)),
            Reply::Refused(_) => Ok(None),
            other @ (Reply::Done(_)
            | Reply::Outcome(_)
            | Reply::SessionOpened(_)
            | Reply::GroupHeld(_)
            | Reply::Ack) => Err(unexpected(&other)),
        }
    }

    /// Brings a copy to every shard of the group, and gives how many timers they hold together.
    async fn spread(&self, group: &Group, deadline: Instant) -> Result<GroupCounts, BackendError> {
        let hosts = self.hosts_of(&group.name, self.known(group));
        let copies = hosts.into_iter().map(|host| async move {
            let set = SetGroup { group: group.copy() };
            let mut envelope = Envelope::own(Command::SetGroup(Box::new(set)));
            let reply = self.submit_to(host, &mut envelope, deadline).await?;
            let Reply::GroupHeld(held) = reply else { return Err(unexpected(&reply)) };
            Ok(held.counts)
        });
        let mut total = GroupCounts::default();
        for counts in try_join_all(copies).await? {
            for state in State::ALL {
                total.0[state as usize] += counts.of(state);
            }
        }
        Ok(total)
    }

    /// Goes on with what is not settled, where this node leads the meta shard.
    pub(super) async fn settle_groups(&self) {
        let mut from = String::new();
        while self.meta().office().is_some() {
            let reader = self.meta().reader().clone();
            let begin = from.clone();
            let round =
                crate::blocking::away(reader.blocks(), move || reader.groups(&begin, ROUND_MAX)).await;
            let Some(groups) = round.ok().and_then(Result::ok) else { return };
            let more = groups.len() == ROUND_MAX;
            if let Some(last) = groups.last() {
                // The least name behind it.
                from = format!("{}\0", last.name);
            }
            for group in groups.into_iter().filter(|group| !group.settled) {
                let deadline = Instant::now() + ROUND_WAIT;
                let name = group.name.clone();
                let went_on = match group.phase {
                    Phase::Closed => self.finish_delete(group, deadline).await.map(drop),
                    Phase::Open | Phase::Gone => self.settle(&group, deadline).await,
                };
                match went_on {
                    Ok(()) => {
                        tracing::info!(group = name, "finished what another node had begun with a group")
                    }
                    Err(error) => {
                        tracing::warn!(group = name, %error, "a group is not in all its shards yet")
                    }
                }
            }
            if !more {
                return;
            }
        }
    }
}

/// An error of a change that has begun: it is in the meta shard, and somebody will bring it to its end.
fn begun(error: BackendError) -> BackendError {
    match error {
        BackendError::Unavailable { shard, reason, retry_after, .. } => {
            BackendError::Unavailable { shard, outcome: Applied::Unknown, reason, retry_after }
        }
        BackendError::Overloaded { reason, retry_after } => {
            BackendError::Unavailable { shard: 0, outcome: Applied::Unknown, reason, retry_after }
        }
        BackendError::TimedOut { waited, .. } => BackendError::TimedOut { outcome: Applied::Unknown, waited },
        BackendError::DiskFull | BackendError::GroupNotFound | BackendError::Internal(_) => error,
    }
}

fn unexpected(reply: &Reply) -> BackendError {
    BackendError::Internal(format!("a reply of another kind: {reply:?}"))
}
