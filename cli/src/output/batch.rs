//! What became of a batch: for people what failed and how many there were, for scripts every result.

use durable_timer::BatchResult;
use serde_json::value::RawValue;

use super::table::one_line;

/// How many operations there were so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchTotals {
    /// With a timer in their result.
    pub succeeded: u64,
    /// Of those, answers that were given again.
    pub replayed: u64,
    /// With a problem.
    pub failed: u64,
}

impl BatchTotals {
    /// Counts one.
    pub const fn count(&mut self, result: &BatchResult) {
        if result.problem.is_some() {
            self.failed += 1;
        } else {
            self.succeeded += 1;
            self.replayed += result.replayed as u64;
        }
    }

    /// How many there were.
    pub const fn all(&self) -> u64 {
        self.succeeded + self.failed
    }
}

/// One line for an operation that failed; nothing for one that did not.
pub fn failed_line(line: u64, result: &BatchResult) -> Option<String> {
    let problem = result.problem.as_ref()?;
    let faults: Vec<String> =
        problem.errors.iter().skip(1).map(|fault| format!("; {}: {}", fault.field, fault.message)).collect();
    Some(format!("line {line}: {}\n", one_line(&format!("{problem}{}", faults.concat()))))
}

/// A result as the server wrote it, with the number of its line.
pub fn json_line(line: u64, result: &RawValue) -> String {
    let members = result.get().strip_prefix('{').unwrap_or("}");
    format!("{{\"line\":{line},{members}\n")
}

/// All of them in one line.
pub fn totals_text(totals: &BatchTotals) -> String {
    let BatchTotals { succeeded, replayed, failed } = totals;
    let again = if *replayed > 0 { format!(" ({replayed} had been done before)") } else { String::new() };
    format!("{} operations: {succeeded} succeeded{again}, {failed} failed\n", totals.all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_one_line_with_every_fault() {
        let raw = r#"{"status":400,"problem":{"status":400,"code":"INVALID_ARGUMENT","detail":"a: b (and 1 more)",
            "errors":[{"field":"a","message":"b"},{"field":"c","message":"d"}]}}"#;
        let result: BatchResult = serde_json::from_str(raw).unwrap();
        let mut totals = BatchTotals::default();
        totals.count(&result);
        assert_eq!(
            failed_line(7, &result).unwrap(),
            "line 7: INVALID_ARGUMENT (400): a: b (and 1 more); c: d\n"
        );
        assert_eq!(totals_text(&totals), "1 operations: 0 succeeded, 1 failed\n");
    }

    #[test]
    fn a_result_is_the_servers_json_with_its_line() {
        let raw = RawValue::from_string(r#"{"status":201}"#.to_owned()).unwrap();
        assert_eq!(json_line(3, &raw), "{\"line\":3,\"status\":201}\n");
    }
}
