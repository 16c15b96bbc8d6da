//! What a list of timers holds, and in which order. Deliberately not here: how it is read, which the store does from its
//! index, and pages over several shards.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::time::Millis;
use crate::timer::{State, Timer};

/// How a list is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListOrder {
    /// By the bytes of the id.
    #[default]
    Id,
    /// By `execute_at`, then by the bytes of the id.
    ExecuteAt,
}

/// A timer's place in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its time; of no account in the order of ids.
    pub execute_at: Millis,
    /// Its id.
    pub id: String,
}

/// Which timers of a group, and from where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// The group.
    pub group: String,
    /// In one of these states; each once.
    pub states: Vec<State>,
    /// The order.
    pub order: ListOrder,
    /// Whose id begins so. Empty in the order of times.
    pub id_prefix: String,
    /// Whose time is at this or later. Zero in the order of ids.
    pub execute_after: Millis,
    /// Whose time is before this. [`Millis::MAX`] in the order of ids.
    pub execute_before: Millis,
    /// Those behind this place only.
    pub after: Option<Place>,
}

impl Place {
    /// That of `timer`.
    #[must_use]
    pub fn of(timer: &Timer) -> Self {
        Self { execute_at: timer.definition.execute_at, id: timer.key.id.clone() }
    }
}

impl ListOrder {
    /// Compares two places.
    #[must_use]
    pub fn compare(self, one: &Place, other: &Place) -> Ordering {
        match self {
            Self::Id => one.id.cmp(&other.id),
            Self::ExecuteAt => one.cmp(other),
        }
    }
}

impl ListQuery {
    /// Whether `timer` belongs to the list behind where it begins.
    #[must_use]
    pub fn has(&self, timer: &Timer) -> bool {
        let place = Place::of(timer);
        timer.key.group == self.group
            && self.states.contains(&timer.state)
            && place.id.starts_with(&self.id_prefix)
            && (self.execute_after..self.execute_before).contains(&place.execute_at)
            && self.after.as_ref().is_none_or(|after| self.order.compare(&place, after) == Ordering::Greater)
    }

    /// The first place that may be in it: all before it is not.
    #[must_use]
    pub fn begin(&self) -> Place {
        let first = Place { execute_at: self.execute_after, id: self.id_prefix.clone() };
        match &self.after {
            Some(after) if self.order.compare(after, &first) == Ordering::Greater => after.clone(),
            Some(_) | None => first,
        }
    }

    /// Whether a place that is not before [`Self::begin`] lies behind the list.
    #[must_use]
    pub fn is_behind(&self, place: &Place) -> bool {
        match self.order {
            ListOrder::Id => !place.id.starts_with(&self.id_prefix),
            ListOrder::ExecuteAt => place.execute_at >= self.execute_before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, Shard, put};

    fn query(order: ListOrder) -> ListQuery {
        ListQuery {
            group: "default".into(),
            states: State::ALL[..2].to_vec(),
            order,
            id_prefix: String::new(),
            execute_after: Millis(0),
            execute_before: Millis::MAX,
            after: None,
        }
    }

    fn place(execute_at: u64, id: &str) -> Place {
        Place { execute_at: Millis(execute_at), id: id.into() }
    }

    #[test]
    fn ids_sort_by_their_bytes_and_times_come_first_where_they_order() {
        assert_eq!(ListOrder::Id.compare(&place(9, "Z"), &place(1, "a")), Ordering::Less);
        assert_eq!(ListOrder::Id.compare(&place(9, "é"), &place(1, "z")), Ordering::Greater);
        assert_eq!(ListOrder::ExecuteAt.compare(&place(9, "a"), &place(1, "b")), Ordering::Greater);
        assert_eq!(ListOrder::ExecuteAt.compare(&place(1, "a"), &place(1, "b")), Ordering::Less);
    }

    #[test]
    fn a_list_begins_behind_its_cursor_or_where_its_filter_does() {
        let by_id = ListQuery { id_prefix: "b".into(), ..query(ListOrder::Id) };
        assert_eq!(by_id.begin(), place(0, "b"));
        let at_cursor = ListQuery { after: Some(place(5, "ba")), ..by_id.clone() };
        assert_eq!(at_cursor.begin(), place(5, "ba"));
        let before = ListQuery { after: Some(place(5, "a")), ..by_id.clone() };
        assert_eq!(before.begin(), place(0, "b"));
        assert!(by_id.is_behind(&place(0, "c")) && !by_id.is_behind(&place(0, "bz")));
        let by_time =
            ListQuery { execute_after: Millis(3), execute_before: Millis(7), ..query(ListOrder::ExecuteAt) };
        assert_eq!(by_time.begin(), place(3, ""));
        assert!(by_time.is_behind(&place(7, "")) && !by_time.is_behind(&place(6, "z")));
    }

    #[test]
    fn what_a_list_has_follows_every_filter() {
        let at = START + 5;
        let mut shard = Shard::new();
        shard.run(START, put("b1", at));
        let mut one = shard.timer("b1").clone();
        let all = query(ListOrder::Id);
        assert!(all.has(&one));
        assert!(!ListQuery { id_prefix: "c".into(), ..all.clone() }.has(&one));
        assert!(!ListQuery { group: "other".into(), ..all.clone() }.has(&one));
        assert!(
            !ListQuery { after: Some(place(0, "b1")), ..all.clone() }.has(&one),
            "not its own place again"
        );
        assert!(ListQuery { after: Some(place(9, "b0")), ..all.clone() }.has(&one));
        let by_time = query(ListOrder::ExecuteAt);
        assert!(!ListQuery { execute_before: Millis(at), ..by_time.clone() }.has(&one));
        assert!(ListQuery { execute_after: Millis(at), ..by_time.clone() }.has(&one));
        assert!(!ListQuery { after: Some(place(at, "b1")), ..by_time }.has(&one));
        one.state = State::Cancelled;
        assert!(!all.has(&one));
    }
}
