//! What the server sends, as the published package for Python sees it.

use http::Method;
use serde_json::json;

use super::python::{Message, Package};
use super::receiver::{Call, Receiver, now_ms};
use super::server::Server;

const NO_MATCH: &str = "No matching signature found";

/// The callback of a timer with `more` members.
async fn called(server: &Server, receiver: &Receiver, id: &str, more: serde_json::Value) -> Call {
    let before = receiver.calls().len();
    server.fire(id, &receiver.url, more).await;
    receiver.wait_for(before + 1).await.swap_remove(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_callback_verifies_while_a_secret_takes_the_place_of_another() {
    let Some(package) = Package::find() else { return };
    let server = Server::start("info", &[]).await;
    let receiver = Receiver::start().await;
    let unsigned = called(&server, &receiver, "unsigned", json!({})).await;
    assert_eq!(unsigned.headers.get("webhook-signature"), None, "there is no secret yet");

    let (old_id, old) = server.secret().await;
    let payload = json!({"callbackBody": "payload", "payload": {"text": "ü \" 1.50"}});
    for (id, more) in [
        ("envelope", json!({"payload": {"n": 1}})),
        ("nothing", json!({})),
        ("payload", payload.clone()),
        ("put", json!({"callbackMethod": "PUT", "payload": [1, 2.50]})),
        ("get", json!({"callbackMethod": "GET"})),
        ("delete", json!({"callbackMethod": "DELETE"})),
    ] {
        let call = called(&server, &receiver, id, more).await;
        package.accepts(&[Message::new(&old, &call)]);
        assert_eq!(call.header("webhook-signature").matches("v1,").count(), 1, "{id}");
        assert_eq!(call.body.is_empty(), [Method::GET, Method::DELETE].contains(&call.method), "{id}");
    }

    let (_, new) = server.secret().await;
    let both = called(&server, &receiver, "both", payload.clone()).await;
    package.accepts(&[Message::new(&old, &both), Message::new(&new, &both)]);
    let stranger = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDb1F4rxWXhPg=";
    package.refuses(NO_MATCH, &[Message::new(stranger, &both)]);

    server.done(&format!("DELETE /groups/default/signing-secrets/{old_id}"), None).await;
    let rotated = called(&server, &receiver, "rotated", payload).await;
    package.accepts(&[Message::new(&new, &rotated)]);
    package.refuses(NO_MATCH, &[Message::new(&old, &rotated)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_on_the_way_is_refused() {
    let Some(package) = Package::find() else { return };
    let server = Server::start("info", &[]).await;
    let receiver = Receiver::start().await;
    let (_, secret) = server.secret().await;
    let first = called(&server, &receiver, "first", json!({"payload": {"amount": 10}})).await;
    let second = called(&server, &receiver, "second", json!({"payload": {"amount": 20}})).await;
    let genuine = || Message::new(&secret, &first);
    package.accepts(&[genuine(), Message::new(&secret, &second)]);
    let more = String::from_utf8(first.body.to_vec()).unwrap().replace("10", "90");
    let sent_at: u64 = first.header("webhook-timestamp").parse().unwrap();
    assert!(now_ms() / 1000 - sent_at <= 30, "{sent_at}");
    package.refuses(
        NO_MATCH,
        &[
            genuine().with_body(more.as_bytes()),
            genuine().with_body(b""),
            genuine().with_body(&second.body),
            genuine().with_header("webhook-id", second.header("webhook-id")),
            genuine().with_header("webhook-signature", second.header("webhook-signature")),
            genuine().with_header("webhook-timestamp", &(sent_at - 1).to_string()),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_more_than_five_minutes_ago_or_ahead_is_refused() {
    let Some(package) = Package::find() else { return };
    // Its clock is the test's: it is the server itself that signs for ten minutes ahead.
    let server = Server::start("info", &["--clock", "manual"]).await;
    let receiver = Receiver::start().await;
    let (_, secret) = server.secret().await;
    let now = called(&server, &receiver, "now", json!({})).await;
    let seconds = now_ms() / 1000;
    package.accepts(&[
        Message::new(&secret, &now),
        Message::new(&secret, &now).signed_at(seconds - 270),
        Message::new(&secret, &now).signed_at(seconds + 270),
    ]);
    package.refuses("Message timestamp too old", &[Message::new(&secret, &now).signed_at(seconds - 301)]);
    server.done("POST /dev/clock", Some(&json!({"by": "10m"}))).await;
    let ahead = called(&server, &receiver, "ahead", json!({})).await;
    package.refuses("Message timestamp too new", &[Message::new(&secret, &ahead)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_signed_for_its_own_time() {
    let Some(package) = Package::find() else { return };
    let server = Server::start("info", &["--clock", "manual"]).await;
    let receiver = Receiver::failing(1).await;
    let (_, secret) = server.secret().await;
    server.fire("again", &receiver.url, json!({"payload": 1})).await;
    server.wait_for("again", "retrying").await;
    server.done("POST /dev/clock", Some(&json!({"by": "10s"}))).await;
    server.wait_for("again", "delivered").await;
    let [first, second]: [Call; 2] = receiver.calls().try_into().unwrap();
    package.accepts(&[Message::new(&secret, &first), Message::new(&secret, &second)]);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"), "one generation");
    let time = |call: &Call| call.header("webhook-timestamp").to_owned();
    assert_ne!(time(&first), time(&second));
    package.refuses(
        NO_MATCH,
        &[
            Message::new(&secret, &first).with_header("webhook-timestamp", &time(&second)),
            Message::new(&secret, &second).with_body(&first.body),
        ],
    );
}
