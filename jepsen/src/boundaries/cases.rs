//! Inputs at the edges of what `API.md` allows, from its words and not from the product's code. Whether one has to be
//! accepted is not said here: the contract's own tests hold that. Every timer is due long after the run.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::random::Random;
use crate::receiver;
use crate::wire::rfc3339;

/// Bytes of an id.
const ID_BYTES_MAX: usize = 255;
/// Bytes of a payload.
const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a callback URL.
const URL_BYTES_MAX: usize = 2048;
/// Labels of a timer, and bytes of a key or a value.
const LABELS_MAX: usize = 16;
const LABEL_BYTES_MAX: usize = 63;
/// Ten years of 365.25 days.
const HORIZON_MS: u64 = 315_576_000_000;
const HOUR_MS: u64 = 3_600_000;
/// Farther than any run lasts.
const FAR_MS: u64 = 60 * 24 * HOUR_MS;

/// One input.
#[derive(Clone, Debug)]
pub struct Case {
    /// For people.
    pub what: String,
    /// The timer's id.
    pub id: String,
    /// The request's body, as text: the payload is to come back as these bytes.
    pub body: String,
    /// What a read must show where it is accepted.
    pub kept: Kept,
}

/// The part of a timer that a case is about.
#[derive(Clone, Debug)]
pub enum Kept {
    /// A JSON pointer, of one name or two, and the value there.
    Field(&'static str, Value),
    /// The payload's text.
    Payload(String),
}

impl Kept {
    /// The canonical form of what was sent.
    pub fn sent(&self, id: &str) -> String {
        match self {
            Self::Field(pointer, value) => canonical(id, pointer, value),
            Self::Payload(text) => canonical(id, "/payload", &summary(text).into()),
        }
    }

    /// The canonical form of what a read shows.
    pub fn read(&self, text: &str) -> String {
        // Each member as it was written: a parser would take `1e2` for `100`, and refuse half a surrogate pair.
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
        let value = |name: &str| -> Value {
            members.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
        };
        let id = value("id").as_str().unwrap_or("no id").to_owned();
        match self {
            Self::Field(pointer, _) => {
                let mut path = pointer.splitn(3, '/').skip(1);
                let member = value(path.next().unwrap_or_default());
                let below = path.next().map_or(Some(&member), |name| member.get(name));
                canonical(&id, pointer, below.unwrap_or(&Value::Null))
            }
            Self::Payload(_) => {
                let kept = members.get("payload").map_or("", |raw| raw.get());
                canonical(&id, "/payload", &summary(kept).into())
            }
        }
    }
}

fn canonical(id: &str, pointer: &str, value: &Value) -> String {
    json!({"id": id, pointer: value}).to_string()
}

/// Short texts as they are, long ones by their length and ends: the history keeps it.
fn summary(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.len() <= 2 * SHOWN {
        return text.to_owned();
    }
    let ends = |part: &str| part.chars().take(SHOWN).collect::<String>();
    let last: String = text.chars().rev().take(SHOWN).collect();
    format!("{} bytes, {}…{}", text.len(), ends(text), ends(&last.chars().rev().collect::<String>()))
}

/// Case `number` of a run, for a clock that shows `now_ms`.
pub fn case(random: &mut Random, number: u64, now_ms: u64) -> Case {
    let name = format!("b-{number}");
    let due_ms = now_ms + FAR_MS + random.below(1_000_000_000);
    match number % 10 {
        0 => id_length(random, name, due_ms),
        1 | 2 => id_characters(random, name, due_ms),
        3 | 4 => time(random, name, due_ms),
        5 => horizon(random, name, now_ms),
        6 => payload_text(random, name, due_ms),
        7 => labels(random, name, due_ms),
        8 => bounds(random, name, due_ms),
        _ => size(random, name, due_ms),
    }
}

fn body(due_ms: u64) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("executeAt".into(), rfc3339(due_ms).into());
    body.insert("callbackUrl".into(), receiver::url(0).into());
    body
}

fn with(due_ms: u64, field: &str, value: Value) -> String {
    let mut body = body(due_ms);
    body.insert(field.to_owned(), value);
    Value::Object(body).to_string()
}

fn plain(what: String, id: String, due_ms: u64) -> Case {
    let kept = Kept::Field("/executeAt", millis(due_ms).into());
    Case { what, id, body: Value::Object(body(due_ms)).to_string(), kept }
}

/// As answers write times: always three digits of a fraction.
fn millis(at_ms: u64) -> Option<String> {
    let whole = rfc3339(at_ms - at_ms % 1000)?;
    Some(format!("{}.{:03}Z", whole.trim_end_matches('Z'), at_ms % 1000))
}

