//! Reads a list from its index: the places of each state in order, merged, and then the records of those that are shown.

use std::ops::ControlFlow;

use timer_core::ids::TimerKey;
use timer_core::list::{ListQuery, Place};
use timer_core::timer::{State, Timer};

use crate::engine::View;
use crate::error::StoreError;
use crate::keys::{listing, timer};
use crate::state_machine::StateInner;
use crate::state_machine::apply::decode_timer;
use crate::state_machine::check::with_view;
use crate::state_machine::replica::Replica;

/// The begin of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPart {
    /// Its timers.
    pub timers: Vec<Timer>,
    /// Whether there are more behind them.
    pub more: bool,
}

pub(super) fn list(
    inner: &StateInner,
    replica: &Replica,
    query: &ListQuery,
    limit: usize,
    bytes_max: usize,
) -> Result<ListPart, StoreError> {
    with_view(inner, replica, |view, current| {
        let incarnation = current.incarnation;
        let mut places = Vec::new();
        for state in &query.states {
            // One more than is shown tells whether there are more.
            places.extend(of_state(view, replica.shard, incarnation, query, *state, limit + 1)?);
        }
        places.sort_by(|one, other| query.order.compare(one, other));
        let (mut part, mut bytes) = (ListPart::default(), 0);
        for place in &places {
            // One at least, so that whoever reads on gets on.
            if !part.timers.is_empty() && (part.timers.len() >= limit || bytes >= bytes_max) {
                part.more = true;
                break;
            }
            let key = TimerKey::new(query.group.as_str(), place.id.as_str());
            let Some(record) = view.get(&timer::encode(incarnation, &key))? else {
                let detail = format!("{key} is in a list and has no record");
                return Err(StoreError::corrupted(format!("the state of shard {}", replica.shard), detail));
            };
            bytes += record.len();
            part.timers.push(decode_timer(replica.shard, &record)?);
        }
        Ok(part)
    })
}

/// The first `limit` places of one state.
fn of_state(
    view: &dyn View,
    shard: u16,
    incarnation: u32,
    query: &ListQuery,
    state: State,
    limit: usize,
) -> Result<Vec<Place>, StoreError> {
    let (group, order) = (&query.group, query.order);
    let mut from = listing::from(incarnation, group, order, state, &query.begin());
    if query.after.as_ref() == Some(&query.begin()) {
        // The least key behind it.
        from.push(0);
    }
    let to = listing::end(incarnation, group, order, state);
    let mut places = Vec::new();
    view.scan(&from, &to, &mut |key, _| {
        let Some(place) = listing::place(key, order) else {
            let store = format!("the state of shard {shard}");
            return Err(StoreError::corrupted(store, "a list has a key that is none of ours"));
        };
        if query.is_behind(&place) {
            return Ok(ControlFlow::Break(()));
        }
        places.push(place);
        Ok(if places.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(places)
}
