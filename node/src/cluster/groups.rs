//! What this node knows of groups: enough to find a timer's shard. What it knows may be of before; the shards tell
//! (`router`).

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use timer_core::group::{DEFAULT_GROUP, Group, Phase};
use timer_core::ids::{Sequence, TimerKey};
use tokio::time::Instant;

use super::node::Running;
use crate::backend::{Applied, BackendError};
use crate::blocking::away;
use crate::shard::host::ShardHost;

/// Groups that are remembered; when there are more, all are forgotten and asked for anew.
const KNOWN_MAX: usize = 10_000;
/// What a client is told to wait while a group's copies are on their way.
const RETRY_AFTER_COPIES: std::time::Duration = std::time::Duration::from_millis(200);

/// What has to be known of a group to find its timers. It holds for as long as the group has this generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownGroup {
    /// See [`Group::generation`].
    pub generation: Sequence,
    /// Over how many shards its timers are spread.
    pub shards: u16,
}

/// The groups that this node has met.
#[derive(Debug, Default)]
pub struct KnownGroups(RwLock<BTreeMap<String, KnownGroup>>);

impl KnownGroups {
    fn get(&self, name: &str) -> Option<KnownGroup> {
        self.0.read().get(name).copied()
    }

    fn set(&self, name: &str, known: KnownGroup) {
        let mut groups = self.0.write();
        if groups.len() >= KNOWN_MAX && !groups.contains_key(name) {
            groups.clear();
        }
        groups.insert(name.to_owned(), known);
    }

    pub(super) fn forget(&self, name: &str) {
        self.0.write().remove(name);
    }
}

impl Running {
    /// The host of the meta shard.
    pub(super) fn meta(&self) -> &Arc<ShardHost> {
        &self.hosts[usize::from(self.cluster.shards)]
    }

    /// The hosts of the shards of timers, by number.
    #[must_use]
    pub fn timer_hosts(&self) -> &[Arc<ShardHost>] {
        &self.hosts[..usize::from(self.cluster.shards)]
    }

    /// The host of the shard that `key` belongs to.
    pub(super) fn host_of(&self, key: &TimerKey, known: KnownGroup) -> &Arc<ShardHost> {
        let shard = shard_router::shard_of(&key.group, &key.id, known.shards, self.cluster.shards);
        &self.hosts[usize::from(shard)]
    }

    /// The shard that `key` belongs to, as far as this node knows its group.
    pub(super) fn shard_of(&self, key: &TimerKey) -> u16 {
        let shards = self.cluster.shards;
        let known = self.groups.get(&key.group).map_or(shards, |known| known.shards);
        shard_router::shard_of(&key.group, &key.id, known, shards)
    }

    /// The hosts of the shards that hold timers of the group `name`.
    pub(super) fn hosts_of(&self, name: &str, known: KnownGroup) -> Vec<&Arc<ShardHost>> {
        let shards = shard_router::shards_of(name, known.shards, self.cluster.shards);
        shards.map(|shard| &self.hosts[usize::from(shard)]).collect()
    }

    /// What is known of `group`, which is there.
    pub(super) fn known(&self, group: &Group) -> KnownGroup {
        let shards = if group.settings.shards == 0 { self.cluster.shards } else { group.settings.shards };
        KnownGroup { generation: group.generation, shards: shards.min(self.cluster.shards) }
    }

    /// What has to be known of the group `name`: from memory, from this node's replica of the meta shard, or from that
    /// shard's leader.
    ///
    /// # Errors
    /// [`BackendError::GroupNotFound`], and those of a read.
    pub(super) async fn known_group(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<KnownGroup, BackendError> {
        if name == DEFAULT_GROUP {
            return Ok(KnownGroup { generation: Group::UNCHANGED, shards: self.cluster.shards });
        }
        if let Some(known) = self.groups.get(name) {
            return Ok(known);
        }
        let (reader, asked) = (self.meta().reader().clone(), name.to_owned());
        let here = away(reader.blocks(), move || reader.group(&asked)).await;
        let here = here.ok().and_then(Result::ok).flatten().filter(|group| group.phase != Phase::Gone);
        let group = match here {
            Some(group) => group,
            None => self.group(name, deadline).await?.ok_or(BackendError::GroupNotFound)?,
        };
        let known = self.known(&group);
        self.groups.set(name, known);
        Ok(known)
    }

    /// What has to be known of the group `name` after a shard has refused what was `known`.
    ///
    /// # Errors
    /// [`BackendError::GroupNotFound`]; that the shard is not available yet where the group is what it was; and those of a
    /// read.
    pub(super) async fn changed_group(
        &self,
        name: &str,
        known: KnownGroup,
        deadline: Instant,
    ) -> Result<KnownGroup, BackendError> {
        self.groups.forget(name);
        let group = self.group(name, deadline).await?.ok_or(BackendError::GroupNotFound)?;
        let now = self.known(&group);
        if now == known {
            return Err(BackendError::Unavailable {
                shard: self.meta().shard,
                outcome: Applied::NotApplied,
                reason: format!("the group {name:?} is on its way to its shards"),
                retry_after: RETRY_AFTER_COPIES,
            });
        }
        self.groups.set(name, now);
        Ok(now)
    }

    /// The group `name`, linearizably; none if there is none or it is gone.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub(super) async fn group(&self, name: &str, deadline: Instant) -> Result<Option<Group>, BackendError> {
        let found = self.group_record(name, deadline).await?;
        let found = found.filter(|group| group.phase != Phase::Gone);
        Ok(found.or_else(|| (name == DEFAULT_GROUP).then(|| self.unchanged_default())))
    }

    /// Groups behind the name `after`, or from the first, in the order of names, linearizably; at most `limit`. `default` is
    /// among them also without a record.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub(super) async fn list_groups(
        &self,
        after: Option<String>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Group>, BackendError> {
        // The least name behind it.
        let mut from = after.map_or_else(String::new, |name| format!("{name}\0"));
        let has_default = from.as_str() <= DEFAULT_GROUP;
        let mut found: Vec<Group> = Vec::new();
        while found.len() < limit {
            let part = self.read_groups(&from, limit, deadline).await?;
            let more = part.len() == limit;
            if let Some(last) = part.last() {
                from = format!("{}\0", last.name);
            }
            found.extend(part.into_iter().filter(|group| group.phase != Phase::Gone));
            if !more {
                break;
            }
        }
        if has_default {
            let place = found.partition_point(|group| group.name.as_str() < DEFAULT_GROUP);
            let is_there = found.get(place).is_some_and(|group| group.name == DEFAULT_GROUP);
            // Not where the groups that were read end before it.
            if !is_there && (place < found.len() || found.len() < limit) {
                found.insert(place, self.unchanged_default());
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// `default`, for as long as nobody has changed it.
    fn unchanged_default(&self) -> Group {
        Group::unchanged_default(self.cluster.shards)
    }

    /// The record of the group `name`, linearizably, also of one that is gone.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub(super) async fn group_record(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<Option<Group>, BackendError> {
        let first = self.read_groups(name, 1, deadline).await?;
        Ok(first.into_iter().next().filter(|group| group.name == name))
    }
}
