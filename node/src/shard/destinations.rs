//! Attempts at the same time per destination: who finds no place queues for one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::office::{Due, Office};

/// Limits attempts per destination.
#[derive(Debug)]
pub struct Destinations {
    at_once_max: usize,
    table: Mutex<HashMap<String, Destination>>,
}

#[derive(Debug, Default)]
struct Destination {
    under_way: usize,
    waiting: VecDeque<(Weak<Office>, Due)>,
}

impl Destinations {
    /// At most `at_once_max` attempts to one scheme, host and port.
    #[must_use]
    pub fn new(at_once_max: usize) -> Self {
        Self { at_once_max, table: Mutex::new(HashMap::new()) }
    }

    /// Takes a place, or queues for one and gives `false`.
    pub(super) fn enter(&self, name: &str, office: &Arc<Office>, due: &Due) -> bool {
        let mut table = self.table.lock();
        let destination = table.entry(name.to_owned()).or_default();
        if destination.under_way < self.at_once_max {
            destination.under_way += 1;
            return true;
        }
        // Before it is queued: whoever makes room may start it again at once.
        office.withdraw_waiting(due);
        destination.waiting.push_back((Arc::downgrade(office), due.clone()));
        false
    }

    /// Frees a place and makes the next that waits for it ready.
    pub(super) fn leave(&self, name: &str) {
        let mut table = self.table.lock();
        let Some(destination) = table.get_mut(name) else { return };
        destination.under_way -= 1;
        let next = std::iter::from_fn(|| destination.waiting.pop_front())
            .find_map(|(office, due)| Some((office.upgrade()?, due)));
        if destination.under_way == 0 && destination.waiting.is_empty() {
            table.remove(name);
        }
        drop(table);
        if let Some((office, due)) = next {
            office.put_back(due);
            office.wake.notify_one();
        }
    }
}

/// Scheme, host and port of a URL that was checked when the timer was made.
pub(super) fn destination(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    url[..end].to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_scheme_host_and_port() {
        assert_eq!(destination("http://A.example:80/x/y?z"), "http://a.example:80");
        assert_eq!(destination("https://b.example?x"), "https://b.example");
        assert_eq!(destination("https://[::1]:9"), "https://[::1]:9");
    }
}
