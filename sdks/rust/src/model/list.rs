//! Lists of timers: what is asked for, and a page of what is there.

use serde::Deserialize;

use super::timer::{State, Timer};
use crate::path::encode;

/// How a list is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOrder {
    /// By id, by its UTF-8 bytes.
    Id,
    /// By `execute_at`.
    ExecuteAt,
}

/// Which timers, in which order, and how many. The default: a hundred by id, in all states but cancelled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Only in these states.
    pub states: Vec<State>,
    /// Only ids that begin so; in the order of ids.
    pub id_prefix: Option<String>,
    /// Only those for this time (RFC 3339) or later; in the order of times.
    pub execute_after: Option<String>,
    /// Only those for before this time; in the order of times.
    pub execute_before: Option<String>,
    /// By default by time if one of the two bounds is given, else by id.
    pub order_by: Option<ListOrder>,
    /// Timers of a page at most, 1 to 1000.
    pub limit: Option<u16>,
    /// [`TimerPage::next_cursor`] of the page before.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimerPage {
    /// The timers, in order.
    pub timers: Vec<Timer>,
    /// Where the next page begins; none at the end.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

impl ListOptions {
    /// The query parameters, encoded.
    pub(crate) fn query(&self) -> Vec<String> {
        let states: Vec<&str> = self.states.iter().map(|state| state.as_str()).collect();
        let order = self.order_by.map(|order| match order {
            ListOrder::Id => "id".to_owned(),
            ListOrder::ExecuteAt => "executeAt".to_owned(),
        });
        [
            ("state", (!states.is_empty()).then(|| states.join(","))),
            ("idPrefix", self.id_prefix.clone()),
            ("executeAfter", self.execute_after.clone()),
            ("executeBefore", self.execute_before.clone()),
            ("orderBy", order),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))))
        .collect()
    }
}
