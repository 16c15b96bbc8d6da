//! A timer's attempts for people.

use durable_timer::Attempt;
use time::OffsetDateTime;

use super::relative::with_distance;
use super::table::{one_line, rows};
use super::timer::{bytes_in, shorten};

/// Characters of an answer or an error that are shown.
const TEXT_CHARS_MAX: usize = 100;
const HEAD: [&str; 7] = ["GENERATION", "ATTEMPT", "STARTED AT", "TOOK", "TRIGGER", "OUTCOME", "ANSWER"];

/// One line an attempt, newest first.
pub fn text(attempts: &[Attempt], now: OffsetDateTime) -> String {
    if attempts.is_empty() {
        return "no attempts\n".to_owned();
    }
    let cells: Vec<Vec<String>> = attempts.iter().map(|attempt| line(attempt, now)).collect();
    rows(&HEAD, &cells)
}

fn line(attempt: &Attempt, now: OffsetDateTime) -> Vec<String> {
    vec![
        attempt.generation.to_string(),
        attempt.number.to_string(),
        with_distance(&attempt.started_at, now),
        attempt.duration.clone(),
        attempt.trigger.as_str().to_owned(),
        outcome(attempt),
        answer(attempt),
    ]
}

fn outcome(attempt: &Attempt) -> String {
    let status = attempt.status_code.map(|status| format!(" {status}")).unwrap_or_default();
    // The status says it all where there is one and nothing else went wrong.
    let error = attempt.error.as_ref().filter(|error| error.kind != "HTTP_STATUS");
    let error = error.map(|error| format!(" {}", one_line(&error.kind))).unwrap_or_default();
    let next = attempt.next_execute_at.as_ref().map(|at| format!(", again at {at}")).unwrap_or_default();
    let counted = if attempt.counted { "" } else { ", not counted" };
    format!("{}{status}{error}{next}{counted}", attempt.outcome.as_str())
}

/// What was answered, else why nothing was.
fn answer(attempt: &Attempt) -> String {
    let more = if attempt.answer_truncated { " …" } else { "" };
    match (&attempt.answer, &attempt.answer_base64, &attempt.error) {
        (Some(text), ..) if !text.is_empty() => format!("{}{more}", one_line(&shorten(text, TEXT_CHARS_MAX))),
        (_, Some(base64), _) => format!("{} bytes that are no text{more}", bytes_in(base64)),
        (_, _, Some(error)) => one_line(&shorten(&error.message, TEXT_CHARS_MAX)),
        (_, None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn attempts(changes: &[serde_json::Value]) -> Vec<Attempt> {
        let attempt = |changes: &serde_json::Value| {
            let mut attempt = json!({
                "generation": 28672, "number": 1, "trigger": "schedule", "counted": true,
                "scheduledAt": "2026-12-01T08:00:00.000Z", "startedAt": "2026-12-01T08:00:00.002Z",
                "duration": "11ms", "outcome": "delivered",
            });
            for (name, value) in changes.as_object().unwrap() {
                attempt[name] = value.clone();
            }
            serde_json::from_value(attempt).unwrap()
        };
        changes.iter().map(attempt).collect()
    }

    #[test]
    fn each_attempt_is_a_line_that_says_what_came_of_it() {
        let attempts = attempts(&[
            json!({"number": 5, "statusCode": 200, "answer": "", "trigger": "redrive", "counted": false}),
            json!({"number": 4, "outcome": "deferred", "statusCode": 200, "answer": "{\"ok\": false}",
                "nextExecuteAt": "2026-12-01T09:00:00.000Z"}),
            json!({"number": 3, "outcome": "failed", "statusCode": 500, "answerBase64": "AP8=", "answerTruncated": true,
                "error": {"kind": "HTTP_STATUS", "message": "the receiver answered 500"}}),
            json!({"number": 2, "outcome": "failed", "error": {"kind": "DNS", "message": "no such\nname"}}),
            json!({"outcome": "a word of tomorrow", "trigger": "another", "answer": "\u{1b}[31mred"}),
        ]);
        let expected = "\
GENERATION  ATTEMPT  STARTED AT                         TOOK  TRIGGER                 OUTCOME                                           ANSWER
28672       5        2026-12-01T08:00:00.002Z (2s ago)  11ms  redrive                 delivered 200, not counted
28672       4        2026-12-01T08:00:00.002Z (2s ago)  11ms  schedule                deferred 200, again at 2026-12-01T09:00:00.000Z  {\"ok\": false}
28672       3        2026-12-01T08:00:00.002Z (2s ago)  11ms  schedule                failed 500                                        2 bytes that are no text …
28672       2        2026-12-01T08:00:00.002Z (2s ago)  11ms  schedule                failed DNS                                        no such name
28672       1        2026-12-01T08:00:00.002Z (2s ago)  11ms  unknown to this client  unknown to this client                             [31mred
";
        let text = text(&attempts, datetime!(2026-12-01 08:00:02.002 UTC));
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let pairs = text.lines().zip(expected.lines());
        for (line, wanted) in pairs {
            assert_eq!(squeeze(line), squeeze(wanted));
        }
        assert_eq!(text.lines().count(), expected.lines().count());
        assert!(!text.contains('\u{1b}'), "an answer does not steer the terminal");
    }

    #[test]
    fn a_timer_without_attempts_says_so() {
        assert_eq!(text(&[], datetime!(2026-12-01 08:00:00 UTC)), "no attempts\n");
    }
}
