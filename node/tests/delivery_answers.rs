//! What a receiver answers over a real connection, and what the attempt comes to.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod delivery_support;

use delivery_support::*;
use node::delivery::{ANSWER_BYTES_MAX, SenderSettings};
use node::rfc3339;
use timer_core::attempt::Answer;
use timer_core::command::AttemptResult;
use timer_core::definition::{BodyMode, Method, Payload};
use timer_core::limits::ANSWER_KEPT_BYTES_MAX;
use timer_core::timer::ErrorKind;

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// The result of one attempt that is answered so.
async fn result_of(status: u16, headers: &'static [(&str, &str)], body: &'static str) -> AttemptResult {
    let receiver = Receiver::start(move |_| answer(status, headers, body)).await;
    let sender = sender(SenderSettings::default());
    let result = sender.send(&attempt(receiver.url()), always()).await.unwrap().result;
    assert_eq!(receiver.seen().len(), 1, "one request for one attempt");
    result
}

#[tokio::test]
async fn the_request_arrives_as_it_is_meant() {
    let receiver = Receiver::start(|_| answer(204, &[], "")).await;
    let mut attempt = attempt(format!("http://{}/a/b?c=%20d", receiver.address));
    attempt.timer.definition.callback.headers = vec![("authorization".into(), "Bearer x".into())];
    let report = sender(SenderSettings::default()).send(&attempt, always()).await.unwrap();
    assert_eq!(report.result, AttemptResult::Delivered);
    assert!(report.started_at <= report.finished_at);
    let [seen] = receiver.seen().try_into().unwrap();
    assert_eq!((seen.method.as_str(), seen.uri.to_string()), ("POST", "/a/b?c=%20d".to_owned()));
    let envelope = "{\"group\":\"default\",\"id\":\"a\",\"generation\":28675,\"attempt\":1,\
                    \"executeAt\":\"1970-01-01T00:00:01.000Z\",\"payload\":{\"n\":1}}";
    assert_eq!(seen.body, envelope);
    let length = envelope.len().to_string();
    let host = receiver.address.to_string();
    for (name, value) in [
        ("content-type", "application/json"),
        ("content-length", &length),
        ("host", &host),
        ("authorization", "Bearer x"),
        ("timer-id", "a"),
        ("timer-attempt", "1"),
    ] {
        assert_eq!(seen.headers.get(name).unwrap(), value, "{name}");
    }
}

#[tokio::test]
async fn methods_without_a_body_send_none() {
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let sender = sender(SenderSettings::default());
    for method in [Method::Get, Method::Delete] {
        let mut attempt = attempt(receiver.url());
        attempt.timer.definition.callback.method = method;
        attempt.timer.definition.payload = Payload::None;
        assert_eq!(sender.send(&attempt, always()).await.unwrap().result, AttemptResult::Delivered);
    }
    for seen in receiver.seen() {
        assert!(seen.body.is_empty() && !seen.headers.contains_key("content-type"), "{seen:?}");
    }
}

#[tokio::test]
async fn the_largest_payload_arrives_to_the_byte() {
    let payload: Vec<u8> = (0..=255).cycle().take(256 * 1024).collect();
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let mut attempt = attempt(receiver.url());
    attempt.timer.definition.callback.body = BodyMode::Payload;
    attempt.timer.definition.payload =
        Payload::Binary { bytes: payload.clone().into(), content_type: "image/png".into() };
    assert_eq!(
        sender(SenderSettings::default()).send(&attempt, always()).await.unwrap().result,
        AttemptResult::Delivered
    );
    let [seen] = receiver.seen().try_into().unwrap();
    assert_eq!(seen.headers["content-type"], "image/png");
    assert!(seen.body == payload);
}

#[tokio::test]
async fn a_2xx_is_delivered() {
    assert_eq!(result_of(200, &[], "").await, AttemptResult::Delivered);
    assert_eq!(result_of(204, &[], "").await, AttemptResult::Delivered);
    assert_eq!(
        result_of(202, &[("content-type", "text/plain")], "{\"ok\":false}").await,
        AttemptResult::Delivered
    );
    assert_eq!(result_of(200, JSON, "{\"ok\":true}").await, AttemptResult::Delivered);
    assert_eq!(result_of(200, JSON, "not JSON").await, AttemptResult::Delivered);
}

#[tokio::test]
async fn delivered_with_a_time_is_the_next_generation() {
    let execute_at = rfc3339::parse("2027-01-01T00:00:00Z").unwrap();
    let body = "{\"ok\":true,\"nextExecuteAt\":\"2027-01-01T00:00:00Z\",\"payload\":{ \"n\":2}}";
    let payload = Some(Payload::Json(b"{ \"n\":2}".as_slice().into()));
    assert_eq!(result_of(200, JSON, body).await, AttemptResult::DeliveredNext { execute_at, payload });
}