/// `name` filled up to `bytes` with characters of two bytes, and one of one byte where that does not come out even.
fn filled(name: &str, bytes: usize) -> String {
    let missing = bytes.saturating_sub(name.len());
    format!("{name}{}{}", "x".repeat(missing % 2), "ä".repeat(missing / 2))
}

fn id_length(random: &mut Random, name: String, due_ms: u64) -> Case {
    let bytes = *random.pick(&[ID_BYTES_MAX - 1, ID_BYTES_MAX, ID_BYTES_MAX + 1, 2 * ID_BYTES_MAX]);
    plain(format!("an id of {bytes} bytes"), filled(&name, bytes), due_ms)
}

fn id_characters(random: &mut Random, name: String, due_ms: u64) -> Case {
    const PARTS: [&str; 18] = [
        "/b", ":b", "+b", "?x=1", "#x", "%2F", "%", " ", "\"", "\\", "/..", "é", "e\u{301}", "🦀",
        "\u{202e}", "\n", "\u{7f}", "\u{0}",
    ];
    let part = *random.pick(&PARTS);
    plain(format!("an id with {part:?}"), format!("{name}{part}"), due_ms)
}

fn time(random: &mut Random, name: String, due_ms: u64) -> Case {
    // Whole hours, so that an offset can be written without a calendar.
    let whole_ms = due_ms - due_ms % (24 * HOUR_MS) + 12 * HOUR_MS;
    let text = rfc3339(whole_ms).unwrap_or_default();
    let date = text.split('T').next().unwrap_or_default().to_owned();
    let (written, at_ms) = match random.below(8) {
        0 => (format!("{date}T12:00:00.0000001Z"), whole_ms + 1),
        1 => (format!("{date}T12:00:00.123000Z"), whole_ms + 123),
        2 => (format!("{date}T12:00:00.999999999z"), whole_ms + 1000),
        3 => (format!("{date}T14:30:00.5+02:30"), whole_ms + 500),
        4 => (format!("{date}T00:00:00-12:00"), whole_ms),
        5 => (format!("{date}T12:00:60Z"), whole_ms),
        6 => (format!("{date}T12:00:00"), whole_ms),
        _ => (format!("{date}T24:00:00Z"), whole_ms),
    };
    let kept = Kept::Field("/executeAt", millis(at_ms).into());
    let body = with(due_ms, "executeAt", written.clone().into());
    Case { what: format!("the time {written}"), id: name, body, kept }
}

/// An hour on either side: a clock that a fault has shifted does not change what is right.
fn horizon(random: &mut Random, name: String, now_ms: u64) -> Case {
    let (side, due_ms) = if random.chance(50) {
        ("before", now_ms + HORIZON_MS - HOUR_MS)
    } else {
        ("beyond", now_ms + HORIZON_MS + HOUR_MS)
    };
    plain(format!("an hour {side} the horizon"), name, due_ms)
}

fn payload(what: String, id: String, due_ms: u64, text: String) -> Case {
    let rest = Value::Object(body(due_ms)).to_string();
    let body = format!("{{\"payload\":{text},{}", rest.trim_start_matches('{'));
    Case { what, id, body, kept: Kept::Payload(text) }
}

fn payload_text(random: &mut Random, name: String, due_ms: u64) -> Case {
    const TEXTS: [&str; 9] = [
        "{ \"b\" : 1.0 ,\t\"a\":[1e2, -0] }",
        "\"\\u00e9\\ud83e\\udd80\\/\"",
        "9007199254740993",
        "null",
        "\"\"",
        "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
        "{\"a\":1,\"a\":2}",
        "\"\\ud800\"",
        "01",
    ];
    let text = (*random.pick(&TEXTS)).to_owned();
    payload(format!("the payload {text}"), name, due_ms, text)
}

fn size(random: &mut Random, name: String, due_ms: u64) -> Case {
    let bytes = *random.pick(&[PAYLOAD_BYTES_MAX - 1, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX + 1]);
    let text = format!("\"{}\"", "p".repeat(bytes - 2));
    payload(format!("a payload of {bytes} bytes"), name, due_ms, text)
}

fn labels(random: &mut Random, name: String, due_ms: u64) -> Case {
    let count = *random.pick(&[1, LABELS_MAX, LABELS_MAX + 1]);
    let bytes = *random.pick(&[1, LABEL_BYTES_MAX, LABEL_BYTES_MAX + 1]);
    let labels: Map<String, Value> =
        (0..count).map(|n| (format!("k{n}"), "v".repeat(bytes).into())).collect();
    let what = format!("{count} labels of {bytes} bytes");
    let labels = Value::Object(labels);
    Case {
        what,
        id: name,
        body: with(due_ms, "labels", labels.clone()),
        kept: Kept::Field("/labels", labels),
    }
}

