//! Lists between timer-core's types and the peer protocol's.

use proto::Numbered as _;
use timer_core::list::{ListOrder, ListQuery, Place};
use timer_core::time::Millis;
use timer_core::timer::State;

use super::codec::CodecError;
use super::frame as wire;
use super::reply_codec::{ReplyError, found_in, found_out};
use crate::backend::Listed;

const BY_ID: u32 = 1;
const BY_TIME: u32 = 2;

/// To the wire; limits and deadline are the caller's to fill in.
#[must_use]
pub fn query_out(query: &ListQuery) -> wire::ListRequest {
    wire::ListRequest {
        group: query.group.clone(),
        states: query.states.iter().map(|state| state.number()).collect(),
        order: match query.order {
            ListOrder::Id => BY_ID,
            ListOrder::ExecuteAt => BY_TIME,
        },
        id_prefix: query.id_prefix.clone(),
        execute_after_ms: query.execute_after.0,
        execute_before_ms: query.execute_before.0,
        after: query
            .after
            .as_ref()
            .map(|place| wire::ListPlace { execute_at_ms: place.execute_at.0, timer_id: place.id.clone() }),
        ..wire::ListRequest::default()
    }
}

/// From the wire.
///
/// # Errors
/// When a state or the order is none that this version knows.
pub fn query_in(request: wire::ListRequest) -> Result<ListQuery, CodecError> {
    let states = request.states.iter().map(|number| State::from_number(*number));
    Ok(ListQuery {
        group: request.group,
        states: states.collect::<Option<_>>().ok_or(CodecError("list.states"))?,
        order: match request.order {
            BY_ID => ListOrder::Id,
            BY_TIME => ListOrder::ExecuteAt,
            _ => return Err(CodecError("list.order")),
        },
        id_prefix: request.id_prefix,
        execute_after: Millis(request.execute_after_ms),
        execute_before: Millis(request.execute_before_ms),
        after: request
            .after
            .map(|place| Place { execute_at: Millis(place.execute_at_ms), id: place.timer_id }),
    })
}

/// To the wire.
#[must_use]
pub fn listed_out(listed: &Listed) -> wire::Listed {
    let timers = listed.timers.iter().map(|view| found_out(Some(view))).collect();
    wire::Listed { timers, more: listed.more }
}

/// From the wire.
///
/// # Errors
/// See [`ReplyError`].
pub fn listed_in(listed: &wire::Listed) -> Result<Listed, ReplyError> {
    let timers = listed.timers.iter().filter_map(|found| found_in(found).transpose());
    Ok(Listed { timers: timers.collect::<Result<_, _>>()?, more: listed.more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_comes_back_as_it_was_sent() {
        for (order, after) in [
            (ListOrder::Id, None),
            (ListOrder::ExecuteAt, Some(Place { execute_at: Millis(7), id: "é".into() })),
        ] {
            let query = ListQuery {
                group: "g".into(),
                states: State::ALL.to_vec(),
                order,
                id_prefix: "p/".into(),
                execute_after: Millis(1),
                execute_before: Millis::MAX,
                after,
            };
            assert_eq!(query_in(query_out(&query)), Ok(query));
        }
    }

    #[test]
    fn what_a_newer_version_may_ask_for_is_refused_by_name() {
        let known = wire::ListRequest { order: BY_ID, ..wire::ListRequest::default() };
        assert!(query_in(known.clone()).is_ok());
        let order = wire::ListRequest { order: 3, ..known.clone() };
        assert_eq!(query_in(order), Err(CodecError("list.order")));
        let states = wire::ListRequest { states: vec![1, 99], ..known };
        assert_eq!(query_in(states), Err(CodecError("list.states")));
    }
}
