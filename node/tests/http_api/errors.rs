//! Problems: routes, methods, media types, sizes, and what the cluster could not do.

use std::time::Duration;

use axum::body::Body;
use node::backend::{Applied, BackendError};
use node::http::HttpSettings;
use node::http::problem::Code;

use crate::support::{Api, timer};

#[tokio::test]
async fn a_path_without_operations_is_unknown() {
    let api = Api::new();
    for line in [
        "GET /",
        "GET /api/v1",
        "GET /api/v2/info",
        "GET a/attempts/1",
        "POST /api/v1/groups/default/cancel",
        "GET /api/v1/groups/default/nothing",
        "GET a/",
        "GET /docs/errors/NOT_A_CODE",
        "GET /docs/errors/TIMEOUT.md",
    ] {
        assert_eq!(api.call(line, "").await.problem(), (404, "ROUTE_NOT_FOUND"), "{line}");
    }
    let elsewhere = api.call("PUT /v1/timers/hello", "").await;
    assert_eq!(
        elsewhere.json["detail"],
        "there is nothing at /v1/timers/hello; timers are at /api/v1/groups/{group}/timers/{id}"
    );
    let by_itself = Api::with(false, HttpSettings::default());
    for line in ["GET /api/v1/dev/clock", "POST /api/v1/dev/clock", "DELETE /api/v1/dev/clock"] {
        assert_eq!(by_itself.call(line, "").await.problem(), (404, "ROUTE_NOT_FOUND"), "{line}");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_told_the_others() {
    let api = Api::new();
    for (line, allow) in [
        ("POST a", vec!["DELETE", "GET", "HEAD", "PATCH", "PUT"]),
        ("GET a/fire", vec!["POST"]),
        ("DELETE ", vec!["GET", "HEAD", "POST"]),
        ("BREW /healthz", vec!["GET", "HEAD"]),
    ] {
        let answer = api.call(line, "").await;
        assert_eq!(answer.problem(), (405, "METHOD_NOT_ALLOWED"), "{line}");
        let mut methods: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        methods.sort_unstable();
        assert_eq!(methods, allow, "{line}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_by_its_media_type_is_refused() {
    let api = Api::new();
    let put = |name: &'static str, value: &'static str| {
        let api = &api;
        async move { api.call_with("PUT a", &[(name, value)], timer("")).await }
    };
    for value in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json-patch+json",
        "",
        "application/merge-patch+json",
        "application/json; charset=latin1",
    ] {
        assert_eq!(put("content-type", value).await.problem(), (415, "UNSUPPORTED_MEDIA_TYPE"), "{value}");
    }
    assert_eq!(put("content-encoding", "gzip").await.problem(), (415, "UNSUPPORTED_MEDIA_TYPE"));
    assert!(!api.has_record("a"));
    for value in ["application/json", "Application/JSON; charset=UTF-8", "application/cloudevents+json"] {
        put("content-type", value).await.ok();
    }
    for (value, status) in [
        ("application/merge-patch+json", 200),
        ("application/json", 200),
        ("application/json-patch+json", 415),
    ] {
        let answer = api.call_with("PATCH a", &[("content-type", value)], "{}").await;
        assert_eq!(answer.status, status, "{value}");
    }
}

#[tokio::test]
async fn a_body_above_the_bound_is_refused_also_without_a_length() {
    let api = Api::new();
    let body = format!("{}{}", " ".repeat(1 << 20), timer(""));
    let chunks = body.as_bytes().chunks(65_536).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()));
    let stream = Body::from_stream(futures_util::stream::iter(chunks.collect::<Vec<_>>()));
    assert_eq!(api.call("PUT a", stream).await.problem(), (413, "PAYLOAD_TOO_LARGE"));
    // The announced length is enough: not a byte of this body ever comes.
    let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let announced = api.call_with("PUT a", &[("content-length", "1048577")], never).await;
    assert_eq!(announced.problem(), (413, "PAYLOAD_TOO_LARGE"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let api = Api::new();
    let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answer = api.call("PUT a", never).await;
    assert_eq!((answer.problem(), answer.json["outcome"].as_str()), ((504, "TIMEOUT"), Some("notApplied")));
}

#[tokio::test]
async fn what_the_cluster_could_not_do_is_told_with_the_outcome() {
    let api = Api::new();
    let wait = Duration::from_millis(1001);
    let unavailable = |outcome| BackendError::Unavailable {
        shard: 3,
        outcome,
        reason: "an election is under way".into(),
        retry_after: wait,
    };
    let overloaded =
        BackendError::Overloaded { reason: "the proposals' queue".into(), retry_after: Duration::ZERO };
    let timed_out = |outcome| BackendError::TimedOut { outcome, waited: wait };
    for (error, problem, outcome, retry_after) in [
        (unavailable(Applied::NotApplied), (503, "SHARD_UNAVAILABLE"), Some("notApplied"), "2"),
        (unavailable(Applied::Unknown), (503, "SHARD_UNAVAILABLE"), Some("unknown"), "2"),
        (overloaded, (503, "OVERLOADED"), Some("notApplied"), "1"),
        (timed_out(Applied::Unknown), (504, "TIMEOUT"), Some("unknown"), ""),
        (BackendError::DiskFull, (507, "DISK_FULL"), Some("notApplied"), ""),
        (BackendError::Internal("a secret detail".into()), (500, "INTERNAL"), None, ""),
    ] {
        api.fail_next(error.clone());
        let answer = api.call("PUT a", timer("")).await;
        assert_eq!(answer.problem(), problem);
        assert_eq!((answer.json["outcome"].as_str(), answer.header("retry-after")), (outcome, retry_after));
        assert!(!answer.json["detail"].as_str().unwrap().contains("secret"));
        // A read needs no room on a disk.
        if error != BackendError::DiskFull {
            api.fail_next(error);
            assert_eq!(api.call("GET a", "").await.problem(), problem);
        }
    }
    assert!(!api.has_record("a"));
}

#[tokio::test]
async fn a_handler_that_panics_answers_and_the_server_goes_on() {
    let api = Api::new();
    assert_eq!(api.call("GET panic", "").await.problem(), (500, "INTERNAL"));
    assert_eq!(api.call("PUT a", timer("")).await.status, 201);
}

#[tokio::test]
async fn every_code_has_a_page_that_the_server_gives_out() {
    let api = Api::new();
    for code in Code::ALL {
        let page = api.call(&format!("GET {}", code.type_uri()), "").await;
        let text = String::from_utf8(page.bytes).unwrap();
        assert!(
            text.starts_with(&format!(
                "# {}\n\n{}: {}.\n",
                code.as_str(),
                code.status().as_u16(),
                code.title()
            )),
            "{text}"
        );
        assert!(text.contains("## May the request be repeated?"), "{text}");
        assert_eq!(Code::of(code.as_str()), Some(code));
    }
    let pages = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors")).unwrap();
    assert_eq!(pages.count(), Code::ALL.len(), "a page without a code");
}
