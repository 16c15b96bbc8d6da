//! The query parameters of a list. What no index answers is refused, so that no page is ever found by reading all timers.

use timer_core::limits::TIMER_ID_BYTES_MAX;
use timer_core::list::{ListOrder, ListQuery};
use timer_core::time::Millis;
use timer_core::timer::State;

use super::faults::{Fault, Faults};
use super::values;
use crate::http::cursor;
use crate::http::limits::{LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX};
use crate::http::problem::Problem;
use crate::http::query::{Query, REVEAL};

/// Whose states are listed, with commas between them.
const STATE: &str = "state";
/// How ids begin.
const ID_PREFIX: &str = "idPrefix";
/// The earliest time.
const EXECUTE_AFTER: &str = "executeAfter";
/// The time before which.
const EXECUTE_BEFORE: &str = "executeBefore";
/// The order.
const ORDER_BY: &str = "orderBy";
/// How many a page holds.
pub(super) const LIMIT: &str = "limit";
/// Where a page begins.
pub(super) const CURSOR: &str = "cursor";

/// All that there are.
const KNOWN: [&str; 8] = [STATE, ID_PREFIX, EXECUTE_AFTER, EXECUTE_BEFORE, ORDER_BY, LIMIT, CURSOR, REVEAL];

/// A page that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The list, behind the cursor.
    pub query: ListQuery,
    /// Timers at most.
    pub limit: usize,
    /// Whether values of callback headers are shown.
    pub reveal: bool,
}

/// Reads the query of a request for a page of `group`.
///
/// # Errors
/// The problem of all faults; `CURSOR_INVALID` if the cursor is none of this list.
pub fn page(group: String, raw: Option<&str>) -> Result<Page, Problem> {
    let given = Query::parse(raw, &KNOWN)?;
    let reveal = given.flag(REVEAL)?;
    let mut faults = Faults::default();
    let (states, order) = (states(&given, &mut faults), order(&given, &mut faults));
    let mut time = |name, standard| match given.get(name).map(values::instant_in) {
        None => standard,
        Some(Ok(at)) => at,
        Some(Err(fault)) => {
            faults.add(name, fault);
            standard
        }
    };
    let (execute_after, execute_before) = (time(EXECUTE_AFTER, Millis(0)), time(EXECUTE_BEFORE, Millis::MAX));
    let id_prefix = given.get(ID_PREFIX).unwrap_or_default().to_owned();
    if id_prefix.len() > TIMER_ID_BYTES_MAX {
        faults.add(ID_PREFIX, Fault::limit(format!("must not be longer than {TIMER_ID_BYTES_MAX} bytes")));
    }
    let limit = limit(&given, &mut faults);
    let query = ListQuery { group, states, order, id_prefix, execute_after, execute_before, after: None };
    let mut page = faults.into_result(Some(Page { query, limit, reveal }))?;
    if let Some(cursor) = given.get(CURSOR) {
        page.query.after = Some(cursor::decode(cursor, &page.query)?);
    }
    Ok(page)
}

/// Without the parameter all but the cancelled ones, which are there to answer a repeated DELETE.
fn states(given: &Query, faults: &mut Faults) -> Vec<State> {
    let Some(text) = given.get(STATE) else {
        return State::ALL.into_iter().filter(|state| *state != State::Cancelled).collect();
    };
    let mut states = Vec::new();
    for name in text.split(',') {
        match State::ALL.into_iter().find(|state| state.as_str() == name) {
            Some(state) if states.contains(&state) => {
                faults.add(STATE, Fault::schema(format!("names {name} twice")));
            }
            Some(state) => states.push(state),
            None => {
                let names = State::ALL.map(State::as_str).join(", ");
                faults.add(STATE, Fault::schema(format!("must be of {names}, with commas between several")));
            }
        }
    }
    // A cursor is of a set of states, in whatever order they were named.
    states.sort_unstable();
    states
}

/// Times are an index of their own, and so are ids: a list has one of the two.
fn order(given: &Query, faults: &mut Faults) -> ListOrder {
    let by_time = [EXECUTE_AFTER, EXECUTE_BEFORE].into_iter().find(|name| given.get(name).is_some());
    let by_id = given.get(ID_PREFIX).map(|_| ID_PREFIX);
    let order = match given.get(ORDER_BY) {
        None if by_time.is_some() => ListOrder::ExecuteAt,
        None | Some("id") => ListOrder::Id,
        Some("executeAt") => ListOrder::ExecuteAt,
        Some(_) => {
            faults.add(ORDER_BY, Fault::schema("must be id or executeAt"));
            return ListOrder::Id;
        }
    };
    let without_index = match order {
        ListOrder::Id => by_time.map(|name| (name, "executeAt")),
        ListOrder::ExecuteAt => by_id.map(|name| (name, "id")),
    };
    if let Some((name, wanted)) = without_index {
        faults.add(name, Fault::schema(format!("needs orderBy={wanted}: there is no index for both")));
    }
    order
}

pub(super) fn limit(given: &Query, faults: &mut Faults) -> usize {
    let Some(text) = given.get(LIMIT) else { return LIST_LIMIT_DEFAULT };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(limit @ 1..=LIST_LIMIT_MAX) if digits => return limit,
        _ if digits => faults.add(LIMIT, Fault::limit(format!("must be 1 to {LIST_LIMIT_MAX}"))),
        _ => faults.add(LIMIT, Fault::schema("must be a whole number")),
    }
    LIST_LIMIT_DEFAULT
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
