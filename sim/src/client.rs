//! A client of the REST API: one request a connection, and what its answer means in the history's terms.

use std::time::Duration;

use checkers::history::{Action, Answer, Definition, InFlight, Outcome, Patch, Refusal, RetryPolicy, State};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use timer_core::time::Millis;
use turmoil::net::TcpStream;

/// Where nodes serve the REST API.
pub const PORT: u16 = 8080;
/// How long a client waits that wants to know: longer than any node does.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// Why there is no answer.
enum Missing {
    /// No connection was made, so nothing was sent.
    NotSent(String),
    /// It may have been taken.
    Lost(String),
}

/// Sends `action` for the timer `name` (`group/id`) to `node` and gives what came of it within `patience`.
pub async fn perform(
    patience: Duration,
    node: &str,
    name: &str,
    url: &str,
    key: Option<&str>,
    action: &Action,
) -> Outcome {
    let request = request(node, name, url, key, action);
    let exchange = tokio::time::timeout(patience, send(node, request));
    match exchange.await.unwrap_or_else(|_| Err(Missing::Lost("the client gave up".to_owned()))) {
        Ok((status, replayed, body)) => outcome(status, replayed, &body),
        Err(Missing::NotSent(detail)) => {
            Outcome::Refused(Refusal { status: 0, code: detail, version: None, timer: None })
        }
        Err(Missing::Lost(detail)) => Outcome::Unknown { detail },
    }
}

/// Sends any change or read to `node`; gives its status and JSON, or none if no answer came.
pub async fn ask(
    node: &str,
    method: &str,
    path: &str,
    key: &str,
    body: Option<&Value>,
) -> Option<(u16, Value)> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", format!("{node}.sim:{PORT}"))
        .header("idempotency-key", key);
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let request = request.body(Full::new(bytes)).unwrap_or_default();
    let (status, _, answer) = tokio::time::timeout(PATIENCE, send(node, request)).await.ok()?.ok()?;
    Some((status, answer))
}

async fn send(node: &str, request: Request<Full<Bytes>>) -> Result<(u16, bool, Value), Missing> {
    let lost = |e: hyper::Error| Missing::Lost(e.to_string());
    let not_sent = |e: std::io::Error| Missing::NotSent(e.kind().to_string());
    let connecting = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect((node, PORT)));
    let stream = match connecting.await {
        Ok(connected) => connected.map_err(not_sent)?,
        Err(_) => return Err(Missing::NotSent("no connection in time".to_owned())),
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(lost)?;
        let status = response.status().as_u16();
        let replayed = response.headers().contains_key("idempotency-replayed");
        let body = response.into_body().collect().await.map_err(lost)?.to_bytes();
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok((status, replayed, value))
    };
    tokio::pin!(exchange);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        answered = &mut exchange => answered,
        ended = &mut connection => match ended {
            // The answer may have come with the end.
            Ok(()) => exchange.await,
            Err(e) => Err(lost(e)),
        },
    }
}

fn request(node: &str, name: &str, url: &str, key: Option<&str>, action: &Action) -> Request<Full<Bytes>> {
    let (group, id) = name.split_once('/').unwrap_or(("default", name));
    let purge = if matches!(action, Action::Delete { purge: true, .. }) { "?purge=true" } else { "" };
    let (method, body) = match action {
        Action::Create { definition } | Action::Put { definition, .. } => {
            ("PUT", Some(definition_json(definition, url)))
        }
        Action::Patch { patch, .. } => ("PATCH", Some(patch_json(patch))),
        Action::Get => ("GET", None),
        Action::Delete { .. } => ("DELETE", None),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/groups/{group}/timers/{id}{purge}"))
        .header("host", format!("{node}.sim:{PORT}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    if matches!(action, Action::Create { .. }) {
        request = request.header("if-none-match", "*");
    }
    if let Some(version) = action.if_match() {
        request = request.header("if-match", format!("\"{version}\""));
    }
    let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let body = body.map(|body| Bytes::from(body.to_string()));
    if body.is_some() {
        request = request.header("content-type", media);
    }
    request.body(Full::new(body.unwrap_or_default())).unwrap_or_default()
}

fn time(at_ms: u64) -> String {
    node::rfc3339::format(Millis(at_ms))
}

fn span(ms: u64) -> String {
    format!("{ms}ms")
}

fn definition_json(definition: &Definition, url: &str) -> Value {
    let mut body = json!({ "executeAt": time(definition.execute_at_ms), "callbackUrl": url });
    if definition.payload != 0 {
        body["payload"] = json!(definition.payload);
    }
    if definition.label != 0 {
        body["labels"] = json!({ "n": definition.label.to_string() });
    }
    if let Some(ms) = definition.callback_timeout_ms {
        body["callbackTimeout"] = json!(span(ms));
    }
    if let Some(retry) = &definition.retry {
        body["retryPolicy"] = retry_json(retry);
    }
    body
}

fn retry_json(retry: &RetryPolicy) -> Value {
    json!({
        "maxAttempts": retry.max_attempts,
        "maxDuration": span(retry.max_duration_ms),
        "initialInterval": span(retry.initial_interval_ms),
        "backoffMultiplier": f64::from(retry.multiplier_milli) / 1000.0,
        "maxInterval": span(retry.max_interval_ms),
        "jitter": f64::from(retry.jitter_milli) / 1000.0,
        "deadOn": retry.dead_on,
    })
}

fn patch_json(patch: &Patch) -> Value {
    let mut body = json!({});
    if let Some(at_ms) = patch.execute_at_ms {
        body["executeAt"] = json!(time(at_ms));
    }
    if let Some(payload) = patch.payload {
        body["payload"] = if payload == 0 { Value::Null } else { json!(payload) };
    }
    if let Some(label) = patch.label {
        body["labels"] = json!({ "n": if label == 0 { Value::Null } else { json!(label.to_string()) } });
    }
    body
}

fn outcome(status: u16, replayed: bool, body: &Value) -> Outcome {
    if StatusCode::from_u16(status).is_ok_and(|status| status.is_success()) {
        return answer(status, replayed, body).map_or_else(
            || Outcome::Unknown { detail: format!("an answer that is none: {body}") },
            Outcome::Ok,
        );
    }
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    let not_applied = body["outcome"] == "notApplied";
    if (400..500).contains(&status) || not_applied || status == 507 {
        let timer = body.get("timer").and_then(|timer| answer(status, false, timer));
        return Outcome::Refused(Refusal { status, code, version: body["version"].as_u64(), timer });
    }
    Outcome::Unknown { detail: format!("{status} {code}") }
}

fn answer(status: u16, replayed: bool, body: &Value) -> Option<Answer> {
    let time = |name: &str| body[name].as_str().and_then(|text| node::rfc3339::parse(text).ok());
    let state = body["state"].as_str()?;
    Some(Answer {
        status,
        generation: body["generation"].as_u64()?,
        version: body["version"].as_u64()?,
        state: State::ALL.into_iter().find(|known| known.as_str() == state)?,
        execute_at_ms: time("executeAt")?.0,
        payload: body.get("payload").and_then(Value::as_u64),
        label: body["labels"]["n"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0),
        attempts: u32::try_from(body["attempts"].as_u64()?).ok()?,
        in_flight: match body["attemptInFlight"].as_str() {
            Some("yes") => InFlight::Yes,
            Some("possible") => InFlight::Possible,
            _ => InFlight::No,
        },
        in_flight_until_ms: time("attemptInFlightUntil").map(|at| at.0),
        replayed,
    })
}
