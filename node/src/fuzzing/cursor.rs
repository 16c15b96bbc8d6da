//! Cursors: one that was given out leads back to its place in its list, and to no place of another list.

use std::str::from_utf8;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use timer_core::list::{ListOrder, ListQuery, Place};
use timer_core::time::Millis;
use timer_core::timer::State;

use super::input::Input;
use crate::http::cursor;
use crate::http::input::list::{self, Page};
use crate::http::limits::LIST_LIMIT_MAX;
use crate::http::problem::Code;
use crate::rfc3339;

/// The bytes as two lists and a place; as a cursor; and as the query of a request for a page.
pub fn holds(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let (one, other) = (query(&mut input), query(&mut input));
    let place = Place { execute_at: Millis(input.near()), id: input.text() };
    let damage = (input.byte(), input.byte());
    leads_back(&one, &other, &place, damage);
    asked_for(&one, &place);
    let Ok(text) = from_utf8(data) else { return false };
    if let Ok(place) = cursor::decode(text, &one) {
        assert_eq!(cursor::encode(&one, &place), text, "a cursor that we would not write");
    }
    match list::page("default".to_owned(), Some(text)) {
        Ok(page) => {
            page_is_one(&page);
            true
        }
        Err(problem) => {
            assert!(matches!(problem.code, Code::InvalidArgument | Code::OutOfRange | Code::CursorInvalid));
            false
        }
    }
}

/// Any list that a request can ask for.
fn query(input: &mut Input<'_>) -> ListQuery {
    let chosen = input.byte();
    let states: Vec<State> = State::ALL
        .into_iter()
        .enumerate()
        .filter(|(n, _)| chosen >> n & 1 == 1)
        .map(|(_, state)| state)
        .collect();
    let mut query = ListQuery {
        group: input.one_of(&["default", "orders"]).to_owned(),
        states: if states.is_empty() { vec![State::Scheduled] } else { states },
        order: input.one_of(&[ListOrder::Id, ListOrder::ExecuteAt]),
        id_prefix: String::new(),
        execute_after: Millis(0),
        execute_before: Millis::MAX,
        after: None,
    };
    match query.order {
        ListOrder::Id => query.id_prefix = input.text(),
        ListOrder::ExecuteAt => {
            query.execute_after = Millis(input.near().min(Millis::MAX.0));
            query.execute_before = Millis(input.near().min(Millis::MAX.0));
        }
    }
    query
}

/// Another list, another place or another character makes it none.
fn leads_back(one: &ListQuery, other: &ListQuery, place: &Place, (at, by): (u8, u8)) {
    let text = cursor::encode(one, place);
    assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
    let execute_at = if one.order == ListOrder::Id { Millis(0) } else { place.execute_at };
    let there = Place { execute_at, ..place.clone() };
    assert_eq!(cursor::decode(&text, one).ok(), Some(there.clone()), "{text}");
    let of_other = cursor::decode(&text, other);
    assert_eq!(of_other.ok(), (one == other).then_some(there), "{one:?} {other:?}");
    let mut damaged = text.into_bytes();
    let at = usize::from(at) % damaged.len();
    damaged[at] ^= by & 0x7F;
    if let (true, Ok(damaged)) = (by & 0x7F != 0, String::from_utf8(damaged)) {
        assert!(cursor::decode(&damaged, one).is_err(), "{damaged}");
    }
}

/// A request that names the list and the cursor asks for just this.
fn asked_for(query: &ListQuery, place: &Place) {
    let states: Vec<_> = query.states.iter().rev().map(|state| state.as_str()).collect();
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let filter = match query.order {
        ListOrder::Id => format!("idPrefix={}", escaped(&query.id_prefix)),
        ListOrder::ExecuteAt => format!(
            "orderBy=executeAt&executeAfter={}&executeBefore={}",
            rfc3339::format(query.execute_after),
            rfc3339::format(query.execute_before)
        ),
    };
    let raw = format!("state={}&{filter}&cursor={}", states.join(","), cursor::encode(query, place));
    let page = match list::page(query.group.clone(), Some(&raw)) {
        Ok(page) => page,
        Err(problem) => panic!("{raw}: {}", problem.detail),
    };
    assert_eq!(page.query.after.as_ref().map(|after| &after.id), Some(&place.id));
    assert_eq!(ListQuery { after: None, ..page.query.clone() }, *query, "{raw}");
    page_is_one(&page);
}

fn page_is_one(page: &Page) {
    let ListQuery { states, order, id_prefix, execute_after, execute_before, .. } = &page.query;
    assert!((1..=LIST_LIMIT_MAX).contains(&page.limit));
    assert!(!states.is_empty() && states.is_sorted_by(|one, next| one < next), "{states:?}");
    match order {
        ListOrder::Id => assert_eq!((*execute_after, *execute_before), (Millis(0), Millis::MAX)),
        ListOrder::ExecuteAt => assert!(id_prefix.is_empty()),
    }
}
