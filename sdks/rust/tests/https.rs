//! Whom the client trusts, and what it says of whom it does not.
#![allow(clippy::unwrap_used)]

mod support;

use durable_timer::{CallOptions, Client, ClientBuilder, Error, Failure, Outcome, TimerName, TlsFault};
use serde_json::json;
use support::certificates::Authority;
use support::{FakeServer, timer};

async fn get(builder: ClientBuilder, urls: &[&str]) -> Result<String, Error> {
    let builder = urls.iter().fold(builder, |builder, url| builder.endpoint(*url));
    let answer =
        builder.build().unwrap().get(&TimerName::new("default", "hello"), &CallOptions::default()).await;
    answer.map(|answer| answer.value.id)
}

/// Why a call was given up at once, without anything having been sent.
fn fault(result: Result<String, Error>) -> TlsFault {
    let error = result.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
    let Error::GaveUp { tries: 1, last: Failure::Tls { endpoint, fault }, .. } = error else {
        panic!("{error:?}")
    };
    assert!(endpoint.starts_with("https://"), "{endpoint}");
    fault
}

#[tokio::test]
async fn an_authority_that_is_named_is_trusted() {
    let authority = Authority::new();
    let server = FakeServer::start_tls(
        &authority.issue(&["127.0.0.1"]),
        [timer(200, &json!({})), timer(200, &json!({}))],
    )
    .await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, &authority.pem).unwrap();
    let urls = [server.url.as_str()];
    assert_eq!(get(Client::builder().ca_file(&file), &urls).await.unwrap(), "hello");
    assert_eq!(get(Client::builder().ca_pem(authority.pem), &urls).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_not_asked_and_not_asked_again() {
    let authority = Authority::new();
    let trusting = || Client::builder().ca_pem(authority.pem.clone());
    for (certificate, builder, expected) in [
        (authority.issue(&["127.0.0.1"]), trusting().ca_pem(Authority::new().pem), None),
        (Authority::new().issue(&["127.0.0.1"]), trusting(), Some(TlsFault::UnknownCa)),
        (
            authority.issue_between(&["127.0.0.1"], (2020, 1, 1), (2021, 1, 1)),
            trusting(),
            Some(TlsFault::Expired),
        ),
    ] {
        let server = FakeServer::start_tls(&certificate, [timer(200, &json!({}))]).await;
        let result = get(builder, &[&server.url]).await;
        match expected {
            None => assert_eq!(result.unwrap(), "hello"),
            Some(expected) => {
                assert_eq!(fault(result), expected);
                assert!(server.seen().is_empty());
            }
        }
    }
    let server = FakeServer::start_tls(&authority.issue(&["other.test"]), []).await;
    let TlsFault::WrongHost(names) = fault(get(trusting(), &[&server.url]).await) else { panic!() };
    assert!(names.contains("127.0.0.1") && names.contains("other.test"), "{names}");
}

#[tokio::test]
async fn a_server_without_tls_is_said_to_have_none() {
    let server = FakeServer::start([]).await;
    let url = server.url.replace("http:", "https:");
    let authority = Client::builder().ca_pem(Authority::new().pem);
    assert_eq!(fault(get(authority, &[&url]).await), TlsFault::NotTls);
}

#[tokio::test]
async fn another_endpoint_is_asked_in_the_place_of_one_that_is_not_trusted() {
    let authority = Authority::new();
    let bad = FakeServer::start_tls(&Authority::new().issue(&["127.0.0.1"]), []).await;
    let good = FakeServer::start_tls(&authority.issue(&["127.0.0.1"]), [timer(200, &json!({}))]).await;
    let client = Client::builder().ca_pem(authority.pem);
    assert_eq!(get(client, &[&bad.url, &good.url]).await.unwrap(), "hello");
}
