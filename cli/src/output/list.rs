//! A page of timers for people.

use durable_timer::Timer;
use time::OffsetDateTime;

use super::relative::with_distance;
use super::table::{one_line, rows};
use super::timer::shorten;

/// Characters of a URL that are shown.
const URL_CHARS_MAX: usize = 60;
const HEAD: [&str; 5] = ["ID", "STATE", "EXECUTE AT", "ATTEMPTS", "CALLBACK"];

/// One line a timer; with a head on the first page.
pub fn text(timers: &[Timer], is_first: bool, now: OffsetDateTime) -> String {
    if timers.is_empty() {
        return if is_first { "no timers\n".to_owned() } else { String::new() };
    }
    let cells: Vec<Vec<String>> = timers.iter().map(|timer| line(timer, now)).collect();
    let table = rows(&HEAD, &cells);
    if is_first {
        table
    } else {
        table.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_owned())
    }
}

fn line(timer: &Timer, now: OffsetDateTime) -> Vec<String> {
    vec![
        one_line(&timer.id),
        timer.state.as_str().to_owned(),
        with_distance(&timer.execute_at, now),
        format!("{} of {}", timer.attempts, timer.retry_policy.max_attempts),
        one_line(&format!("{} {}", timer.callback_method, shorten(&timer.callback_url, URL_CHARS_MAX))),
    ]
}
