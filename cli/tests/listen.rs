//! `timerctl listen` end to end: real requests to it, its answers, what it prints and how it ends.
#![allow(clippy::unwrap_used)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Longer than any test takes.
const TEST_MAX: Duration = Duration::from_secs(60);

struct Listener {
    child: Child,
    url: String,
    out: BufReader<ChildStdout>,
    _err: Lines<BufReader<ChildStderr>>,
}

impl Listener {
    async fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timerctl"));
        command.args(["listen", "--listen", "127.0.0.1:0"]).args(args).env_remove("TIMERCTL_OUTPUT");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = tokio::time::timeout(TEST_MAX, err.next_line()).await.unwrap().unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url, out, _err: err }
    }

    /// Sends a callback of the timer `id`; the answer's status, media type and body.
    async fn call(&self, id: &str, attempt: u32, token: u64) -> (u16, String, String) {
        let webhook_id = format!("wh-{id}");
        let request = Request::post(&self.url)
            .header("timer-group", "default")
            .header("timer-id", id)
            .header("timer-generation", "4096")
            .header("timer-attempt", attempt)
            .header("timer-scheduled-at", "2026-01-01T00:00:00.000Z")
            .header("timer-late-ms", "1")
            .header("timer-deferrals", "0")
            .header("timer-cluster-id", "c")
            .header("timer-fencing-token", token)
            .header("webhook-id", webhook_id)
            .header("webhook-timestamp", "1767225600");
        let body = json!({"group": "default", "id": id, "generation": 4096, "attempt": attempt,
                          "executeAt": "2026-01-01T00:00:00.000Z", "payload": {"n": token}});
        send(request.body(Full::new(body.to_string().into())).unwrap()).await
    }

    /// Everything it printed, once it has ended by itself.
    async fn ended(mut self) -> String {
        let mut text = String::new();
        tokio::time::timeout(TEST_MAX, self.out.read_to_string(&mut text)).await.unwrap().unwrap();
        let ended = tokio::time::timeout(TEST_MAX, self.child.wait()).await.unwrap();
        assert!(ended.unwrap().success());
        text
    }
}

async fn send(request: Request<Full<Bytes>>) -> (u16, String, String) {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let kind =
        parts.headers.get("content-type").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), kind, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn callbacks_are_answered_as_told_and_counted() {
    let args = [
        "--count",
        "4",
        "--fail-first",
        "1",
        "--status",
        "202",
        "--body",
        r#"{"ok": true}"#,
        "--output",
        "json",
    ];
    let listener = Listener::start(&args).await;
    assert_eq!(listener.call("a%2Fb", 1, 10).await.0, 500);
    let (status, kind, body) = listener.call("a%2Fb", 2, 11).await;
    assert_eq!((status, kind.as_str(), body.as_str()), (202, "application/json", r#"{"ok": true}"#));
    assert_eq!(listener.call("c", 1, 12).await.0, 202);
    assert_eq!(listener.call("a%2Fb", 3, 9).await.0, 202);

    let text = listener.ended().await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert_eq!((&lines[0]["id"], &lines[0]["answered"]), (&json!("a/b"), &json!(500)));
    assert_eq!((&lines[0]["payload"], &lines[0]["duplicate"]), (&json!({"n": 10}), &json!(false)));
    assert_eq!((&lines[1]["attempt"], &lines[1]["duplicate"]), (&json!(2), &json!(true)));
    assert_eq!((&lines[3]["fencingToken"], &lines[3]["stale"]), (&json!("9"), &json!(true)));
    assert!(lines[0]["latenessMs"].as_i64().unwrap() > 0);
    let totals = &lines[4]["totals"];
    let count = |name: &str| totals[name].as_u64().unwrap();
    assert_eq!((count("received"), count("distinct"), count("duplicates"), count("stale")), (4, 2, 2, 1));
    assert_eq!((count("firstAttempts"), count("early")), (2, 0));
}

#[tokio::test]
async fn people_get_a_line_a_callback_until_it_is_enough_and_then_the_totals() {
    let listener = Listener::start(&["--count", "3", "--quiet-after", "1"]).await;
    for n in 1..=3 {
        assert_eq!(listener.call(&format!("t{n}"), 1, n).await.0, 200);
    }
    let text = listener.ended().await;
    assert_eq!(text.lines().filter(|line| line.contains("attempt 1")).count(), 1, "{text}");
    assert!(text.contains("received    3\ndistinct    3 webhook ids\n"), "{text}");
}

#[tokio::test]
async fn what_is_no_callback_is_answered_and_does_not_count() {
    let listener = Listener::start(&["--count", "1", "--fail-first", "1"]).await;
    let plain = Request::get(format!("{}some/path", listener.url)).body(Full::default()).unwrap();
    assert_eq!(send(plain).await.0, 200);
    assert_eq!(listener.call("a", 1, 1).await.0, 500);
    let text = listener.ended().await;
    assert!(text.contains("GET /some/path  not a callback of a timer"), "{text}");
    assert!(text.contains("received    1\n") && text.contains("others      1 requests"), "{text}");
}

#[tokio::test]
async fn an_answer_waits_as_long_as_told() {
    let listener = Listener::start(&["--count", "1", "--delay", "300ms"]).await;
    let started = Instant::now();
    listener.call("a", 1, 1).await;
    assert!(started.elapsed() >= Duration::from_millis(300));
    listener.ended().await;
}

#[tokio::test]
async fn an_interrupt_ends_it_with_the_totals() {
    let listener = Listener::start(&[]).await;
    listener.call("a", 1, 1).await;
    let pid = listener.child.id().unwrap().to_string();
    // The shell's own: a bare machine has no program of that name.
    let interrupt = format!("kill -INT {pid}");
    assert!(Command::new("sh").args(["-c", &interrupt]).status().await.unwrap().success());
    assert!(listener.ended().await.contains("received    1\n"));
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_timerctl"))
        .args(["listen", "--port", &port])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains(&format!("can't listen on 127.0.0.1:{port}")), "{err}");
}

#[tokio::test]
async fn explain_says_how_to_deduplicate() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_timerctl")).args(["listen", "--explain"]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("webhook-id") && text.contains("Timer-Fencing-Token"), "{text}");
}
