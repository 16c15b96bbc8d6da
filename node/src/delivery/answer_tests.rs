//! Every row of the table of answers.

use http::Response;
use timer_core::limits::ERROR_BYTES_MAX;
use timer_core::time::Span;

use super::*;

/// 2026-11-25T01:02:03.456Z
const NOW: Millis = Millis(1_795_568_523_456);
const JSON: (&str, &str) = ("content-type", "application/json");

fn head(status: u16, headers: &[(&str, &str)]) -> response::Parts {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap().into_parts().0
}

fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> AttemptResult {
    let body = Body::Whole(Bytes::copy_from_slice(body.as_bytes()));
    meaning(&head(status, headers), body, &DeadOn::default(), NOW)
}

fn json(body: &str) -> AttemptResult {
    answered(200, &[JSON], body)
}

/// Kind, status, message, retry after, permanent.
fn failed(result: AttemptResult) -> (ErrorKind, Option<u16>, String, Option<Millis>, bool) {
    let AttemptResult::Failed { error, retry_after, permanent } = result else {
        panic!("{result:?} is no failure");
    };
    assert_eq!(error.at, NOW);
    (error.kind, error.status, error.message, retry_after, permanent)
}

#[test]
fn a_2xx_is_delivered_whatever_it_says() {
    for status in [200, 201, 202, 204, 206, 299] {
        assert_eq!(answered(status, &[], ""), AttemptResult::Delivered, "{status}");
        assert_eq!(
            answered(status, &[("content-type", "text/html")], "{\"ok\":false}"),
            AttemptResult::Delivered
        );
    }
}

#[test]
fn a_body_without_a_boolean_ok_says_nothing() {
    for body in [
        "",
        "null",
        "true",
        "false",
        "[]",
        "[{\"ok\":false}]",
        "{}",
        "{\"ok\":0}",
        "{\"ok\":\"false\"}",
        "{\"ok\":null}",
        "{\"OK\":false}",
        "{\"a\":{\"ok\":false}}",
        "{\"ok\":false",
        "{\"ok\":false}}",
        "\u{feff}",
        "{\"nextExecuteAt\":\"2027-01-01T00:00:00Z\"}",
        "{\"ok\":1,\"nextExecuteAt\":7}",
    ] {
        assert_eq!(json(body), AttemptResult::Delivered, "{body}");
    }
    let invalid = Body::Whole(Bytes::from_static(b"{\"ok\":false,\"x\":\"\xff\"}"));
    assert_eq!(meaning(&head(200, &[JSON]), invalid, &DeadOn::default(), NOW), AttemptResult::Delivered);
}

#[test]
fn ok_true_is_delivered() {
    for body in
        ["{\"ok\":true}", " { \"ok\" : true , \"more\" : [1] } ", "{\"ok\":true,\"nextExecuteAt\":null}"]
    {
        assert_eq!(json(body), AttemptResult::Delivered, "{body}");
    }
}

#[test]
fn ok_false_is_a_failure_to_retry() {
    let (kind, status, message, retry_after, permanent) = failed(json("{\"ok\":false,\"why\":\"full\"}"));
    assert_eq!((kind, status, retry_after, permanent), (ErrorKind::ReceiverRefused, Some(200), None, false));
    assert_eq!(message, "the receiver answered 200: {\"ok\":false,\"why\":\"full\"}");
}

#[test]
fn json_is_known_by_its_media_type() {
    for content_type in
        ["application/json", "Application/JSON ; charset=utf-8", "application/problem+json", "text/json"]
    {
        let result = answered(200, &[("content-type", content_type)], "{\"ok\":false}");
        assert_eq!(failed(result).0, ErrorKind::ReceiverRefused, "{content_type}");
    }
    for content_type in ["application/jsonp", "text/plain", "application/json-seq", "json", ""] {
        let result = answered(200, &[("content-type", content_type)], "{\"ok\":false}");
        assert_eq!(result, AttemptResult::Delivered, "{content_type}");
    }
}

#[test]
fn ok_true_with_a_time_schedules_the_next_generation() {
    let execute_at = rfc3339::parse("2026-12-02T08:00:00.001Z").unwrap();
    let next = |payload| AttemptResult::DeliveredNext { execute_at, payload };
    let time = "\"nextExecuteAt\":\"2026-12-02T09:00:00.0001+01:00\"";
    assert_eq!(json(&format!("{{\"ok\":true,{time}}}")), next(None));
    for payload in ["{ \"n\": 1.0 }", "null", "\"x\"", "12345678901234567890123"] {
        let bytes = Payload::Json(payload.as_bytes().into());
        assert_eq!(json(&format!("{{{time},\"payload\":{payload},\"ok\":true}}")), next(Some(bytes)));
    }
}

#[test]
fn a_payload_that_no_client_could_send_is_the_end() {
    let answer = |levels: usize| {
        let payload = "[".repeat(levels) + &"]".repeat(levels);
        json(&format!("{{\"ok\":true,\"nextExecuteAt\":\"2026-12-02T08:00:00Z\",\"payload\":{payload}}}"))
    };
    assert!(matches!(answer(PAYLOAD_DEPTH_MAX), AttemptResult::DeliveredNext { .. }));
    let (kind, status, message, _, permanent) = failed(answer(PAYLOAD_DEPTH_MAX + 1));
    assert_eq!((kind, status, permanent), (ErrorKind::InvalidCallbackAnswer, Some(200), true));
    assert_eq!(message, "payload in the answer must not nest deeper than 100 levels");
}

