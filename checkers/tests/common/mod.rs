//! What the property tests share: an indexed history of events that are known to add up.

use checkers::history::Event;
use checkers::index::{History, HistoryBuilder};

/// The events as a history, one a line.
pub fn history(events: Vec<Event>) -> History {
    let mut builder = HistoryBuilder::new();
    for (line, event) in events.into_iter().enumerate() {
        builder.push(line as u64 + 1, event).unwrap();
    }
    builder.finish().unwrap()
}