fn bounds(random: &mut Random, name: String, due_ms: u64) -> Case {
    let of = |what: String, field: &str, value: Value, kept: Kept| Case {
        what,
        id: name.clone(),
        body: with(due_ms, field, value),
        kept,
    };
    match random.below(4) {
        0 => {
            let number = *random.pick(&[0_u64, 1, 100, 101]);
            let kept = Kept::Field("/retryPolicy/maxAttempts", number.into());
            of(format!("{number} attempts"), "retryPolicy", json!({"maxAttempts": number}), kept)
        }
        1 => {
            let jitter = *random.pick(&["-0.001", "0.0", "1.0", "1.001"]);
            let value: Value = serde_json::from_str(jitter).unwrap_or(Value::Null);
            let kept = Kept::Field("/retryPolicy/jitter", value.clone());
            of(format!("a jitter of {jitter}"), "retryPolicy", json!({"jitter": value}), kept)
        }
        2 => {
            let (written, answered) =
                *random.pick(&[("999ms", "999ms"), ("1s", "1s"), ("300s", "5m"), ("300001ms", "5m1ms")]);
            let kept = Kept::Field("/callbackTimeout", answered.into());
            of(format!("a callback timeout of {written}"), "callbackTimeout", written.into(), kept)
        }
        _ => {
            let bytes = *random.pick(&[URL_BYTES_MAX, URL_BYTES_MAX + 1]);
            let base = format!("{}?", receiver::url(0));
            let url = format!("{base}{}", "u".repeat(bytes - base.len()));
            of(
                format!("a URL of {bytes} bytes"),
                "callbackUrl",
                url.clone().into(),
                Kept::Field("/callbackUrl", url.into()),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_123;

    #[test]
    fn a_seed_gives_the_same_cases_and_every_id_is_its_own() {
        let all = |seed| {
            let mut random = Random::new(seed);
            (0..500).map(|number| case(&mut random, number, NOW)).collect::<Vec<_>>()
        };
        let bodies = |cases: &[Case]| cases.iter().map(|case| case.body.clone()).collect::<Vec<_>>();
        let first = all(1);
        assert_eq!(bodies(&first), bodies(&all(1)));
        assert_ne!(bodies(&first), bodies(&all(2)));
        let ids: std::collections::BTreeSet<_> = first.iter().map(|case| case.id.clone()).collect();
        assert_eq!(ids.len(), first.len());
        let kinds: std::collections::BTreeSet<_> = first.iter().map(|case| case.what.clone()).collect();
        assert!(kinds.len() > 60, "{kinds:?}");
    }

    #[test]
    fn what_comes_back_as_it_was_sent_is_kept_and_anything_else_is_not() {
        let kept = Kept::Field("/labels", json!({"a": "b"}));
        let sent = kept.sent("x");
        assert_eq!(kept.read(r#"{"id":"x","labels":{"a":"b"}}"#), sent);
        assert_ne!(kept.read(r#"{"id":"y","labels":{"a":"b"}}"#), sent);
        assert_ne!(kept.read(r#"{"id":"x","labels":{"a":"c"}}"#), sent);
        assert_ne!(kept.read(r#"{"id":"x"}"#), sent);
        let kept = Kept::Payload("[1e2]".into());
        assert_eq!(kept.read(r#"{"id":"x","payload":[1e2]}"#), kept.sent("x"));
        assert_ne!(kept.read(r#"{"id":"x","payload":[100.0]}"#), kept.sent("x"));
        let kept = Kept::Payload("\"\\ud800\"".into());
        assert_eq!(kept.read(r#"{"id":"x","payload":"\ud800"}"#), kept.sent("x"));
        let kept = Kept::Field("/retryPolicy/jitter", json!(0.5));
        assert_eq!(kept.read(r#"{"id":"x","retryPolicy":{"jitter":0.5}}"#), kept.sent("x"));
        assert_ne!(kept.read(r#"{"id":"x","retryPolicy":{}}"#), kept.sent("x"));
    }

    #[test]
    fn times_are_written_as_answers_write_them() {
        assert_eq!(millis(1_767_225_600_007).unwrap(), "2026-01-01T00:00:00.007Z");
        assert_eq!(millis(1_767_225_600_000).unwrap(), "2026-01-01T00:00:00.000Z");
        assert_eq!(filled("b-1", 255).len(), 255);
        assert_eq!(filled("b-10", 255).len(), 255);
    }
}
