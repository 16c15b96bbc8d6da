//! Probes of a whole replica: is it equal to others', and do its indexes say what its timers say?

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use timer_core::group::GroupCounts;
use timer_core::tables::index_keys;
use timer_core::timer::State;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::engine::View;
use crate::error::StoreError;
use crate::keys::{
    KeyRange, attempt, expiry, group, group_counts, incarnation_range, listing, parked, timer, wheel,
};
use crate::state_machine::apply::{decode_counts, decode_timer};
use crate::state_machine::replica::{Current, Replica};
use crate::state_machine::{StateInner, history, meta};
use crate::type_config::LogId;

/// What does not agree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexFault {
    /// An index has other keys than the timers call for.
    #[error("{table} has {found} keys, the timers call for {expected}; or they differ")]
    Keys {
        /// Which table.
        table: &'static str,
        /// Keys that are there.
        found: u64,
        /// Keys that should be.
        expected: u64,
    },
    /// The counts in the shard's state are wrong.
    #[error("the shard's state counts {counted:?} timers by state, there are {found:?}")]
    Counts {
        /// As counted.
        counted: [u64; State::ALL.len()],
        /// As found.
        found: [u64; State::ALL.len()],
    },
    /// The counts of a group are wrong.
    #[error("{counted:?} of {group} timers by state are counted, there are {found:?}")]
    GroupCounts {
        /// The group.
        group: String,
        /// As counted.
        counted: [u64; State::ALL.len()],
        /// As found.
        found: [u64; State::ALL.len()],
    },
    /// The number of parked timers in the shard's state is wrong.
    #[error("the shard's state counts {counted} parked timers, there are {found}")]
    Parked {
        /// As counted.
        counted: u64,
        /// As found.
        found: u64,
    },
    /// The number of groups in the shard's state is wrong.
    #[error("the shard's state counts {counted} groups, there are {found}")]
    Groups {
        /// As counted.
        counted: u64,
        /// As found.
        found: u64,
    },
}

/// Calls `read` with a view of the replica as it is after one entry.
pub(super) fn with_view<T>(
    inner: &StateInner,
    replica: &Replica,
    mut read: impl FnMut(&dyn View, &Current) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let _files_stay = inner.files.read_recursive();
    let mut current = Some(replica.current());
    let mut out = None;
    inner.engine.view(&mut |view| {
        let incarnation = current.take().map_or(0, |current| current.incarnation);
        let at_view = meta::load(view, replica.shard, incarnation)?;
        out = Some(read(view, &at_view)?);
        Ok(())
    })?;
    out.ok_or(StoreError::Closed)
}

pub(super) fn state_hash(inner: &StateInner, replica: &Replica) -> Result<(Option<LogId>, u64), StoreError> {
    with_view(inner, replica, |view, current| {
        let mut hash = Xxh3::new();
        let (from, to) = incarnation_range(current.incarnation);
        view.scan(&from, &to, &mut |key, value| {
            hash_record(&mut hash, &key[4..], value);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((current.applied, hash.digest()))
    })
}

/// Adds a record, without its incarnation, to a hash.
pub(super) fn hash_record(hash: &mut Xxh3, key: &[u8], value: &[u8]) {
    for part in [key, value] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
}

/// A set of keys and values whatever their order: how many, and the sum of their hashes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    hash: u64,
}

impl Sum {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count += 1;
        self.hash = self.hash.wrapping_add(xxh3_64(&[key, &[0], value].concat()));
    }
}

