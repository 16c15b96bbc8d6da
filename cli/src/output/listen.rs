//! Callbacks as `timerctl listen` prints them, and what they come to.

use serde_json::json;

use super::table::{one_line, pairs};
use super::timer::shorten;
use crate::clock;
use crate::commands::listen::record::Record;
use crate::commands::listen::totals::{Seen, Totals};

/// Characters of a payload that are shown.
const PAYLOAD_CHARS_MAX: usize = 200;

/// One line for people.
pub fn line(record: &Record, seen: Seen) -> String {
    let at = clock::format(record.received_at);
    let answered = record.answered;
    let callback = match &record.callback {
        Ok(callback) => callback,
        Err(fault) => {
            let request = one_line(&record.request);
            return format!("{at}  {request}  not a callback of a timer: {fault}; answered {answered}\n");
        }
    };
    let late = record.lateness_ms().map_or_else(|| "?".to_owned(), |ms| format!("{ms:+} ms"));
    let marks = [(seen.duplicate, "  DUPLICATE"), (seen.stale, "  STALE"), (callback.manual, "  manual")];
    let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, text)| *text).collect();
    let line = format!(
        "{at}  {}/{}  attempt {}  {late}  token {}  answered {answered}{marks}  {}",
        callback.timer.group,
        callback.timer.id,
        callback.attempt,
        callback.fencing_token,
        payload(record)
    );
    format!("{}\n", one_line(line.trim_end()))
}

fn payload(record: &Record) -> String {
    match record.payload() {
        Some(serde_json::Value::Null) => String::new(),
        Some(payload) => shorten(&payload.to_string(), PAYLOAD_CHARS_MAX),
        None if record.body.is_empty() => String::new(),
        None => match std::str::from_utf8(&record.body) {
            Ok(text) => shorten(text, PAYLOAD_CHARS_MAX),
            Err(_) => format!("{} bytes", record.body.len()),
        },
    }
}

/// One line for scripts.
pub fn json(record: &Record, seen: Seen) -> Vec<u8> {
    let received_at = clock::format(record.received_at);
    let line = match &record.callback {
        Ok(callback) => json!({
            "receivedAt": received_at,
            "group": callback.timer.group,
            "id": callback.timer.id,
            "generation": callback.generation,
            "attempt": callback.attempt,
            "scheduledAt": callback.scheduled_at,
            "latenessMs": record.lateness_ms(),
            "senderLateMs": callback.late_ms,
            "deferrals": callback.deferrals,
            "manual": callback.manual,
            "clusterId": callback.cluster_id,
            // As on the wire: it may not fit into a reader's numbers.
            "fencingToken": callback.fencing_token.to_string(),
            "webhookId": callback.webhook_id,
            "duplicate": seen.duplicate,
            "stale": seen.stale,
            "payload": record.payload(),
            "bodyBytes": record.body.len(),
            "answered": record.answered,
        }),
        Err(fault) => json!({
            "receivedAt": received_at,
            "request": record.request,
            "fault": fault.to_string(),
            "answered": record.answered,
        }),
    };
    line.to_string().into_bytes()
}

/// The totals for people.
pub fn totals_text(totals: &Totals) -> String {
    let others = totals.requests() - totals.received();
    let (early, earliest_ms) = totals.early();
    let lateness = totals.lateness().map(|late| {
        let early =
            if early > 0 { format!("; {early} early, by up to {} ms", -earliest_ms) } else { String::new() };
        format!(
            "p50 {} ms, p99 {} ms, max {} ms, of {} first attempts{early}",
            late.p50, late.p99, late.max, late.count
        )
    });
    pairs(&[
        ("received", Some(totals.received().to_string())),
        ("distinct", Some(format!("{} webhook ids", totals.distinct()))),
        ("duplicates", Some(format!("{} (retries included)", totals.duplicates()))),
        ("stale", Some(totals.stale().to_string())),
        ("lateness", lateness),
        ("others", (others > 0).then(|| format!("{others} requests that are no callbacks"))),
    ])
}

