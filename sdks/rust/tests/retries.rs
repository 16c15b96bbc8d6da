//! What the client repeats, with which key, where, and when it gives up.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use durable_timer::model::cluster::ClockAdvance;
use durable_timer::{CallOptions, Client, Error, Failure, Outcome, RetrySettings, TimerInput, TimerName};
use serde_json::json;
use support::{FakeServer, Step, TEST_MAX, dead_url, problem, timer};

/// Waits of a test: as short as they can be and still be told from none.
fn quick() -> RetrySettings {
    RetrySettings {
        tries_max: 4,
        wait_first: Duration::from_millis(2),
        wait_max: Duration::from_millis(4),
        try_max: Duration::from_secs(5),
        total_max: TEST_MAX,
    }
}

fn client(urls: &[&str], settings: RetrySettings) -> Client {
    let builder = urls.iter().fold(Client::builder(), |builder, url| builder.endpoint(*url));
    builder.retry(settings).build().unwrap()
}

fn name() -> TimerName {
    TimerName::new("default", "a")
}

fn input() -> TimerInput {
    TimerInput::after(Duration::from_secs(60), "http://h/")
}

fn unavailable(outcome: &str) -> Step {
    problem(503, "SHARD_UNAVAILABLE", None, &json!({"outcome": outcome}))
}

#[tokio::test]
async fn every_repeat_carries_the_same_key_and_body() {
    let server = FakeServer::start([
        unavailable("notApplied"),
        Step::HangUp,
        problem(504, "TIMEOUT", None, &json!({"outcome": "unknown"})),
        timer(201, &json!({})),
    ])
    .await;
    let answer =
        client(&[&server.url], quick()).put(&name(), &input(), &CallOptions::default()).await.unwrap();
    assert_eq!(answer.tries, 4);
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    let key = seen[0].header("idempotency-key").unwrap();
    for repeat in &seen {
        assert_eq!(repeat.header("idempotency-key"), Some(key));
        assert_eq!((&repeat.body, &repeat.target), (&seen[0].body, &seen[0].target));
    }
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over_and_the_living_one_preferred_from_then_on() {
    let (dead, server) = (dead_url().await, FakeServer::start(vec![timer(200, &json!({})); 2]).await);
    let slow_to_wait = RetrySettings { wait_first: TEST_MAX, wait_max: TEST_MAX, ..quick() };
    let client = client(&[&dead, &server.url], slow_to_wait);
    let first = client.get(&name(), &CallOptions::default()).await.unwrap();
    assert_eq!(first.tries, 2, "without a wait, which would be longer than the whole call may take");
    let second = client.get(&name(), &CallOptions::default()).await.unwrap();
    assert_eq!(second.tries, 1);
}

#[tokio::test]
async fn a_busy_node_sends_the_repeat_to_the_next() {
    let overloaded = problem(503, "OVERLOADED", None, &json!({"outcome": "notApplied"}));
    let (busy, free) =
        (FakeServer::start([overloaded]).await, FakeServer::start([timer(200, &json!({}))]).await);
    let answer =
        client(&[&busy.url, &free.url], quick()).fire(&name(), &CallOptions::default()).await.unwrap();
    assert_eq!(answer.tries, 2);
    assert_eq!(busy.only().header("idempotency-key"), free.only().header("idempotency-key"));
}

#[tokio::test]
async fn nobody_comes_back_before_the_time_that_was_asked_for() {
    let server =
        FakeServer::start([problem(429, "RATE_LIMITED", Some(1), &json!({})), timer(200, &json!({}))]).await;
    let started = Instant::now();
    client(&[&server.url], quick()).fire(&name(), &CallOptions::default()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_wait_that_would_outlast_the_call_is_not_begun() {
    let server = FakeServer::start([problem(429, "RATE_LIMITED", Some(3600), &json!({}))]).await;
    let error = client(&[&server.url], quick()).fire(&name(), &CallOptions::default()).await.unwrap_err();
    let Error::GaveUp { tries: 1, outcome: Outcome::NotApplied, last: Failure::Busy(problem), .. } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(problem.code, "RATE_LIMITED");
}

#[tokio::test]
async fn tries_are_bounded_and_one_open_try_leaves_the_outcome_unknown() {
    let mut script = vec![unavailable("notApplied"); 4];
    let server = FakeServer::start(script.clone()).await;
    let error = client(&[&server.url], quick()).fire(&name(), &CallOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::GaveUp { tries: 4, .. }), "{error:?}");
    assert_eq!((error.outcome(), server.seen().len()), (Outcome::NotApplied, 4));

    script[1] = Step::HangUp;
    let server = FakeServer::start(script).await;
    let error = client(&[&server.url], quick()).fire(&name(), &CallOptions::default()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_left_after_the_time_for_one_try() {
    let server = FakeServer::start([Step::Silence, timer(200, &json!({}))]).await;
    let settings = RetrySettings { try_max: Duration::from_millis(100), ..quick() };
    let answer = client(&[&server.url], settings).fire(&name(), &CallOptions::default()).await.unwrap();
    assert_eq!(answer.tries, 2);

    let server = FakeServer::start([Step::Silence]).await;
    let settings = RetrySettings { total_max: Duration::from_millis(100), ..quick() };
    let error = client(&[&server.url], settings).fire(&name(), &CallOptions::default()).await.unwrap_err();
    assert!(matches!(&error, Error::GaveUp { last: Failure::Slow(_), .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[tokio::test]
async fn nothing_that_was_never_sent_can_have_had_an_effect() {
    let urls = [dead_url().await, dead_url().await];
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let error = client(&urls, quick()).fire(&name(), &CallOptions::default()).await.unwrap_err();
    assert!(matches!(&error, Error::GaveUp { tries: 4, last: Failure::Connect(_), .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
}

#[tokio::test]
async fn a_proxys_own_answers_are_repeated_but_leave_the_outcome_open() {
    let gateway = || Step::Answer(502, vec![], "<html>bad gateway".into());
    let server = FakeServer::start([gateway(), timer(200, &json!({}))]).await;
    let answer = client(&[&server.url], quick()).fire(&name(), &CallOptions::default()).await.unwrap();
    assert_eq!(answer.tries, 2);

    let server = FakeServer::start([gateway()]).await;
    let once = RetrySettings { tries_max: 1, ..quick() };
    let error = client(&[&server.url], once).fire(&name(), &CallOptions::default()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[tokio::test]
async fn a_full_disk_does_not_close_what_an_earlier_try_left_open() {
    let full = problem(507, "DISK_FULL", None, &json!({"outcome": "notApplied"}));
    let server = FakeServer::start([full.clone(), Step::HangUp, full]).await;
    let client = client(&[&server.url], quick());
    let error = client.put(&name(), &input(), &CallOptions::default()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
    let error = client.put(&name(), &input(), &CallOptions::default()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[tokio::test]
async fn a_clock_is_not_advanced_twice_by_a_repeat() {
    let server = FakeServer::start(vec![Step::HangUp; 5]).await;
    let client = client(&[&server.url], quick());
    client.advance_clock(&ClockAdvance::By("1d".into())).await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
    client.advance_clock(&ClockAdvance::To("2031-01-01T00:00:00Z".into())).await.unwrap_err();
    assert_eq!(server.seen().len(), 5);
}
