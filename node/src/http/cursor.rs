//! Where a page of a list ends, for a client to give back: the last timer's place and a hash that ties it to the list.
//!
//! It names a place and no page of a snapshot, so it stays valid while timers come and go, for ever.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use timer_core::ids::group_name_fault;
use timer_core::list::{ListOrder, ListQuery, Place};
use timer_core::time::Millis;

use super::input::fingerprint;
use super::problem::{Code, Problem};

/// Another one for another layout.
const VERSION: u8 = 1;
/// Begins a cursor of a list of groups.
const GROUPS: u8 = 2;
const HASH: usize = 8;
const HEAD: usize = 1 + HASH + 8;

/// The cursor behind `last`, in the list of `query`.
#[must_use]
pub fn encode(query: &ListQuery, last: &Place) -> String {
    let at = match query.order {
        ListOrder::Id => Millis(0),
        ListOrder::ExecuteAt => last.execute_at,
    };
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&fingerprint::of_place(query, at, &last.id).0[..HASH]);
    bytes.extend_from_slice(&at.0.to_be_bytes());
    bytes.extend_from_slice(last.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor behind the group `name`.
#[must_use]
pub fn of_group(name: &str) -> String {
    URL_SAFE_NO_PAD.encode([&[GROUPS], name.as_bytes()].concat())
}

/// The group that a cursor of a list of groups names.
///
/// # Errors
/// `CURSOR_INVALID` if it is none.
pub fn group_of(cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let name = bytes.as_deref().and_then(|bytes| std::str::from_utf8(bytes.strip_prefix(&[GROUPS])?).ok());
    let name = name.filter(|name| group_name_fault(name).is_none());
    name.map(str::to_owned)
        .ok_or_else(|| Problem::new(Code::CursorInvalid, "this is no cursor: give back nextCursor as it was"))
}

/// The place that a cursor names in the list of `query`.
///
/// # Errors
/// `CURSOR_INVALID` if it is not whole, or of a list with other filters.
pub fn decode(cursor: &str, query: &ListQuery) -> Result<Place, Problem> {
    let invalid = |detail: &str| Problem::new(Code::CursorInvalid, detail);
    let not_one = || invalid("this is no cursor: give back nextCursor as it was");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| not_one())?;
    let (head, id) = bytes.split_at_checked(HEAD).ok_or_else(not_one)?;
    let (at, id) = (head[1 + HASH..].try_into().map(u64::from_be_bytes), std::str::from_utf8(id));
    let (Ok(at), Ok(id), VERSION) = (at, id, head[0]) else { return Err(not_one()) };
    if fingerprint::of_place(query, Millis(at), id).0[..HASH] != head[1..=HASH] {
        return Err(invalid("the cursor is damaged, or of a list with another group, order or filter"));
    }
    Ok(Place { execute_at: Millis(at), id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_groups_comes_back_as_it_was_and_nothing_else_is_one() {
        assert_eq!(group_of(&of_group("orders-2")).ok().as_deref(), Some("orders-2"));
        for bad in [
            "",
            "!",
            "AA",
            &URL_SAFE_NO_PAD.encode(b"\x02"),
            &URL_SAFE_NO_PAD.encode(b"\x02A"),
            &URL_SAFE_NO_PAD.encode(b"\x01a"),
        ] {
            assert!(group_of(bad).is_err_and(|problem| problem.code == Code::CursorInvalid), "{bad}");
        }
    }
}