#[test]
fn ok_false_with_a_time_is_not_yet() {
    let until = rfc3339::parse("2026-12-02T08:00:00Z").unwrap();
    assert_eq!(
        json("{\"ok\":false,\"nextExecuteAt\":\"2026-12-02T08:00:00Z\"}"),
        AttemptResult::Deferred { until }
    );
    let past = json("{\"ok\":false,\"nextExecuteAt\":\"1999-12-02T08:00:00Z\"}");
    assert!(matches!(past, AttemptResult::Deferred { until } if until < NOW), "the rules make it a second");
}

#[test]
fn a_time_that_cannot_be_used_is_the_end() {
    let far = rfc3339::format(NOW + HORIZON_MAX + Span(1));
    for ok in [true, false] {
        for time in [
            "\"soon\"",
            "\"\"",
            "7",
            "{}",
            "[]",
            "true",
            "\"2026-12-02\"",
            "\"2026-12-02T08:00:00\"",
            "\"10000-01-01T00:00:00Z\"",
            &format!("{far:?}"),
        ] {
            let body = format!("{{\"ok\":{ok},\"nextExecuteAt\":{time}}}");
            let (kind, status, message, retry_after, permanent) = failed(json(&body));
            assert_eq!(
                (kind, status, retry_after, permanent),
                (ErrorKind::InvalidCallbackAnswer, Some(200), None, true),
                "{body}"
            );
            assert!(message.starts_with("nextExecuteAt in the answer "), "{message}");
        }
        let last = rfc3339::format(NOW + HORIZON_MAX);
        assert!(!matches!(
            json(&format!("{{\"ok\":{ok},\"nextExecuteAt\":\"{last}\"}}")),
            AttemptResult::Failed { .. }
        ));
    }
}

#[test]
fn statuses_that_no_retry_mends_are_the_end() {
    for status in [400, 405, 410, 413, 414, 415, 422] {
        let (kind, reported, _, retry_after, permanent) = failed(answered(status, &[], ""));
        assert_eq!((kind, reported, permanent), (ErrorKind::HttpStatus, Some(status), true));
        assert_eq!(retry_after, None);
    }
    let dead = |status, dead_on: &DeadOn| {
        failed(meaning(&head(status, &[]), Body::Whole(Bytes::new()), dead_on, NOW)).4
    };
    assert!(dead(404, &DeadOn::All4xx) && dead(429, &DeadOn::All4xx) && !dead(500, &DeadOn::All4xx));
    assert!(dead(503, &DeadOn::Codes(vec![503])) && !dead(400, &DeadOn::Codes(vec![503])));
}

#[test]
fn any_other_status_is_retried() {
    for status in
        [300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 408, 409, 418, 425, 429, 500, 502, 503, 599]
    {
        let (kind, reported, _, retry_after, permanent) = failed(answered(status, &[JSON], "{\"ok\":true}"));
        assert_eq!((kind, reported), (ErrorKind::HttpStatus, Some(status)));
        assert_eq!((retry_after, permanent), (None, false));
    }
}

#[test]
fn retry_after_counts_with_429_and_503_only() {
    let asked = |status, value| failed(answered(status, &[("retry-after", value)], "")).3;
    for status in [429, 503] {
        assert_eq!(asked(status, "120"), Some(NOW + Span::from_secs(120)));
        assert_eq!(
            asked(status, "Wed, 25 Nov 2026 03:04:05 GMT"),
            rfc3339::parse("2026-11-25T03:04:05Z").ok()
        );
        assert_eq!(asked(status, "-5"), None);
        assert_eq!(asked(status, "abc"), None);
    }
    for status in [301, 404, 500, 502] {
        assert_eq!(asked(status, "120"), None, "{status}");
    }
}

#[test]
fn a_message_says_what_came_back_on_one_line() {
    let message = |status, headers: &[(&str, &str)], body: &str| failed(answered(status, headers, body)).2;
    assert_eq!(message(500, &[], ""), "the receiver answered 500 Internal Server Error");
    assert_eq!(message(599, &[], "a\r\nb"), "the receiver answered 599: a  b");
    assert_eq!(
        message(307, &[("location", "http://10.0.0.1/x")], ""),
        "the receiver answered 307 Temporary Redirect; redirects are not followed, \
         this one goes to http://10.0.0.1/x"
    );
    let long = message(500, &[], &"ü".repeat(5000));
    assert!(long.len() <= ERROR_BYTES_MAX && long.ends_with('…'), "{long}");
}

#[test]
fn a_body_beyond_the_bound_is_no_answer_to_read() {
    let cut = || Body::CutOff(Bytes::from_static(b"{\"ok\":false}"));
    assert_eq!(meaning(&head(200, &[JSON]), cut(), &DeadOn::default(), NOW), AttemptResult::Delivered);
    assert_eq!(failed(meaning(&head(500, &[]), cut(), &DeadOn::default(), NOW)).1, Some(500));
}

#[test]
fn a_body_that_breaks_off_takes_a_2xx_back_but_no_other_status() {
    let within = std::time::Duration::from_secs(1);
    let failure = || Failure::timed_out(ErrorKind::ReadTimedOut, within, "no end");
    let broken = || Body::Broken { begin: Bytes::new(), failure: failure() };
    let (kind, status, _, _, permanent) = failed(meaning(&head(200, &[]), broken(), &DeadOn::default(), NOW));
    assert_eq!((kind, status, permanent), (ErrorKind::ReadTimedOut, Some(200), false));
    let (kind, status, _, _, permanent) = failed(meaning(&head(410, &[]), broken(), &DeadOn::default(), NOW));
    assert_eq!((kind, status, permanent), (ErrorKind::HttpStatus, Some(410), true));
}
