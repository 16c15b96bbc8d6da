//! Operations of the history as requests of the REST API, and its answers as outcomes: what is known of an effect,
//! and what is not.

use checkers::history::{Action, Answer, Definition, InFlight, Outcome, Patch, Refusal, State};
use serde_json::{Map, Value, json};

use crate::bounds::CALLBACK_TIMEOUT_MS;
use crate::http::{NoAnswer, Told};
use crate::receiver;
use crate::script::receiver_of;
use crate::wire::{parse_rfc3339, rfc3339};

/// A request of the API.
#[derive(Debug)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Value>,
}

/// What `action` on `timer` is on the wire.
pub fn request(timer: &str, action: &Action, key: Option<&str>) -> Request {
    let path = format!("/api/v1/groups/default/timers/{timer}");
    let mut headers: Vec<(&'static str, String)> = Vec::new();
    if let Some(key) = key {
        headers.push(("idempotency-key", key.to_owned()));
    }
    if let Some(version) = action.if_match() {
        headers.push(("if-match", format!("\"{version}\"")));
    }
    let (method, path, body) = match action {
        Action::Create { definition } => {
            headers.push(("if-none-match", "*".to_owned()));
            ("PUT", path, Some(definition_json(timer, definition)))
        }
        Action::Put { definition, .. } => ("PUT", path, Some(definition_json(timer, definition))),
        Action::Patch { patch, .. } => ("PATCH", path, Some(patch_json(patch))),
        Action::Get => ("GET", path, None),
        Action::Delete { purge, .. } => {
            ("DELETE", if *purge { format!("{path}?purge=true") } else { path }, None)
        }
    };
    Request { method, path, headers, body }
}

/// Everything that is the same for all timers is a constant here, so that two definitions are the same for the
/// server exactly if they are the same in the history.
fn definition_json(timer: &str, definition: &Definition) -> Value {
    let mut body = json!({
        "executeAt": rfc3339(definition.execute_at_ms),
        "callbackUrl": receiver::url(receiver_of(timer)),
        "callbackTimeout": format!("{CALLBACK_TIMEOUT_MS}ms"),
    });
    if let Some(retry) = &definition.retry {
        body["retryPolicy"] = json!({
            "maxAttempts": retry.max_attempts,
            "maxDuration": format!("{}ms", retry.max_duration_ms),
            "initialInterval": format!("{}ms", retry.initial_interval_ms),
            "backoffMultiplier": f64::from(retry.multiplier_milli) / 1000.0,
            "maxInterval": format!("{}ms", retry.max_interval_ms),
            "jitter": f64::from(retry.jitter_milli) / 1000.0,
            "deadOn": retry.dead_on,
        });
    }
    if definition.payload != 0 {
        body["payload"] = definition.payload.into();
    }
    if definition.label != 0 {
        body["labels"] = json!({"l": definition.label.to_string()});
    }
    body
}

fn patch_json(patch: &Patch) -> Value {
    let mut body = Map::new();
    if let Some(at_ms) = patch.execute_at_ms {
        body.insert("executeAt".into(), rfc3339(at_ms).into());
    }
    if let Some(payload) = patch.payload {
        body.insert("payload".into(), payload.into());
    }
    if let Some(label) = patch.label {
        body.insert("labels".into(), json!({"l": label.to_string()}));
    }
    Value::Object(body)
}

/// What came of a request.
pub fn outcome(result: Result<Told, NoAnswer>) -> Outcome {
    let told = match result {
        Ok(told) => told,
        Err(NoAnswer { never_sent: true, detail }) => return refused(0, &detail, &Value::Null),
        Err(NoAnswer { never_sent: false, detail }) => return Outcome::Unknown { detail },
    };
    let unknown = |why: &str| Outcome::Unknown { detail: format!("{} {why}", told.status) };
    match told.status {
        200 | 201 => {
            let replayed = told.headers.get("idempotency-replayed").is_some_and(|value| value == "true");
            match answer(told.status, &told.json) {
                Some(answer) => Outcome::Ok(Answer { replayed, ..answer }),
                None => unknown("without a timer"),
            }
        }
        status @ 400..=499 => refused(status, code(&told.json), &told.json),
        status @ (503 | 504 | 507) if told.json["outcome"] == "notApplied" => {
            refused(status, code(&told.json), &told.json)
        }
        _ => unknown(code(&told.json)),
    }
}

fn code(problem: &Value) -> &str {
    problem["code"].as_str().unwrap_or("no code")
}

fn refused(status: u16, code: &str, problem: &Value) -> Outcome {
    let timer = problem.get("timer").and_then(|timer| answer(status, timer));
    Outcome::Refused(Refusal { status, code: code.to_owned(), version: problem["version"].as_u64(), timer })
}

/// A timer as the API shows it.
fn answer(status: u16, json: &Value) -> Option<Answer> {
    let state = json["state"].as_str()?;
    let in_flight = match json["attemptInFlight"].as_str() {
        Some("yes") => InFlight::Yes,
        Some("possible") => InFlight::Possible,
        Some(_) | None => InFlight::No,
    };
    Some(Answer {
        status,
        generation: json["generation"].as_u64()?,
        version: json["version"].as_u64()?,
        state: State::ALL.into_iter().find(|known| known.as_str() == state)?,
        execute_at_ms: parse_rfc3339(json["executeAt"].as_str()?)?,
        payload: json.get("payload").map(|payload| payload.as_u64().unwrap_or(u64::MAX)),
        label: json["labels"]["l"].as_str().map_or(0, |label| label.parse().unwrap_or(u64::MAX)),
        attempts: u32::try_from(json["attempts"].as_u64()?).ok()?,
        in_flight,
        in_flight_until_ms: json["attemptInFlightUntil"].as_str().and_then(parse_rfc3339),
        replayed: false,
    })
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