fn sum(view: &dyn View, (from, to): &KeyRange) -> Result<Sum, StoreError> {
    let mut found = Sum::default();
    view.scan(from, to, &mut |key, value| {
        found.add(key, value);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// The keys of all histories. What their values say of the past nothing else knows; that they can be read is checked.
fn history_sum(view: &dyn View, shard: u16, incarnation: u32) -> Result<Sum, StoreError> {
    let (from, to) = attempt::all(incarnation);
    let mut found = Sum::default();
    view.scan(&from, &to, &mut |key, value| {
        history::decode_key(shard, key)?;
        history::decode(shard, value)?;
        found.add(key, &[]);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

pub(super) fn check_indexes(inner: &StateInner, replica: &Replica) -> Result<Option<IndexFault>, StoreError> {
    with_view(inner, replica, |view, current| {
        let incarnation = current.incarnation;
        let (mut wheel_sum, mut parked_sum, mut expiry_sum) =
            (Sum::default(), Sum::default(), Sum::default());
        let (mut listing_sum, mut attempt_sum) = (Sum::default(), Sum::default());
        let mut counts = [0; State::ALL.len()];
        let mut groups = BTreeMap::<String, GroupCounts>::new();
        let (from, to) = timer::range(incarnation);
        view.scan(&from, &to, &mut |key, value| {
            let timer = decode_timer(replica.shard, value)?;
            counts[timer.state as usize] += 1;
            match groups.get_mut(&timer.key.group) {
                Some(counts) => counts.0[timer.state as usize] += 1,
                None => groups.entry(timer.key.group.clone()).or_default().0[timer.state as usize] += 1,
            }
            let (keys, name) = (index_keys(Some(&timer)), &key[5..]);
            if let Some((at, generation)) = keys.wheel {
                wheel_sum.add(&wheel::encode(incarnation, at, generation), name);
            }
            if let Some((at, generation)) = keys.parked {
                parked_sum.add(&parked::encode(incarnation, &timer.key.group, at, generation), name);
            }
            if let Some((at, version)) = keys.expiry {
                expiry_sum.add(&expiry::encode(incarnation, at, version), name);
            }
            for key in
                keys.listing.into_iter().flat_map(|place| listing::keys(incarnation, &timer.key, place))
            {
                listing_sum.add(&key, &[]);
            }
            for slot in 0..keys.attempts {
                attempt_sum.add(&attempt::encode(incarnation, &timer.key, slot), &[]);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        // Counted before their keys are compared: a count that is too small would keep a leader from looking.
        let (counted, found) = (current.state.parked, parked_sum.count);
        if counted != found {
            return Ok(Some(IndexFault::Parked { counted, found }));
        }
        for (table, found, expected) in [
            ("wheel", sum(view, &wheel::all(incarnation))?, wheel_sum),
            ("parked", sum(view, &parked::all(incarnation))?, parked_sum),
            ("expiry", sum(view, &expiry::all(incarnation))?, expiry_sum),
            ("listing", sum(view, &listing::all(incarnation))?, listing_sum),
            ("history", history_sum(view, replica.shard, incarnation)?, attempt_sum),
        ] {
            if found != expected {
                let (found, expected) = (found.count, expected.count);
                return Ok(Some(IndexFault::Keys { table, found, expected }));
            }
        }
        let counted = current.state.counts;
        if counted != counts {
            return Ok(Some(IndexFault::Counts { counted, found: counts }));
        }
        check_groups(view, replica.shard, current, groups)
    })
}

/// Compares what is kept of groups with `found`: their timers.
fn check_groups(
    view: &dyn View,
    shard: u16,
    current: &Current,
    mut found: BTreeMap<String, GroupCounts>,
) -> Result<Option<IndexFault>, StoreError> {
    let mut fault = None;
    let (from, to) = group_counts::all(current.incarnation);
    view.scan(&from, &to, &mut |key, value| {
        let group = String::from_utf8_lossy(&key[5..]).into_owned();
        let counted = decode_counts(shard, value)?;
        let found = found.remove(&group).unwrap_or_default();
        if counted != found {
            fault = Some(IndexFault::GroupCounts { group, counted: counted.0, found: found.0 });
        }
        Ok(if fault.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    if fault.is_none()
        && let Some((group, found)) = found.pop_first()
    {
        fault = Some(IndexFault::GroupCounts { group, counted: GroupCounts::default().0, found: found.0 });
    }
    let (records, counted) =
        (sum(view, &group::range_from(current.incarnation, ""))?.count, current.state.groups);
    Ok(fault.or_else(|| (records != counted).then_some(IndexFault::Groups { counted, found: records })))
}
