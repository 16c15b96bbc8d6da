//! A timer for people.

use std::collections::BTreeMap;

use durable_timer::{InFlight, Timer};
use time::OffsetDateTime;

use super::relative::with_distance;
use super::table::pairs;

/// Characters of a payload that are shown.
const PAYLOAD_CHARS_MAX: usize = 300;

/// `done` is what was done with it, if anything.
pub fn text(done: &str, timer: &Timer, replayed: bool, now: OffsetDateTime) -> String {
    let at = |time: &Option<String>| time.as_ref().map(|time| with_distance(time, now));
    let retry = &timer.retry_policy;
    let rows = [
        ("timer", Some(format!("{}/{}", timer.group, timer.id))),
        ("done", (!done.is_empty()).then(|| done.to_owned())),
        (
            "repeated",
            replayed.then(|| "this is the answer of an earlier request with the same key".to_owned()),
        ),
        ("in flight", in_flight(timer, now)),
        ("state", Some(timer.state.as_str().to_owned())),
        ("execute at", Some(with_distance(&timer.execute_at, now))),
        (
            "next attempt",
            at(&timer.next_attempt_at).filter(|_| timer.next_attempt_at.as_ref() != Some(&timer.execute_at)),
        ),
        ("executed at", at(&timer.executed_at)),
        ("attempts", Some(format!("{} of {}", timer.attempts, retry.max_attempts))),
        ("deferrals", (timer.deferrals > 0).then(|| timer.deferrals.to_string())),
        ("last error", last_error(timer, now)),
        ("callback", Some(format!("{} {}", timer.callback_method, timer.callback_url))),
        ("headers", map(&timer.callback_headers, ": ")),
        ("payload", payload(timer)),
        ("labels", map(&timer.labels, "=")),
        ("retries", Some(retries(timer))),
        ("if late", timer.grace_window.as_ref().map(|window| format!("skip when more than {window} late"))),
        ("generation", Some(timer.generation.to_string())),
        ("version", Some(timer.version.to_string())),
        ("shard", Some(timer.shard.to_string())),
        ("created at", Some(with_distance(&timer.created_at, now))),
    ];
    pairs(&rows)
}

fn in_flight(timer: &Timer, now: OffsetDateTime) -> Option<String> {
    let until = timer.attempt_in_flight_until.as_ref().map(|until| with_distance(until, now));
    let until = until.map(|until| format!(", until {until} at the latest")).unwrap_or_default();
    match timer.attempt_in_flight? {
        // What a cancel is asked for: everywhere else it goes without saying.
        InFlight::No if timer.state.as_str() == "cancelled" => {
            Some("nothing: no attempt starts any more".to_owned())
        }
        InFlight::No => None,
        InFlight::Yes => Some(format!("an attempt is on its way{until}")),
        InFlight::Possible => Some(format!("a leader that is gone may have sent an attempt{until}")),
        InFlight::Unknown => Some(format!("perhaps{until}")),
    }
}

fn last_error(timer: &Timer, now: OffsetDateTime) -> Option<String> {
    let error = timer.last_error.as_ref()?;
    let status = error.status_code.map(|status| format!(" {status}")).unwrap_or_default();
    Some(format!("{}{status}: {}, {}", error.kind, error.message, with_distance(&error.at, now)))
}

