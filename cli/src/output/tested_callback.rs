//! What came of a callback that was sent as a test, for people.

use std::fmt::Write as _;

use durable_timer::TestedCallback;

use super::table::one_line;
use super::timer::bytes_in;

/// What a timer would take it for, and what the receiver said.
pub fn text(tested: &TestedCallback) -> String {
    let status = tested.status_code.map(|status| format!(": {status}")).unwrap_or_default();
    let mut text = format!("{}{status}, {}\n", tested.outcome.as_str(), tested.duration);
    let more = if tested.answer_truncated { " …" } else { "" };
    let answer = match (&tested.answer, &tested.answer_base64) {
        (Some(answer), _) if !answer.is_empty() => Some(format!("{}{more}", one_line(answer))),
        (_, Some(base64)) => Some(format!("{} bytes that are no text{more}", bytes_in(base64))),
        (_, None) => None,
    };
    let error = tested.error.as_ref();
    for (name, value) in [
        ("error", error.map(|error| format!("{}: {}", one_line(&error.kind), one_line(&error.message)))),
        ("next", tested.next_execute_at.clone()),
        ("answer", answer),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<8}{value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(tested: serde_json::Value) -> String {
        text(&serde_json::from_value(tested).unwrap())
    }

    #[test]
    fn what_came_back_is_told_in_a_line_or_a_few() {
        let at = "2026-12-01T08:00:00.000Z";
        let taken = json!({"startedAt": at, "duration": "11ms", "outcome": "delivered", "statusCode": 200, "answer": ""});
        assert_eq!(shown(taken), "delivered: 200, 11ms\n");
        let failed = json!({
            "startedAt": at, "duration": "8s", "outcome": "failed", "statusCode": 500, "answer": "\u{1b}[31mno\nway",
            "answerTruncated": true, "error": {"kind": "HTTP_STATUS", "message": "the receiver answered 500"},
        });
        let told = shown(failed);
        assert!(
            told.starts_with("failed: 500, 8s\n  error   HTTP_STATUS: the receiver answered 500\n  answer  "),
            "{told}"
        );
        assert!(!told.contains('\u{1b}') && told.lines().count() == 3, "{told}");
        let none = json!({"startedAt": at, "duration": "3ms", "outcome": "failed", "error": {"kind": "DNS", "message": "no"}});
        assert_eq!(shown(none), "failed, 3ms\n  error   DNS: no\n");
    }
}
