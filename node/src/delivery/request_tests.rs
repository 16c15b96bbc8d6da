//! The request of an attempt, to the byte.

use timer_core::definition::{Definition, LatePolicy, RetryPolicy};
use timer_core::ids::{Sequence, TimerKey};
use timer_core::secret::SecretBytes;
use timer_core::timer::{InFlight, State};

use super::*;

/// 2026-11-25T01:02:03.456Z
const NOW: Millis = Millis(1_795_568_523_456);

fn attempt() -> Attempt {
    let timer = Timer {
        key: TimerKey::new("orders", "a/b \"ü\""),
        generation: Sequence::new(7, 3),
        version: Sequence::new(7, 3),
        state: State::Scheduled,
        definition: Definition {
            execute_at: Millis(NOW.0 - 500),
            callback: Callback::post("https://example.com/hook?x=1"),
            payload: Payload::Json(b"{ \"n\": 1.50, \"n\": 12345678901234567890123 }".as_slice().into()),
            retry: RetryPolicy::default(),
            late: LatePolicy::Fire,
            labels: Default::default(),
        },
        fingerprint: None,
        next_attempt_at: Some(Millis(NOW.0 - 250)),
        position: Some(Millis(NOW.0 - 250)),
        parked_at: None,
        attempts: 1,
        attempts_forgiven: 0,
        first_attempt_at: None,
        deferrals: 2,
        attempts_recorded: 0,
        manual: false,
        created_at: Millis(0),
        updated_at: Millis(0),
        executed_at: None,
        last_error: None,
        in_flight: InFlight::No,
        answers: Vec::new(),
        purge_at: None,
        traceparent: None,
    };
    Attempt {
        timer,
        attempt: 4,
        fencing_token: u64::MAX,
        late_ms: 250,
        cluster_id: "c-1".into(),
        manual: false,
        secrets: Vec::new(),
    }
}

fn callback(attempt: &mut Attempt) -> &mut Callback {
    &mut attempt.timer.definition.callback
}

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().unwrap())
}

fn text(request: Request<Bytes>) -> String {
    String::from_utf8(request.into_body().to_vec()).unwrap()
}

#[test]
fn the_envelope_has_the_payload_to_the_byte() {
    let request = request(&attempt(), NOW).unwrap();
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(
        text(request),
        "{\"group\":\"orders\",\"id\":\"a/b \\\"ü\\\"\",\"generation\":28675,\"attempt\":4,\
         \"executeAt\":\"2026-11-25T01:02:02.956Z\",\
         \"payload\":{ \"n\": 1.50, \"n\": 12345678901234567890123 }}"
    );
}

#[test]
fn an_envelope_without_payload_says_null() {
    let mut attempt = attempt();
    attempt.timer.definition.payload = Payload::None;
    assert!(text(request(&attempt, NOW).unwrap()).ends_with("\"payload\":null}"));
}

#[test]
fn an_envelope_of_bytes_has_them_in_base64_with_their_type() {
    let mut attempt = attempt();
    attempt.timer.definition.payload =
        Payload::Binary { bytes: [0, 255, 254].as_slice().into(), content_type: "image/png".into() };
    let json = text(request(&attempt, NOW).unwrap());
    assert!(json.ends_with("\"payloadBase64\":\"AP/+\",\"contentType\":\"image/png\"}"), "{json}");
}

#[test]
fn the_payload_alone_is_sent_as_it_is() {
    let mut attempt = attempt();
    callback(&mut attempt).body = BodyMode::Payload;
    let json = request(&attempt, NOW).unwrap();
    assert_eq!(header(&json, "content-type"), Some("application/json"));
    assert_eq!(text(json), "{ \"n\": 1.50, \"n\": 12345678901234567890123 }");

    let (bytes, content_type) = (b"\x01\x02".as_slice().into(), "application/x-thing; v=1".into());
    attempt.timer.definition.payload = Payload::Binary { bytes, content_type };
    let binary = request(&attempt, NOW).unwrap();
    assert_eq!(header(&binary, "content-type"), Some("application/x-thing; v=1"));
    assert_eq!(text(binary), "\x01\x02");

    attempt.timer.definition.payload = Payload::None;
    let none = request(&attempt, NOW).unwrap();
    assert_eq!(header(&none, "content-type"), None);
    assert_eq!(text(none), "");
}

#[test]
fn methods_without_a_body_send_none() {
    let methods = [
        (CallbackMethod::Post, "POST", true),
        (CallbackMethod::Put, "PUT", true),
        (CallbackMethod::Patch, "PATCH", true),
        (CallbackMethod::Get, "GET", false),
        (CallbackMethod::Delete, "DELETE", false),
    ];
    for (method, name, has_body) in methods {
        let mut attempt = attempt();
        callback(&mut attempt).method = method;
        let request = request(&attempt, NOW).unwrap();
        assert_eq!(request.method().as_str(), name);
        assert_eq!(header(&request, "content-type").is_some(), has_body, "{name}");
        assert_eq!(text(request).is_empty(), !has_body, "{name}");
    }
}