fn map(map: &BTreeMap<String, String>, between: &str) -> Option<String> {
    let parts: Vec<_> = map.iter().map(|(name, value)| format!("{name}{between}{value}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn payload(timer: &Timer) -> Option<String> {
    if let Some(json) = &timer.payload {
        return Some(shorten(json.get(), PAYLOAD_CHARS_MAX));
    }
    let base64 = timer.payload_base64.as_ref()?;
    let kind = timer.content_type.as_deref().unwrap_or("unknown type");
    Some(format!("{} bytes of {kind}", bytes_in(base64)))
}

/// How many bytes a text in base64 stands for.
pub fn bytes_in(base64: &str) -> usize {
    let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

fn retries(timer: &Timer) -> String {
    let retry = &timer.retry_policy;
    format!(
        "{} attempts within {}, {} apart, then ×{} up to {}; {} for each",
        retry.max_attempts,
        retry.max_duration,
        retry.initial_interval,
        retry.backoff_multiplier,
        retry.max_interval,
        timer.callback_timeout
    )
}

/// `text`, or its beginning and how long it is.
pub fn shorten(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn timer(changes: &serde_json::Value) -> Timer {
        let mut timer = json!({
            "group": "default", "id": "hello", "shard": 3, "generation": 28672, "version": 28673,
            "state": "scheduled", "executeAt": "2026-12-01T08:00:00.000Z",
            "nextAttemptAt": "2026-12-01T08:00:00.000Z", "attempts": 0, "deferrals": 0,
            "createdAt": "2026-11-25T10:00:00.000Z", "updatedAt": "2026-11-25T10:00:00.000Z",
            "attemptInFlight": "no", "callbackUrl": "http://127.0.0.1:9000/", "callbackMethod": "POST",
            "callbackTimeout": "30s", "callbackBody": "envelope",
            "retryPolicy": {
                "maxAttempts": 10, "maxDuration": "1d", "initialInterval": "1s", "backoffMultiplier": 2.0,
                "maxInterval": "1h", "jitter": 0.2, "deadOn": "4xx",
            },
            "latePolicy": "fire", "payload": {"hello": "world"},
        });
        for (name, value) in changes.as_object().unwrap() {
            timer[name] = value.clone();
        }
        serde_json::from_str(&timer.to_string()).unwrap()
    }

    #[test]
    fn a_cancelled_timer_says_that_no_attempt_starts_any_more() {
        let shown = text(
            "cancelled",
            &timer(&json!({"state": "cancelled"})),
            false,
            datetime!(2026-11-25 10:00:01 UTC),
        );
        assert!(shown.contains("in flight   nothing: no attempt starts any more\n"), "{shown}");
        let shown = text("", &timer(&json!({})), false, datetime!(2026-11-25 10:00:01 UTC));
        assert!(!shown.contains("in flight"), "{shown}");
    }

    #[test]
    fn a_scheduled_timer_shows_what_it_will_do() {
        let now = datetime!(2026-11-25 10:00:01 UTC);
        let expected = "\
timer       default/hello
done        created
state       scheduled
execute at  2026-12-01T08:00:00.000Z (in 5d 21h)
attempts    0 of 10
callback    POST http://127.0.0.1:9000/
payload     {\"hello\":\"world\"}
retries     10 attempts within 1d, 1s apart, then ×2 up to 1h; 30s for each
generation  28672
version     28673
shard       3
created at  2026-11-25T10:00:00.000Z (1s ago)
";
        assert_eq!(text("created", &timer(&json!({})), false, now), expected);
    }

    #[test]
    fn a_retrying_timer_shows_what_went_wrong_and_what_may_still_arrive() {
        let now = datetime!(2026-12-01 08:00:03 UTC);
        let timer = timer(&json!({
            "state": "retrying", "attempts": 2, "deferrals": 1, "nextAttemptAt": "2026-12-01T08:00:08.000Z",
            "attemptInFlight": "possible", "attemptInFlightUntil": "2026-12-01T08:00:33.000Z",
            "lastError": {"kind": "HTTP_STATUS", "statusCode": 500, "message": "answered 500", "at": "2026-12-01T08:00:02.000Z"},
            "payload": null, "payloadBase64": "AP8=", "contentType": "image/png", "graceWindow": "1h",
            "labels": {"team": "a", "x": "y"}, "callbackHeaders": {"authorization": "[redacted]"},
        }));
        let expected = "\
timer         default/hello
repeated      this is the answer of an earlier request with the same key
in flight     a leader that is gone may have sent an attempt, until 2026-12-01T08:00:33.000Z (in 30s) at the latest
state         retrying
execute at    2026-12-01T08:00:00.000Z (3s ago)
next attempt  2026-12-01T08:00:08.000Z (in 5s)
attempts      2 of 10
deferrals     1
last error    HTTP_STATUS 500: answered 500, 2026-12-01T08:00:02.000Z (1s ago)
callback      POST http://127.0.0.1:9000/
headers       authorization: [redacted]
payload       2 bytes of image/png
labels        team=a, x=y
retries       10 attempts within 1d, 1s apart, then ×2 up to 1h; 30s for each
if late       skip when more than 1h late
generation    28672
version       28673
shard         3
created at    2026-11-25T10:00:00.000Z (5d 22h ago)
";
        assert_eq!(text("", &timer, true, now), expected);
    }

    #[test]
    fn a_long_payload_is_cut_between_characters() {
        assert_eq!(shorten("héllo", 2), "hé… (6 bytes)");
        assert_eq!(shorten("hé", 2), "hé");
    }
}
