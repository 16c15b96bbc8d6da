//! The history of a timer's attempts as the API shows it. What a receiver has answered is shown as it came: as text if it
//! is UTF-8, else in base64.

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use timer_core::attempt::{Answer, Attempt, Trigger};
use timer_core::command::AttemptResult;

use super::duration;
use super::output::{error_kind, json_response};
use super::problem::Problem;
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
    started_at: String,
    duration: String,
    outcome: &'static str,
    counted: bool,
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

fn body(attempt: &Attempt) -> AttemptBody<'_> {
    let answer = attempt.details.answer.as_ref();
    let text = answer.map(|answer| str::from_utf8(answer.body()));
    let (outcome, next, error) = match &attempt.result {
        AttemptResult::Delivered => ("delivered", None, None),
        AttemptResult::DeliveredNext { execute_at, .. } => ("delivered", Some(*execute_at), None),
        AttemptResult::Failed { error, .. } => ("failed", None, Some(error)),
        AttemptResult::Deferred { until } => ("deferred", Some(*until), None),
        AttemptResult::Skipped => ("skipped", None, None),
    };
    AttemptBody {
        generation: attempt.generation.0,
        number: attempt.number,
        trigger: trigger_name(attempt.details.trigger),
        scheduled_at: rfc3339::format(attempt.details.scheduled_at),
        started_at: rfc3339::format(attempt.started_at),
        duration: duration::format(attempt.finished_at.since(attempt.started_at)),
        outcome,
        counted: attempt.counted,
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