/// The totals for scripts, marked as such: they follow the callbacks' lines.
pub fn totals_json(totals: &Totals) -> Vec<u8> {
    let lateness = totals.lateness();
    let (early, earliest_ms) = totals.early();
    let body = json!({"totals": {
        "requests": totals.requests(),
        "received": totals.received(),
        "distinct": totals.distinct(),
        "duplicates": totals.duplicates(),
        "stale": totals.stale(),
        "early": early,
        "earliestMs": earliest_ms,
        "firstAttempts": lateness.map_or(0, |late| late.count),
        "latenessP50Ms": lateness.map(|late| late.p50),
        "latenessP99Ms": lateness.map(|late| late.p99),
        "latenessMaxMs": lateness.map(|late| late.max),
    }});
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use durable_timer::TimerName;
    use durable_timer::receiver::{CallbackHeaders, HeaderFault};
    use time::macros::datetime;

    use super::*;

    fn record(body: &[u8]) -> Record {
        Record {
            received_at: datetime!(2026-12-01 08:00:00.012 UTC),
            callback: Ok(CallbackHeaders {
                timer: TimerName::new("default", "hello\u{1b}"),
                generation: 4096,
                attempt: 1,
                scheduled_at: "2026-12-01T08:00:00.000Z".to_owned(),
                late_ms: 2,
                deferrals: 0,
                manual: false,
                cluster_id: "c".to_owned(),
                fencing_token: 9_223_372_036_854_775_807,
                webhook_id: "w".to_owned(),
                webhook_timestamp: 0,
                traceparent: None,
            }),
            request: "POST /".to_owned(),
            body: body.to_vec(),
            answered: 200,
        }
    }

    const NEW: Seen = Seen { duplicate: false, stale: false };

    #[test]
    fn a_line_holds_what_a_receiver_needs_and_steers_no_terminal() {
        let envelope =
            br#"{"group":"default","id":"x","generation":1,"attempt":1,"executeAt":"","payload":{"a":1}}"#;
        let expected = "2026-12-01T08:00:00.012Z  default/hello   attempt 1  +12 ms  \
                        token 9223372036854775807  answered 200  {\"a\":1}\n";
        assert_eq!(line(&record(envelope), NEW), expected);
        let marked = line(&record(b""), Seen { duplicate: true, stale: true });
        assert!(marked.ends_with("answered 200  DUPLICATE  STALE\n"), "{marked}");
        assert!(line(&record(&[0, 255]), NEW).ends_with("2 bytes\n"));
        assert!(line(&record(b"plain text"), NEW).ends_with("plain text\n"));
    }

    #[test]
    fn scripts_get_the_token_as_a_string() {
        let json: serde_json::Value = serde_json::from_slice(&json(&record(b"[1]"), NEW)).unwrap();
        assert_eq!(json["fencingToken"], "9223372036854775807");
        assert_eq!((&json["latenessMs"], &json["payload"]), (&json!(12), &json!([1])));
    }

    #[test]
    fn what_is_no_callback_is_shown_as_such() {
        let other = Record { callback: Err(HeaderFault::NotOnce("timer-group")), ..record(b"") };
        let expected = "2026-12-01T08:00:00.012Z  POST /  not a callback of a timer: \
                        timer-group must be there once; answered 200\n";
        assert_eq!(line(&other, NEW), expected);
    }

    #[test]
    fn totals_sum_up() {
        let mut totals = Totals::new();
        totals.count(&record(b""));
        totals.count(&record(b""));
        let expected = "\
received    2
distinct    1 webhook ids
duplicates  1 (retries included)
stale       0
lateness    p50 12 ms, p99 12 ms, max 12 ms, of 1 first attempts
";
        assert_eq!(totals_text(&totals), expected);
    }
}
