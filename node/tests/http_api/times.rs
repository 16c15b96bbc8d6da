//! Times and durations: exact, or refused; never now instead of later (cases C32, C33, C35).

use timer_core::time::Millis;

use crate::support::{Api, START, timer};

fn at(time: &str) -> String {
    format!(r#"{{"executeAt": "{time}", "callbackUrl": "http://r/x"}}"#)
}

#[tokio::test]
async fn offsets_are_the_same_instant() {
    let api = Api::new();
    for (sent, instant) in [
        ("2026-12-01T10:30:00+02:30", "2026-12-01T08:00:00.000Z"),
        ("2026-12-01T07:30:00-00:30", "2026-12-01T08:00:00.000Z"),
        ("2026-12-01T04:00:00-04:00", "2026-12-01T08:00:00.000Z"),
        ("2026-12-02T07:59:00+23:59", "2026-12-01T08:00:00.000Z"),
        ("2026-12-01T08:00:00Z", "2026-12-01T08:00:00.000Z"),
        ("2026-12-01t08:00:00z", "2026-12-01T08:00:00.000Z"),
        ("2026-12-01T08:00:00.0001Z", "2026-12-01T08:00:00.001Z"),
    ] {
        let put = api.call("PUT a", at(sent)).await;
        assert_eq!(put.ok()["executeAt"], instant, "{sent}");
        assert_eq!(api.call("GET a", "").await.json["executeAt"], instant, "{sent}");
    }
}

#[tokio::test]
async fn the_same_instant_is_the_same_definition() {
    let api = Api::new();
    let first = api.call("PUT a", at("2026-12-01T08:00:00Z")).await;
    let again = api.call("PUT a", at("2026-12-01T10:30:00.000+02:30")).await;
    assert_eq!((again.status.as_u16(), &again.json), (200, &first.json));
}

#[tokio::test]
async fn what_is_no_time_names_its_field() {
    let api = Api::new();
    for sent in [
        "2026-12-01T08:00:00",
        "2026-12-01",
        "2026-12-01T24:00:00Z",
        "2026-12-01T08:00:60Z",
        "2026-02-29T08:00:00Z",
        "10000-01-01T00:00:00Z",
        "tomorrow",
        "",
        "1795600800",
    ] {
        let put = api.call("PUT a", at(sent)).await;
        assert_eq!((put.problem(), put.fields()), ((400, "INVALID_ARGUMENT"), vec!["executeAt"]), "{sent}");
    }
    assert!(!api.has_record("a"));
}

#[tokio::test]
async fn a_time_beyond_the_horizon_is_refused_and_never_fires_now() {
    let api = Api::new();
    for sent in [
        "2038-01-19T03:14:08Z",
        "2106-02-07T06:28:16Z",
        "2262-04-12T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59.9991Z",
    ] {
        let put = api.call("PUT a", at(sent)).await;
        assert_eq!((put.problem(), put.fields()), ((422, "OUT_OF_RANGE"), vec!["executeAt"]), "{sent}");
    }
    // 10 years are 87,660 hours.
    assert_eq!(api.call("PUT a", at("2036-11-24T22:00:00Z")).await.status, 201);
    assert_eq!(api.call("PUT b", at("2036-11-24T22:00:00.001Z")).await.problem(), (422, "OUT_OF_RANGE"));
    let delay = |text: &str| format!(r#"{{"delay": "{text}", "callbackUrl": "http://r/x"}}"#);
    assert_eq!(api.call("PUT c", delay("87660h")).await.status, 201);
    assert_eq!(api.call("PUT d", delay("87660h1ms")).await.problem(), (422, "OUT_OF_RANGE"));
    for body in [r#"{"executeAt": "2106-02-07T06:28:16Z"}"#, r#"{"delay": "999999d"}"#] {
        assert_eq!(api.call("PATCH a", body).await.problem(), (422, "OUT_OF_RANGE"), "{body}");
    }
}

#[tokio::test]
async fn a_time_that_has_passed_is_taken() {
    let api = Api::new();
    for sent in ["2026-11-25T09:59:59Z", "2016-11-25T10:00:00Z", "1970-01-01T00:00:00Z"] {
        let put = api.call("PUT a", at(sent)).await;
        assert_eq!(put.ok()["state"], "scheduled", "{sent}");
    }
}

#[tokio::test]
async fn a_delay_counts_from_the_request() {
    let api = Api::new();
    let body = r#"{"delay": "1h30m", "callbackUrl": "http://r/x"}"#;
    assert_eq!(api.call("PUT a", body).await.ok()["executeAt"], "2026-11-25T11:30:00.000Z");
    assert_eq!(api.record("a").definition.execute_at, Millis(START.0 + 5_400_000));
}

#[tokio::test]
async fn a_definition_has_exactly_one_time() {
    let api = Api::new();
    let none = api.call("PUT a", r#"{"callbackUrl": "http://r/x"}"#).await;
    assert_eq!((none.problem(), none.fields()), ((400, "INVALID_ARGUMENT"), vec!["executeAt"]));
    let both = api.call("PUT a", timer(r#", "executeAt": "2026-12-01T08:00:00Z""#)).await;
    assert_eq!((both.problem(), both.fields()), ((400, "INVALID_ARGUMENT"), vec!["delay"]));
}

#[tokio::test]
async fn durations_are_answered_in_canonical_form() {
    let api = Api::new();
    let more =
        r#", "callbackTimeout": "0.5m", "retryPolicy": {"maxDuration": "48h", "initialInterval": "1500ms"}"#;
    let put = api.call("PUT a", timer(more)).await;
    assert_eq!(put.ok()["callbackTimeout"], "30s");
    assert_eq!(put.json["retryPolicy"]["maxDuration"], "2d");
    assert_eq!(put.json["retryPolicy"]["initialInterval"], "1.5s");
}

#[tokio::test]
async fn the_manual_clock_is_read_and_advanced() {
    let api = Api::new();
    let clock = "/api/v1/dev/clock";
    assert_eq!(api.call(&format!("GET {clock}"), "").await.ok()["now"], "2026-11-25T10:00:00.000Z");
    let by = api.call(&format!("POST {clock}"), r#"{"by": "30d"}"#).await;
    assert_eq!(by.ok()["now"], "2026-12-25T10:00:00.000Z");
    let to = api.call(&format!("POST {clock}"), r#"{"to": "2026-12-25T12:00:00+01:00"}"#).await;
    assert_eq!(to.ok()["now"], "2026-12-25T11:00:00.000Z");
    let back = api.call(&format!("POST {clock}"), r#"{"to": "2026-12-25T10:59:59.999Z"}"#).await;
    assert_eq!((back.problem(), back.fields()), ((422, "OUT_OF_RANGE"), vec!["to"]));
    // What no calendar can write is refused, and not cut short to the last time that one can.
    let far = api.call(&format!("POST {clock}"), r#"{"by": "2914000d"}"#).await;
    assert_eq!((far.problem(), far.fields()), ((422, "OUT_OF_RANGE"), vec!["by"]));
    for body in ["{}", r#"{"by": "1s", "to": "2027-01-01T00:00:00Z"}"#, r#"{"by": "x"}"#, r#"{"in": "1s"}"#] {
        assert_eq!(
            api.call(&format!("POST {clock}"), body).await.problem(),
            (400, "INVALID_ARGUMENT"),
            "{body}"
        );
    }
    assert_eq!(api.call(&format!("GET {clock}"), "").await.ok()["now"], "2026-12-25T11:00:00.000Z");
}
