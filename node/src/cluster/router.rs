//! Finds the shard and the leader of a command or read, within the caller's deadline.
//!
//! The node that took the request does all the asking again: a peer answers for itself or names the leader it
//! knows, so a request makes at most one hop at a time and can't go round in circles.
//!
//! Asking again is safe (docs/adr/2026-11-30-commands-that-come-late.md): a command is for one leader in one term, so
//! that an earlier copy can't take effect after a later one was answered; it carries its request id, by which apply
//! knows what it has answered; and it says since when it is asked, so that apply knows when it can't know.
//!
//! A timer's shard follows from its group's number of shards, and what this node knows of the group may be of before. So
//! each request names the group's generation, and where a shard does not know that one, the meta shard's leader is asked
//! and the request is sent once more.

use std::sync::Arc;

use timer_core::attempt::Attempt;
use timer_core::command::{Envelope, Refusal, Reply};
use timer_core::group::Group;
use timer_core::ids::TimerKey;
use timer_core::list::ListQuery;
use tokio::time::Instant;

use super::groups::KnownGroup;
use super::node::Running;
use super::search::Search;
use crate::backend::{BackendError, Listed, TimerView};
use crate::shard::host::ShardHost;

impl Running {
    /// Replicates `envelope` in the shard of `key`.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub async fn submit(
        &self,
        key: &TimerKey,
        envelope: &mut Envelope,
        deadline: Instant,
    ) -> Result<Reply, BackendError> {
        let mut known = self.known_group(&key.group, deadline).await?;
        let mut again = false;
        loop {
            envelope.group = Some(known.generation);
            let reply = self.submit_to(self.host_of(key, known), envelope, deadline).await?;
            if again || reply != Reply::Refused(Refusal::GroupNotFound) {
                return Ok(reply);
            }
            known = self.changed_group(&key.group, known, deadline).await?;
            again = true;
        }
    }

    /// Reads the timer of `key`, linearizably.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub async fn get(&self, key: &TimerKey, deadline: Instant) -> Result<Option<TimerView>, BackendError> {
        let mut known = self.known_group(&key.group, deadline).await?;
        let mut again = false;
        loop {
            let read = self.get_from(self.host_of(key, known), key, known, deadline).await;
            if again || read != Err(BackendError::GroupNotFound) {
                return read;
            }
            known = self.changed_group(&key.group, known, deadline).await?;
            again = true;
        }
    }

    /// Reads the history of the attempts of `key`, linearizably; none if there is no such timer.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub async fn attempts(
        &self,
        key: &TimerKey,
        deadline: Instant,
    ) -> Result<Option<Vec<Attempt>>, BackendError> {
        let mut known = self.known_group(&key.group, deadline).await?;
        let mut again = false;
        loop {
            let read = self.attempts_from(self.host_of(key, known), key, known, deadline).await;
            if again || read != Err(BackendError::GroupNotFound) {
                return read;
            }
            known = self.changed_group(&key.group, known, deadline).await?;
            again = true;
        }
    }

    /// Replicates `envelope` in the shard of `host`.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub(super) async fn submit_to(
        &self,
        host: &Arc<ShardHost>,
        envelope: &mut Envelope,
        deadline: Instant,
    ) -> Result<Reply, BackendError> {
        let mut search = Search::new(self, host, deadline);
        loop {
            let tried = search.try_submit(envelope).await;
            if let Some(result) = search.settle(tried).await {
                return result;
            }
        }
    }

    async fn get_from(
        &self,
        host: &Arc<ShardHost>,
        key: &TimerKey,
        known: KnownGroup,
        deadline: Instant,
    ) -> Result<Option<TimerView>, BackendError> {
        let mut search = Search::new(self, host, deadline);
        loop {
            let tried = search.try_get(key, known.generation).await;
            if let Some(result) = search.settle(tried).await {
                return result;
            }
        }
    }

    async fn attempts_from(
        &self,
        host: &Arc<ShardHost>,
        key: &TimerKey,
        known: KnownGroup,
        deadline: Instant,
    ) -> Result<Option<Vec<Attempt>>, BackendError> {
        let mut search = Search::new(self, host, deadline);
        loop {
            let tried = search.try_attempts(key, known.generation).await;
            if let Some(result) = search.settle(tried).await {
                return result;
            }
        }
    }

    /// Reads the first timers of a list in one shard, linearizably.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub(super) async fn list_shard(
        &self,
        host: &Arc<ShardHost>,
        query: &ListQuery,
        known: KnownGroup,
        bounds: (usize, usize),
        deadline: Instant,
    ) -> Result<Listed, BackendError> {
        let mut search = Search::new(self, host, deadline);
        loop {
            let tried = search.try_list(query, known.generation, bounds).await;
            if let Some(result) = search.settle(tried).await {
                return result;
            }
        }
    }

    /// Groups of the meta shard from the name `from` on, also those that are gone; linearizable.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub(super) async fn read_groups(
        &self,
        from: &str,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Group>, BackendError> {
        let mut search = Search::new(self, self.meta(), deadline);
        loop {
            let tried = search.try_groups(from, limit).await;
            if let Some(result) = search.settle(tried).await {
                return result;
            }
        }
    }
}
