//! The history of a timer's attempts as a client reads it. How long the store keeps it is the store's tests' affair, and
//! what a sender makes of answers the delivery's.

use serde_json::{Value, json};
use timer_core::attempt::Answer as Answered;
use timer_core::command::{AttemptResult, Reply};
use timer_core::limits::ANSWER_KEPT_BYTES_MAX;
use timer_core::time::{Millis, Span};
use timer_core::timer::{ErrorKind, LastError};

use crate::support::{Answer, Api, START, timer};

async fn attempts(api: &Api, id: &str) -> Vec<Value> {
    let answer: Answer = api.call(&format!("GET {id}/attempts"), "").await;
    answer.ok()["attempts"].as_array().unwrap().clone()
}

fn failed(kind: ErrorKind, status: Option<u16>, message: &str) -> AttemptResult {
    let error = LastError { kind, newer_kind: None, status, message: message.into(), at: START };
    AttemptResult::Failed { error, retry_after: None, permanent: false }
}

fn answered(status: u16, body: &[u8]) -> Option<Answered> {
    Some(Answered::new(status, body, false))
}

#[tokio::test]
async fn a_timer_that_was_not_attempted_yet_has_an_empty_history() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    assert_eq!(attempts(&api, "a").await, [json!(null); 0]);
}

#[tokio::test]
async fn each_attempt_is_shown_newest_first_with_when_and_why_it_was_made_and_what_came_of_it() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    let generation = api.record("a").generation.0;
    let refused = failed(ErrorKind::HttpStatus, Some(503), "the receiver answered 503");
    let mut first = api.attempt("a", refused, answered(503, b"busy"));
    first.finished_at = Millis(first.started_at.0 + 1_250);
    assert_eq!(api.outcome(first), Reply::Outcome(true));
    api.end_attempt("a", failed(ErrorKind::Dns, None, "no such name"));
    let until = START + Span(3_600_000);
    api.answer_attempt("a", AttemptResult::Deferred { until }, answered(200, b"{\"ok\":false}"));
    api.call("POST a/fire", "").await.ok();
    api.answer_attempt("a", AttemptResult::Delivered, answered(204, b""));
    let shown = attempts(&api, "a").await;
    let minute = "2026-11-25T10:01:00.000Z";
    assert_eq!(
        shown[3],
        json!({
            "generation": generation, "number": 1, "trigger": "schedule", "scheduledAt": minute,
            "startedAt": "2026-11-25T10:00:00.000Z", "duration": "1.25s", "outcome": "failed", "counted": true,
            "statusCode": 503, "error": {"kind": "HTTP_STATUS", "message": "the receiver answered 503"},
            "answer": "busy", "answerTruncated": false,
        })
    );
    let second = &shown[2];
    assert_eq!((&second["number"], &second["trigger"]), (&json!(2), &json!("retry")));
    assert_eq!(second["error"], json!({"kind": "DNS", "message": "no such name"}));
    for absent in ["statusCode", "answer", "answerBase64", "answerTruncated", "nextExecuteAt"] {
        assert_eq!(second.get(absent), None, "nobody answered: {absent}");
    }
    let third = &shown[1];
    assert_eq!((&third["outcome"], &third["statusCode"]), (&json!("deferred"), &json!(200)));
    assert_eq!(third["nextExecuteAt"], "2026-11-25T11:00:00.000Z");
    assert_eq!(
        shown[0],
        json!({
            "generation": generation, "number": 4, "trigger": "fire", "scheduledAt": "2026-11-25T10:00:00.000Z",
            "startedAt": "2026-11-25T10:00:00.000Z", "duration": "0s", "outcome": "delivered", "counted": true,
            "statusCode": 204, "answer": "", "answerTruncated": false,
        })
    );
    assert_eq!(shown.len(), 4);
}

#[tokio::test]
async fn a_skip_and_a_redrive_are_seen() {
    let api = Api::new();
    api.call("PUT late", timer("")).await.ok();
    api.end_attempt("late", AttemptResult::Skipped);
    let skipped = attempts(&api, "late").await;
    assert_eq!((skipped.len(), &skipped[0]["outcome"]), (1, &json!("skipped")));
    assert_eq!(skipped[0].get("error"), None);
    api.call("PUT dead", timer("")).await.ok();
    api.end_attempt("dead", crate::operations::died());
    api.call("POST dead/redrive", "").await.ok();
    api.end_attempt("dead", AttemptResult::Delivered);
    let redriven = attempts(&api, "dead").await;
    let seen: Vec<_> = redriven.iter().map(|a| (a["number"].clone(), a["trigger"].clone())).collect();
    assert_eq!(seen, [(json!(2), json!("redrive")), (json!(1), json!("schedule"))]);
}

#[tokio::test]
async fn an_answer_is_text_or_base64_and_says_whether_it_went_on() {
    let api = Api::new();
    let shown = |api: Api, body: Vec<u8>| async move {
        api.call("PUT a", timer("")).await.ok();
        api.answer_attempt("a", AttemptResult::Delivered, answered(200, &body));
        let attempt = attempts(&api, "a").await.remove(0);
        [attempt["answer"].clone(), attempt["answerBase64"].clone(), attempt["answerTruncated"].clone()]
    };
    let control = "line\nafter \u{1b}[31m\u{0} \"é😀\"";
    assert_eq!(shown(api, control.into()).await, [json!(control), json!(null), json!(false)]);
    assert_eq!(shown(Api::new(), vec![0xff, 0x00]).await, [json!(null), json!("/wA="), json!(false)]);
    let long = "é".repeat(ANSWER_KEPT_BYTES_MAX);
    let kept = &long[..ANSWER_KEPT_BYTES_MAX];
    assert_eq!(shown(Api::new(), long.clone().into()).await, [json!(kept), json!(null), json!(true)]);
}

#[tokio::test]
async fn what_came_too_late_is_there_with_its_generation_and_changed_nothing() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    let late = api.attempt("a", AttemptResult::Delivered, answered(200, b"late"));
    let old = late.generation.0;
    api.call("DELETE a", "").await.ok();
    let recreated = api.call("PUT a", timer(r#", "payload": 1"#)).await;
    assert_eq!(api.outcome(late), Reply::Outcome(false));
    let read = api.call("GET a", "").await;
    assert_eq!((read.ok(), read.header("etag")), (recreated.ok(), recreated.header("etag")));
    let shown = attempts(&api, "a").await;
    assert_eq!(shown.len(), 1);
    assert_eq!((&shown[0]["generation"], &shown[0]["counted"]), (&json!(old), &json!(false)));
}

#[tokio::test]
async fn the_history_of_an_erased_timer_is_gone() {
    let api = Api::new();
    api.call("PUT a", timer("")).await.ok();
    api.end_attempt("a", AttemptResult::Delivered);
    api.call("DELETE a?purge=true", "").await.ok();
    assert_eq!(api.call("GET a/attempts", "").await.problem(), (404, "TIMER_NOT_FOUND"));
    api.call("PUT a", timer("")).await.ok();
    assert_eq!(attempts(&api, "a").await.len(), 0);
}

#[tokio::test]
async fn an_id_with_slashes_has_its_history_at_its_encoded_path() {
    let api = Api::new();
    api.call("PUT a%2Fattempts", timer("")).await.ok();
    api.end_attempt("a/attempts", AttemptResult::Delivered);
    assert_eq!(attempts(&api, "a%2Fattempts").await.len(), 1);
    assert_eq!(api.call("GET a/attempts", "").await.problem(), (404, "TIMER_NOT_FOUND"));
}
