//! Addresses that callbacks may not go to: judged when they are connected to, and never connected to.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod delivery_support;

use std::time::Duration;

use delivery_support::*;
use node::delivery::{AddressPolicy, SenderSettings};
use proptest::prelude::*;
use timer_core::command::AttemptResult;
use timer_core::timer::ErrorKind;

fn allowing(allow: &[&str]) -> AddressPolicy {
    let allow: Vec<String> = allow.iter().map(ToString::to_string).collect();
    AddressPolicy::from_settings(&allow).unwrap()
}

/// Asserts that the attempt ended for good at an address that is blocked, and gives the message.
fn blocked(result: AttemptResult) -> String {
    let (error, permanent) = failure(result);
    assert_eq!((error.kind, error.status, permanent), (ErrorKind::BlockedAddress, None, true), "{error:?}");
    error.message
}

#[tokio::test]
async fn an_address_in_any_notation_is_blocked_without_a_connection() {
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let sender = sender_with(allowing(&[]), SenderSettings::default());
    for host in
        ["127.0.0.1", "0x7f000001", "2130706433", "017700000001", "127.1", "[::ffff:127.0.0.1]", "localhost"]
    {
        let message = blocked(sender.send(&attempt(receiver.url_at(host)), always()).await.unwrap().result);
        assert!(message.contains("is a loopback address"), "{host}: {message}");
    }
    for url in ["http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/", "http://10.0.0.1/"] {
        blocked(sender.send(&attempt(url), always()).await.unwrap().result);
    }
    assert_eq!((receiver.connections(), receiver.seen().len()), (0, 0));
}

#[tokio::test]
async fn a_name_with_a_public_and_a_private_address_is_blocked() {
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let names = Names::of("hooks.test", &[]);
    let sender = sender_with(allowing(&[]), resolving(&names));
    for addresses in [["1.1.1.1", "127.0.0.1"], ["127.0.0.1", "1.1.1.1"], ["1.1.1.1", "::ffff:127.0.0.1"]] {
        names.set("hooks.test", &addresses);
        let message =
            blocked(sender.send(&attempt(receiver.url_at("hooks.test")), always()).await.unwrap().result);
        assert_eq!(
            message,
            "hooks.test: 127.0.0.1 is a loopback address, which callbacks may not go to unless \
             delivery.allow lists it"
        );
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_is_judged_anew_with_every_connection() {
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let names = Names::of("hooks.test", &["127.0.0.1"]);
    let settings = SenderSettings { connection_age_max: Duration::ZERO, ..resolving(&names) };
    let sender = sender_with(allowing(&["127.0.0.1"]), settings);
    let attempt = attempt(receiver.url_at("hooks.test"));
    assert_eq!(sender.send(&attempt, always()).await.unwrap().result, AttemptResult::Delivered);
    names.set("hooks.test", &["10.0.0.1"]);
    blocked(sender.send(&attempt, always()).await.unwrap().result);
}

#[tokio::test]
async fn what_is_listed_is_reached() {
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let names = Names::of("hooks.test", &["127.0.0.1"]);
    names.set("other.test", &["127.0.0.1"]);
    for allow in ["127.0.0.0/8", "127.0.0.1", "loopback", "hooks.test"] {
        let sender = sender_with(allowing(&[allow]), resolving(&names));
        let result = sender.send(&attempt(receiver.url_at("hooks.test")), always()).await.unwrap().result;
        assert_eq!(result, AttemptResult::Delivered, "{allow}");
    }
    let sender = sender_with(allowing(&["hooks.test", "private"]), resolving(&names));
    blocked(sender.send(&attempt(receiver.url_at("other.test")), always()).await.unwrap().result);
    blocked(sender.send(&attempt(receiver.url()), always()).await.unwrap().result);
}

#[tokio::test]
async fn a_url_that_was_never_valid_ends_the_timer() {
    let sender = sender(SenderSettings::default());
    for url in ["file:///etc/passwd", "http://user:pass@127.0.0.1/", "http://127.0.0.1:0/", "nonsense"] {
        let (error, permanent) = failure(sender.send(&attempt(url), always()).await.unwrap().result);
        assert_eq!((error.kind, permanent), (ErrorKind::InvalidCallback, true), "{url}");
        assert!(error.message.starts_with("callbackUrl must "), "{}", error.message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever a record holds, an attempt ends with a report. Nothing can be reached here: no name is known,
    /// and without digits nobody can write a public address.
    #[test]
    fn no_record_panics(
        url in "(https?://[a-z.:\\[\\]@%!`{}_-]{0,20}/)?.{0,20}",
        name in "[a-zA-Z-]{1,8}|.{0,6}",
        value in ".{0,8}",
        id in ".{1,20}",
        traceparent in proptest::option::of(".{0,60}"),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let names = Names::of("known.test", &["127.0.0.1"]);
        let settings = SenderSettings { roots: Some(rustls::RootCertStore::empty()), ..resolving(&names) };
        let mut attempt = attempt_within(50, url);
        attempt.timer.key.id = id;
        attempt.timer.traceparent = traceparent;
        attempt.timer.definition.callback.headers = vec![(name, value)];
        let report = runtime.block_on(async { sender_with(allowing(&[]), settings).send(&attempt, always()).await.unwrap() });
        prop_assert!(matches!(report.result, AttemptResult::Failed { .. }), "{:?}", report);
        prop_assert!(report.started_at <= report.finished_at);
    }
}
