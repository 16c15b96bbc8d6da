//! Where a page of a list ends, for a client to give back: the last timer's place and a hash that ties it to the list.
//!
//! It names a place and no page of a snapshot, so it stays valid while timers come and go, for ever.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use timer_core::list::{ListOrder, ListQuery, Place};
use timer_core::time::Millis;

use super::input::fingerprint;
use super::problem::{Code, Problem};

/// Another one for another layout.
const VERSION: u8 = 1;
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
