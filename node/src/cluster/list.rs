//! A page of a list over all shards: each shard gives what it has in order, and the page is their merge.
//!
//! No shard is asked for a whole page at first, which would read as many pages as there are shards. It is asked for its share
//! and some more, and again when what it gave is used up and it has more.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::try_join_all;
use timer_core::list::{ListQuery, Place};
use timer_core::timer::Timer;
use tokio::time::Instant;

use super::groups::KnownGroup;
use super::node::Running;
use crate::backend::{BackendError, Listed, TimerView};
use crate::shard::host::ShardHost;

/// What a shard is asked for beyond its share of a page.
const MORE_THAN_SHARE: usize = 8;
/// A shard is asked for as many bytes at least: a timer or two of the largest kind.
const SHARD_BYTES_MIN: usize = 512 << 10;

/// One shard's part of a list, as far as it was read.
struct Part<'a> {
    host: &'a Arc<ShardHost>,
    known: KnownGroup,
    /// What it has for whom comes behind those that were taken.
    query: ListQuery,
    timers: VecDeque<TimerView>,
    more: bool,
}

impl Part<'_> {
    /// Reads on if nothing is left of what was read, though there is more.
    async fn refill(
        &mut self,
        running: &Running,
        bounds: (usize, usize),
        deadline: Instant,
    ) -> Result<(), BackendError> {
        while self.timers.is_empty() && self.more {
            let listed = running.list_shard(self.host, &self.query, self.known, bounds, deadline).await?;
            if let Some(last) = listed.timers.last() {
                self.query.after = Some(Place::of(&last.timer));
            }
            self.more = listed.more;
            self.timers = listed.timers.into();
        }
        Ok(())
    }
}

impl Running {
    /// Reads the first timers of a list, at most `limit` and about `bytes_max` of them, but one if there is one.
    ///
    /// # Errors
    /// Those of the first shard that can't answer: a page without its timers would look whole.
    pub async fn list(
        &self,
        query: &ListQuery,
        limit: usize,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Listed, BackendError> {
        let known = self.known_group(&query.group, deadline).await?;
        let page = self.list_of(query, known, (limit, bytes_max), deadline).await;
        if page.as_ref().err() != Some(&BackendError::GroupNotFound) {
            return page;
        }
        let known = self.changed_group(&query.group, known, deadline).await?;
        self.list_of(query, known, (limit, bytes_max), deadline).await
    }

    async fn list_of(
        &self,
        query: &ListQuery,
        known: KnownGroup,
        (limit, bytes_max): (usize, usize),
        deadline: Instant,
    ) -> Result<Listed, BackendError> {
        let hosts = self.hosts_of(&query.group, known);
        let shards = hosts.len().max(1);
        let share = (limit.div_ceil(shards) + MORE_THAN_SHARE).min(limit);
        let bounds = (share, (bytes_max / shards).max(SHARD_BYTES_MIN));
        let parts = hosts.into_iter().map(|host| async move {
            let mut part = Part { host, known, query: query.clone(), timers: VecDeque::new(), more: true };
            part.refill(self, bounds, deadline).await?;
            Ok(part)
        });
        let mut parts: Vec<Part<'_>> = try_join_all(parts).await?;
        let (mut page, mut bytes) = (Listed::default(), 0);
        while let Some(first) = first_of(&mut parts, query) {
            if page.timers.len() >= limit || bytes >= bytes_max {
                page.more = true;
                break;
            }
            let Some(next) = first.timers.pop_front() else { break };
            first.refill(self, bounds, deadline).await?;
            bytes += about_bytes(&next.timer);
            page.timers.push(next);
        }
        Ok(page)
    }
}

/// About how many bytes a timer takes in an answer: its payload, and what else it may hold.
fn about_bytes(timer: &Timer) -> usize {
    const REST: usize = 1 << 10;
    timer.definition.payload.bytes().map_or(0, |bytes| bytes.len()) + REST
}

/// The part whose next timer comes first.
fn first_of<'p, 'a>(parts: &'p mut [Part<'a>], query: &ListQuery) -> Option<&'p mut Part<'a>> {
    let place = |part: &Part<'_>| part.timers.front().map(|view| Place::of(&view.timer));
    let compare = |one: &Place, other: &Place| query.order.compare(one, other);
    let waiting = parts.iter_mut().filter_map(|part| Some((place(part)?, part)));
    let first =
        waiting.reduce(|one, other| if compare(&one.0, &other.0) == Ordering::Greater { other } else { one });
    first.map(|(_, part)| part)
}