#[tokio::test]
async fn not_ok_is_retried_or_deferred() {
    let (kind, message) = retried(result_of(200, JSON, "{\"ok\":false}").await);
    assert_eq!(
        (kind, message.as_str()),
        (ErrorKind::ReceiverRefused, "the receiver answered 200: {\"ok\":false}")
    );
    let until = rfc3339::parse("2027-01-01T00:00:00Z").unwrap();
    let body = "{\"ok\":false,\"nextExecuteAt\":\"2027-01-01T00:00:00Z\"}";
    assert_eq!(result_of(200, JSON, body).await, AttemptResult::Deferred { until });
    let (error, permanent) = failure(result_of(200, JSON, "{\"ok\":false,\"nextExecuteAt\":\"soon\"}").await);
    assert_eq!((error.kind, permanent), (ErrorKind::InvalidCallbackAnswer, true));
}

#[tokio::test]
async fn a_status_ends_it_or_is_retried() {
    let (error, permanent) = failure(result_of(410, &[], "gone").await);
    assert_eq!((error.kind, error.status, permanent), (ErrorKind::HttpStatus, Some(410), true));
    assert_eq!(error.message, "the receiver answered 410 Gone: gone");
    for status in [404, 500, 503] {
        let (error, permanent) = failure(result_of(status, &[], "").await);
        assert_eq!((error.kind, error.status, permanent), (ErrorKind::HttpStatus, Some(status), false));
    }
}

#[tokio::test]
async fn retry_after_is_taken_from_the_answer() {
    let headers = &[("retry-after", "120")];
    let receiver = Receiver::start(|_| answer(503, headers, "")).await;
    let report = sender(SenderSettings::default()).send(&attempt(receiver.url()), always()).await.unwrap();
    let AttemptResult::Failed { retry_after: Some(at), .. } = report.result else { panic!("{report:?}") };
    assert!((report.started_at.0..=report.finished_at.0).contains(&(at.0 - 120_000)));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Receiver::start(|_| answer(200, &[], "")).await;
    for status in [301, 302, 303, 307, 308] {
        for location in [elsewhere.url(), "http://169.254.169.254/latest".into(), "/".into()] {
            let to = location.clone();
            let receiver = Receiver::start(move |_| answer(status, &[("location", &to)], "")).await;
            let sender = sender(SenderSettings::default());
            let (kind, message) =
                retried(sender.send(&attempt(receiver.url()), always()).await.unwrap().result);
            assert_eq!(kind, ErrorKind::HttpStatus);
            assert!(message.ends_with(&format!("redirects are not followed, this one goes to {location}")));
            assert_eq!(receiver.seen().len(), 1);
        }
    }
    assert_eq!((elsewhere.connections(), elsewhere.seen().len()), (0, 0));
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_dropped_and_delivered() {
    let fits = format!("{{\"ok\":false,\"x\":\"{}\"}}", "x".repeat(ANSWER_BYTES_MAX - 19));
    assert_eq!(fits.len(), ANSWER_BYTES_MAX);
    let larger = format!("{fits} ");
    let sender = sender(SenderSettings::default());
    let receiver = Receiver::start(move |seen| {
        answer(200, JSON, if seen.uri == "/fits" { fits.clone() } else { larger.clone() })
    })
    .await;
    let (kind, _) =
        retried(sender.send(&attempt(format!("{}fits", receiver.url())), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::ReceiverRefused);
    assert_eq!(
        sender.send(&attempt(receiver.url()), always()).await.unwrap().result,
        AttemptResult::Delivered
    );
}

/// What is reported of an answer with this body.
async fn reported(status: u16, body: impl Into<bytes::Bytes>) -> Option<Answer> {
    let body = body.into();
    let receiver = Receiver::start(move |_| answer(status, &[], body.clone())).await;
    sender(SenderSettings::default()).send(&attempt(receiver.url()), always()).await.unwrap().answer
}

#[tokio::test]
async fn the_begin_of_an_answer_is_reported_as_it_came() {
    for status in [200, 204, 302, 410, 503] {
        let body: &[u8] = if status == 204 { b"" } else { b"words" };
        assert_eq!(reported(status, body).await, Some(Answer::new(status, body, false)));
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(ANSWER_KEPT_BYTES_MAX + 1).collect();
    let kept = reported(200, bytes.clone()).await.unwrap();
    assert_eq!((&kept.body()[..], kept.is_truncated()), (&bytes[..ANSWER_KEPT_BYTES_MAX], true));
    let full = reported(200, bytes[1..].to_vec()).await.unwrap();
    assert_eq!((&full.body()[..], full.is_truncated()), (&bytes[1..], false));
    let beyond_all_bounds = reported(500, "é".repeat(ANSWER_BYTES_MAX)).await.unwrap();
    assert_eq!(
        (beyond_all_bounds.body().len(), beyond_all_bounds.is_truncated()),
        (ANSWER_KEPT_BYTES_MAX, true)
    );
}

#[tokio::test]
async fn what_nobody_answered_has_no_answer() {
    let (url, _) = raw_server(|_, mut stream| async move { read_request(&mut stream).await }).await;
    let report = sender(SenderSettings::default()).send(&attempt(url), always()).await.unwrap();
    let (kind, _) = retried(report.result);
    assert_eq!((kind, report.answer), (ErrorKind::Transport, None));
}
