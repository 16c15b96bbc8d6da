//! The history of a timer's attempts as the API shows it. What a receiver has answered is shown as it came: as text if it
//! is UTF-8, else in base64.

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use timer_core::attempt::{Answer, Attempt, Trigger};
use timer_core::command::AttemptResult;
use timer_core::time::Millis;

use super::duration;
use super::output::{error_kind, json_response};
use super::problem::Problem;
use crate::backend::TestedCallback;
use crate::rfc3339;

#[derive(Serialize)]
struct History<'a> {
    attempts: Vec<AttemptBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptBody<'a> {
    generation: u64,
    number: u32,
    trigger: &'static str,
    scheduled_at: String,
    counted: bool,
    #[serde(flatten)]
    came: Came<'a>,
}

/// What came of one request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Came<'a> {
    started_at: String,
    duration: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_execute_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_truncated: Option<bool>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    kind: &'static str,
    message: &'a str,
}

/// The answer that shows `attempts`, in their order.
///
/// # Errors
/// `INTERNAL` if they can't be written, which no attempt can bring about.
pub fn history_response(attempts: &[Attempt]) -> Result<Response, Problem> {
    json_response(StatusCode::OK, &History { attempts: attempts.iter().map(body).collect() })
}

/// The answer that shows what came of a callback that was sent as a test.
///
/// # Errors
/// As [`history_response`].
pub fn tested_response(tested: &TestedCallback) -> Result<Response, Problem> {
    let times = (tested.started_at, tested.finished_at);
    json_response(StatusCode::OK, &came(&tested.result, tested.answer.as_ref(), times))
}

fn body(attempt: &Attempt) -> AttemptBody<'_> {
    let times = (attempt.started_at, attempt.finished_at);
    AttemptBody {
        generation: attempt.generation.0,
        number: attempt.number,
        trigger: trigger_name(attempt.details.trigger),
        scheduled_at: rfc3339::format(attempt.details.scheduled_at),
        counted: attempt.counted,
        came: came(&attempt.result, attempt.details.answer.as_ref(), times),
    }
}

fn came<'a>(
    result: &'a AttemptResult,
    answer: Option<&'a Answer>,
    (started_at, finished_at): (Millis, Millis),
) -> Came<'a> {
    let text = answer.map(|answer| str::from_utf8(answer.body()));
    let (outcome, next, error) = match result {
        AttemptResult::Delivered => ("delivered", None, None),
        AttemptResult::DeliveredNext { execute_at, .. } => ("delivered", Some(*execute_at), None),
        AttemptResult::Failed { error, .. } => ("failed", None, Some(error)),
        AttemptResult::Deferred { until } => ("deferred", Some(*until), None),
        AttemptResult::Skipped => ("skipped", None, None),
    };
    Came {
        started_at: rfc3339::format(started_at),
        duration: duration::format(finished_at.since(started_at)),
        outcome,
        next_execute_at: next.map(rfc3339::format),
        status_code: answer.map(Answer::status),
        error: error.map(|error| ErrorBody { kind: error_kind(error.kind), message: &error.message }),
        answer: text.and_then(Result::ok),
        answer_base64: answer.filter(|_| text.is_some_and(|text| text.is_err())).map(base64),
        answer_truncated: answer.map(Answer::is_truncated),
    }
}

fn base64(answer: &Answer) -> String {
    STANDARD.encode(answer.body())
}

const fn trigger_name(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "schedule",
        Trigger::Retry => "retry",
        Trigger::Fire => "fire",
        Trigger::Redrive => "redrive",
    }
}
