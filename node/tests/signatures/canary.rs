//! A secret is shown once, and never again: neither itself nor its text, wherever the server can be made to say something.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use bytes::Bytes;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::server::Server;

/// The ways in which the bytes of a secret could show.
fn shapes(secret: &str) -> Vec<Vec<u8>> {
    let text = secret.strip_prefix("whsec_").unwrap();
    let raw = STANDARD.decode(text).unwrap();
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    let listed = |numbers: String| numbers.trim_matches(['[', ']']).to_owned();
    // As `Debug` of `Bytes` escapes them, without the quotes.
    let escaped = format!("{:?}", Bytes::from(raw.clone()));
    let escaped = escaped.trim_start_matches('b').trim_matches('"').to_owned();
    let texts = [
        text.to_owned(),
        STANDARD_NO_PAD.encode(&raw),
        URL_SAFE.encode(&raw),
        hex.clone(),
        hex.to_uppercase(),
        listed(format!("{raw:?}")),
        listed(format!("{raw:?}")).replace(", ", ","),
        escaped,
    ];
    texts.into_iter().map(String::into_bytes).chain([raw]).collect()
}

fn assert_hidden(secrets: &[String], place: &str, said: &[u8]) {
    for shape in secrets.iter().flat_map(|secret| shapes(secret)) {
        let found = said.windows(shape.len()).position(|window| window == shape);
        let around = found.map(|at| String::from_utf8_lossy(&said[at.saturating_sub(200)..at]).into_owned());
        assert_eq!(around, None, "{place} shows a secret");
    }
}

#[test]
fn a_secret_would_be_found_in_any_shape() {
    let raw: [u8; 32] = std::array::from_fn(|n| n as u8 * 7);
    let secret = format!("whsec_{}", STANDARD.encode(raw));
    let bytes = Bytes::copy_from_slice(&raw);
    for said in
        [format!("x {raw:?} y"), format!("{bytes:?}"), format!("a {secret} b"), format!("{:?}", raw.to_vec())]
    {
        let caught = std::panic::catch_unwind(|| {
            assert_hidden(std::slice::from_ref(&secret), "a test", said.as_bytes());
        });
        assert!(caught.is_err(), "{said}");
    }
    assert_hidden(&[secret], "a test", b"nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_logs_metrics_answers_or_callbacks() {
    // Everything that anybody might ever turn on.
    let server = Server::start("trace", &[]).await;
    let receiver = Receiver::start().await;
    server.done("PUT /groups/orders", Some(&json!({}))).await;
    let mut secrets = Vec::new();
    let mut ids = Vec::new();
    for group in ["default", "orders", "orders"] {
        let made = server.done(&format!("POST /groups/{group}/signing-secrets"), None).await;
        secrets.push(made.json["secret"].as_str().unwrap().to_owned());
        ids.push(made.json["id"].as_str().unwrap().to_owned());
    }
    server.fire("delivered", &receiver.url, json!({"payload": {"x": 1}})).await;
    server.wait_for("delivered", "delivered").await;
    server.fire("retrying", "http://127.0.0.1:1/", json!({})).await;
    server.wait_for("retrying", "retrying").await;
    let (none, empty) = (None, Some(json!({})));
    let calls: Vec<(String, &Option<Value>)> = [
        ("GET /groups", &none),
        ("GET /groups/orders", &none),
        ("PUT /groups/orders", &empty),
        ("PATCH /groups/default", &empty),
        ("GET /groups/orders/signing-secrets", &none),
        ("GET /groups/default/signing-secrets", &none),
        ("POST /groups/orders/signing-secrets?unknown=1", &none),
        ("GET /groups/default/timers", &none),
        ("GET /groups/default/timers/delivered?reveal=true", &none),
        ("GET /groups/default/timers/delivered/attempts", &none),
        ("GET /groups/default/timers/retrying/attempts", &none),
        ("GET /info", &none),
        ("GET /cluster", &none),
        ("GET /cluster/routing", &none),
        ("GET /metrics", &none),
        ("GET /readyz", &none),
    ]
    .into_iter()
    .map(|(line, body)| (line.to_owned(), body))
    .chain([(format!("DELETE /groups/orders/signing-secrets/{}", ids[1]), &none)])
    .chain([("DELETE /groups/orders".to_owned(), &none)])
    .collect();
    for (line, body) in calls {
        let answer = server.call(&line, body.as_ref()).await;
        assert_hidden(&secrets, &line, answer.text.as_bytes());
        assert_hidden(&secrets, &line, format!("{:?}", answer.headers).as_bytes());
    }
    for call in receiver.calls() {
        assert_hidden(&secrets, "a callback's body", &call.body);
        for (name, value) in &call.headers {
            assert_hidden(&secrets, name.as_str(), value.as_bytes());
        }
    }
    let log = server.end();
    assert!(log.windows(5).any(|window| window == b"TRACE"), "nothing was traced");
    assert_hidden(&secrets, "the log", &log);
}
