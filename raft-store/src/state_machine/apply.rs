//! Applies committed entries: the rules are timer-core's, the writing is ours.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use openraft::storage::EntryResponder;
use timer_core::attempt::Attempt;
use timer_core::group::{Group, GroupCounts};
use timer_core::ids::TimerKey;
use timer_core::mutant::Mutant;
use timer_core::tables::{Changes, Overlay, Tables, TimerChange, apply, index_keys};
use timer_core::time::Millis;
use timer_core::timer::{State, Timer};

use crate::engine::{Batch, View};
use crate::error::StoreError;
use crate::failpoint::Failpoint;
use crate::keys::{expiry, group, group_counts, listing, parked, timer, wheel};
use crate::state_machine::replica::Replica;
use crate::state_machine::{NoticeSink, StateInner, history, meta};
use crate::type_config::{EntryReply, Payload, StoredMembership, TypeConfig};

/// The timers of an incarnation, as timer-core reads them.
pub(super) struct Stored<'a> {
    pub(super) view: &'a dyn View,
    pub(super) shard: u16,
    pub(super) incarnation: u32,
}

impl Tables for Stored<'_> {
    type Error = StoreError;

    fn timer(&self, key: &TimerKey) -> Result<Option<Timer>, StoreError> {
        let bytes = self.view.get(&timer::encode(self.incarnation, key))?;
        bytes.map(|bytes| decode_timer(self.shard, &bytes)).transpose()
    }

    fn group(&self, name: &str) -> Result<Option<Group>, StoreError> {
        let bytes = self.view.get(&group::encode(self.incarnation, name))?;
        bytes.map(|bytes| decode_group(self.shard, &bytes)).transpose()
    }

    fn group_counts(&self, name: &str) -> Result<GroupCounts, StoreError> {
        let bytes = self.view.get(&group_counts::encode(self.incarnation, name))?;
        bytes.map_or_else(|| Ok(GroupCounts::default()), |bytes| decode_counts(self.shard, &bytes))
    }

    fn first_position(
        &self,
        from: Millis,
        until: Millis,
        counts: &dyn Fn(&TimerKey) -> bool,
    ) -> Result<Option<Millis>, StoreError> {
        let (begin, end) = wheel::range(self.incarnation, from, until);
        let mut first = None;
        self.view.scan(&begin, &end, &mut |key, value| {
            let Some(((at, _), timer)) = wheel::decode(key).zip(timer::parse(value)) else {
                let store = format!("the state of shard {}", self.shard);
                return Err(StoreError::corrupted(store, "an index key that is none of ours"));
            };
            first = counts(&timer).then_some(at);
            Ok(if first.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(first)
    }

    fn attempts(&self, key: &TimerKey) -> Result<BTreeMap<u8, Attempt>, StoreError> {
        history::load(self.view, self.shard, self.incarnation, key)
    }
}

/// Reads a timer's record.
pub(super) fn decode_timer(shard: u16, bytes: &[u8]) -> Result<Timer, StoreError> {
    proto::record::decode_timer(bytes)
        .map_err(|e| StoreError::corrupted(format!("the state of shard {shard}"), format!("a timer: {e}")))
}

/// Reads a group's record.
pub(super) fn decode_group(shard: u16, bytes: &[u8]) -> Result<Group, StoreError> {
    proto::group::decode(bytes)
        .map_err(|e| StoreError::corrupted(format!("the state of shard {shard}"), format!("a group: {e}")))
}

/// Reads how many timers a group has.
pub(super) fn decode_counts(shard: u16, bytes: &[u8]) -> Result<GroupCounts, StoreError> {
    proto::group::decode_counts(bytes).map_err(|e| {
        StoreError::corrupted(format!("the state of shard {shard}"), format!("a group's counts: {e}"))
    })
}

/// Applies entries in order, in one write, and answers them.
///
/// Either all took effect or, on an error, none.
pub(super) fn apply_batch(
    inner: &StateInner,
    replica: &Replica,
    sink: Option<&dyn NoticeSink>,
    entries: Vec<EntryResponder<TypeConfig>>,
) -> Result<(), StoreError> {
    let shard = replica.shard;
    let mut current = replica.current().clone();
    let stored = Stored { view: &*inner.engine, shard, incarnation: current.incarnation };
    let cursor_before = current.state.cursor;
    let mut overlay = Overlay::new(&stored, std::mem::take(&mut current.state));
    let mut answers = Vec::new();
    let mut membership_changed = false;
    for (entry, responder) in entries {
        let id = entry.log_id;
        if current.applied.is_some_and(|applied| id.index() <= applied.index()) {
            return Err(StoreError::Misuse { shard, detail: format!("entry {id} was applied before") });
        }
        let reply = match entry.payload {
            Payload::Blank => EntryReply::None,
            Payload::Normal(data) => {
                let decoded = proto::entry::decode(&data.0).map_err(|e| {
                    StoreError::corrupted(format!("the log of shard {shard}"), format!("entry {id}: {e}"))
                })?;
                EntryReply::Replies(apply(&mut overlay, id.index(), &decoded)?)
            }
            Payload::Membership(membership) => {
                current.membership = StoredMembership::new(Some(id), membership);
                membership_changed = true;
                EntryReply::None
            }
        };
        current.applied = Some(id);
        if let Some(responder) = responder {
            answers.push((responder, reply));
        }
    }
    let Some(applied) = current.applied else { return Ok(()) };
    let Changes { state, timers, groups, group_counts, notices } = overlay.into_changes();
    current.state = state;

    let mut batch = Batch::default();
    if cursor_before < current.state.cursor {
        // One range delete covers the tombstones of the closed slots, which cost a scan nothing any more. It goes
        // before the batch's own keys, and takes nothing along: the cursor passes no timer that waits.
        batch.delete_range(wheel::range(current.incarnation, cursor_before, current.state.cursor));
    }
    for change in &timers {
        put_change(&mut batch, current.incarnation, change);
    }
    for changed in &groups {
        batch.put(group::encode(current.incarnation, &changed.name), proto::group::encode(changed));
    }
    for (name, counts) in &group_counts {
        put_counts(&mut batch, current.incarnation, name, counts);
    }
    if membership_changed {
        meta::put_membership(&mut batch, current.incarnation, &current.membership);
    }
    meta::put_applied(&mut batch, current.incarnation, &applied, &current.state);
    let moment = current.moment();
    {
        let mut now = replica.current_mut();
        inner.engine.write(batch, false)?;
        *now = current;
    }
    replica.set_moment(moment);
    Failpoint::StateWritten.pass();
    if let Some(sink) = sink
        && sink.listens()
    {
        sink.applied(applied, notices);
    }
    for (responder, reply) in answers {
        responder.send(reply);
    }
    Ok(())
}

/// How many timers a group has; a group without any has no record of it.
pub(super) fn put_counts(batch: &mut Batch, incarnation: u32, name: &str, counts: &GroupCounts) {
    let key = group_counts::encode(incarnation, name);
    if counts.total() == 0 { batch.delete(key) } else { batch.put(key, proto::group::encode_counts(counts)) }
}

/// The keys of a timer in the lists.
pub(super) fn put_listing(
    batch: &mut Batch,
    incarnation: u32,
    timer: &TimerKey,
    place: Option<(State, Millis)>,
) {
    for key in place.into_iter().flat_map(|place| listing::keys(incarnation, timer, place)) {
        batch.put(key, Vec::new());
    }
}

/// A timer's record and its index keys change together.
fn put_change(batch: &mut Batch, incarnation: u32, change: &TimerChange) {
    let (before, after) = (index_keys(change.before.as_ref()), index_keys(change.after.as_ref()));
    let mut name = Vec::new();
    timer::append(&mut name, &change.key);
    if before.wheel != after.wheel {
        if let Some((position, generation)) = before.wheel {
            batch.delete(wheel::encode(incarnation, position, generation));
        }
        if let Some((position, generation)) = after.wheel {
            batch.put(wheel::encode(incarnation, position, generation), name.clone());
        }
    }
    if before.parked != after.parked {
        let at =
            |(position, generation)| parked::encode(incarnation, &change.key.group, position, generation);
        if let Some(place) = before.parked {
            batch.delete(at(place));
        }
        if let Some(place) = after.parked {
            batch.put(at(place), name.clone());
        }
    }
    if before.expiry != after.expiry {
        if let Some((at, version)) = before.expiry {
            batch.delete(expiry::encode(incarnation, at, version));
        }
        if let Some((at, version)) = after.expiry {
            batch.put(expiry::encode(incarnation, at, version), name);
        }
    }
    if before.listing != after.listing {
        let left = before.listing.filter(|_| !Mutant::ListKeepsWhatChanged.is_on());
        for key in left.into_iter().flat_map(|place| listing::keys(incarnation, &change.key, place)) {
            batch.delete(key);
        }
        put_listing(batch, incarnation, &change.key, after.listing);
    }
    history::put(batch, incarnation, &change.key, &change.attempts, (before.attempts, after.attempts));
    let key = timer::encode(incarnation, &change.key);
    match &change.after {
        Some(after) => batch.put(key, proto::record::encode_timer(after)),
        None => batch.delete(key),
    }
}