#[test]
fn headers_name_the_attempt() {
    let mut attempt = attempt();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    attempt.timer.traceparent = Some(traceparent.into());
    let request = request(&attempt, NOW).unwrap();
    assert_eq!(request.uri(), "https://example.com/hook?x=1");
    let expected = [
        ("user-agent", concat!("durable-timer/", env!("CARGO_PKG_VERSION"))),
        ("timer-group", "orders"),
        ("timer-id", "a%2Fb%20%22%C3%BC%22"),
        ("timer-generation", "28675"),
        ("timer-attempt", "4"),
        ("timer-scheduled-at", "2026-11-25T01:02:03.206Z"),
        ("timer-late-ms", "250"),
        ("timer-deferrals", "2"),
        ("timer-cluster-id", "c-1"),
        ("timer-fencing-token", "18446744073709551615"),
        ("traceparent", traceparent),
        ("webhook-timestamp", "1795568523"),
    ];
    for (name, value) in expected {
        assert_eq!(header(&request, name), Some(value), "{name}");
    }
    for absent in ["timer-manual", "webhook-signature"] {
        assert_eq!(header(&request, absent), None, "{absent}");
    }
}

#[test]
fn only_a_manual_attempt_says_so() {
    let attempt = Attempt { manual: true, ..attempt() };
    assert_eq!(header(&request(&attempt, NOW).unwrap(), "timer-manual"), Some("true"));
}

#[test]
fn the_webhook_id_is_that_of_the_generation() {
    let id = |attempt: &Attempt| header(&request(attempt, NOW).unwrap(), "webhook-id").unwrap().to_owned();
    let first = attempt();
    // For ever: receivers keep it.
    assert_eq!(id(&first), "msg_d370812c400d8d75c950649f1953101a");
    let mut retry = Attempt { attempt: 9, fencing_token: 1, late_ms: 0, ..attempt() };
    retry.timer.version = Sequence::new(9, 0);
    assert_eq!(id(&retry), id(&first), "of another attempt");
    let mut other = attempt();
    other.timer.generation = Sequence::new(8, 0);
    assert_ne!(id(&other), id(&first), "of another generation");
    let key = |group: &str, name: &str| {
        let mut attempt = attempt();
        attempt.timer.key = TimerKey::new(group, name);
        id(&attempt)
    };
    assert_ne!(key("ab", "c"), key("a", "bc"), "parts do not run together");
}

#[test]
fn headers_of_the_user_do_not_replace_ours() {
    let mut attempt = attempt();
    callback(&mut attempt).headers = vec![
        ("authorization".into(), "Bearer x".into()),
        ("user-agent".into(), "theirs".into()),
        ("content-type".into(), "text/plain".into()),
        ("x-many".into(), "1".into()),
    ];
    let request = request(&attempt, NOW).unwrap();
    assert_eq!(header(&request, "authorization"), Some("Bearer x"));
    assert_eq!(header(&request, "x-many"), Some("1"));
    assert_ne!(header(&request, "user-agent"), Some("theirs"));
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(request.headers().get_all("content-type").iter().count(), 1);
}

#[test]
fn a_record_that_makes_no_request_is_a_fault() {
    let broken: [fn(&mut Callback); 5] = [
        |callback| callback.url = "http://user@example.com/".into(),
        |callback| callback.url = "nonsense".into(),
        |callback| callback.headers = vec![("host".into(), "elsewhere".into())],
        |callback| callback.headers = vec![("timer-id".into(), "x".into())],
        |callback| callback.headers = vec![("x".into(), "a\nb".into())],
    ];
    for (case, break_it) in broken.iter().enumerate() {
        let mut attempt = attempt();
        break_it(callback(&mut attempt));
        assert!(request(&attempt, NOW).is_err(), "case {case}");
    }
}

#[test]
fn every_url_that_may_be_stored_makes_a_request() {
    for url in [
        "http://example.com",
        "http://bücher.example/ü?q=ü|{}",
        "http://example.com/a'b\"c<d>`{}|^",
        "http://[::1]:8080/",
        "http://2130706433/",
        "https://example.com:443/%zz",
    ] {
        let mut attempt = attempt();
        callback(&mut attempt).url = url.into();
        let request = request(&attempt, NOW);
        assert!(request.is_ok(), "{url}: {request:?}");
    }
}

#[test]
fn what_is_sent_is_signed_with_every_secret_of_the_group() {
    let secrets = vec![SecretBytes::new([1; 32]), SecretBytes::new([2; 32])];
    let mut attempt = Attempt { secrets: secrets.clone(), ..attempt() };
    for (method, mode) in [
        (CallbackMethod::Post, BodyMode::Envelope),
        (CallbackMethod::Put, BodyMode::Payload),
        (CallbackMethod::Get, BodyMode::Envelope),
        (CallbackMethod::Delete, BodyMode::Envelope),
    ] {
        callback(&mut attempt).method = method;
        callback(&mut attempt).body = mode;
        let request = request(&attempt, NOW).unwrap();
        let [id, timestamp] =
            ["webhook-id", "webhook-timestamp"].map(|name| header(&request, name).unwrap().as_bytes());
        let expected = signature::header(&secrets, id, timestamp, request.body()).unwrap().unwrap();
        assert_eq!(header(&request, "webhook-signature"), Some(expected.as_str()));
        assert_eq!(expected.split(' ').filter(|one| one.starts_with("v1,")).count(), 2);
        assert_eq!(request.body().is_empty(), !method.has_body());
    }
}

#[test]
fn what_is_written_about_an_attempt_does_not_show_its_secrets() {
    let text = format!("{:?}", Attempt { secrets: vec![SecretBytes::new([0xab; 32])], ..attempt() });
    assert!(text.contains("secrets: [[redacted]]") && !text.contains("171, 171"), "{text}");
}
