//! The receivers in docs/examples, run as a reader would run them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use super::client::eventually;
use super::python::skipped;
use super::receiver::{Call, Receiver};
use super::server::{Server, WAIT};

/// A receiver under way; it ends when it is dropped.
struct Example {
    url: String,
    /// What it prints; a thread reads it until the process has ended.
    lines: mpsc::UnboundedReceiver<String>,
    child: Child,
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Example {
    /// None, and a line that says why, where the language is missing.
    async fn start(program: &str, file: &str, secrets: &str, dir: &Path) -> Option<Self> {
        let mut child = match command(program, file, secrets, dir).spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                skipped(&format!("docs/examples/{file}: there is no {program}"));
                return None;
            }
            Err(error) => panic!("{program}: {error}"),
        };
        let printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sink, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || printed.map_while(Result::ok).try_for_each(|line| sink.send(line)));
        let mut example = Self { url: String::new(), lines, child };
        let first = example.work().await;
        example.url = first.strip_prefix("listening on ").expect(&first).to_owned();
        Some(example)
    }

    /// The next line that it prints: the work that it does.
    async fn work(&mut self) -> String {
        let line = tokio::time::timeout(WAIT, self.lines.recv()).await;
        line.expect("it prints something in time").expect("it goes on")
    }

    /// Ends it at once, and gives the work that nobody has asked about.
    async fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let mut rest = Vec::new();
        while let Some(line) = self.lines.recv().await {
            rest.push(line);
        }
        rest
    }
}

/// The program with nothing but what an example reads.
fn command(program: &str, file: &str, secrets: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(file))
        .env("SIGNING_SECRETS", secrets)
        .env("PORT", "0")
        .env("DATABASE", dir.join("receiver.db"))
        .env("JOURNAL", dir.join("receiver.journal"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Two callbacks of the timer `id`, of one definition and of the next, that nobody has done yet.
async fn two_generations(server: &Server, id: &str) -> [Call; 2] {
    let keeper = Receiver::start().await;
    for n in 0..2 {
        server.fire(id, &keeper.url, json!({"payload": {"n": n}})).await;
        keeper.wait_for(n + 1).await;
    }
    keeper.calls().try_into().unwrap()
}

fn done(call_id: &str, call: &Call) -> String {
    format!("did {call_id} for {}", call.header("webhook-id"))
}

/// What the page promises of an example.
async fn holds(program: &str, file: &str) {
    let server = Server::start("info", &[]).await;
    let (old_id, old) = server.secret().await;
    let both = format!("{old} {}", server.secret().await.1);
    let new = both.split_once(' ').unwrap().1;
    let dir = server.dir.path();
    let Some(mut example) = Example::start(program, file, &both, dir).await else { return };

    // Without a secret that nobody knows it does not start.
    for unsafe_secrets in ["", "whsec_", "whsec_AAAA"] {
        let child = command(program, file, unsafe_secrets, dir).spawn().unwrap();
        let mut refused = Example { url: String::new(), lines: mpsc::unbounded_channel().1, child };
        let ended = eventually("it ends", WAIT, || std::future::ready(refused.child.try_wait().unwrap()));
        assert!(!ended.await.success(), "{unsafe_secrets:?}");
    }

    // The server calls it itself, with two signatures.
    server.fire("direct", &example.url, json!({"payload": {"text": "ü"}})).await;
    assert!(example.work().await.starts_with("did direct for msg_"));
    server.wait_for("direct", "delivered").await;

    let [first, second] = two_generations(&server, "twice").await;
    let forged = Call {
        body: Bytes::from(String::from_utf8_lossy(&first.body).replace("\"n\":0", "\"n\":9")),
        ..first.clone()
    };
    assert_ne!(forged.body, first.body);
    assert_eq!(forged.forward(&example.url).await, 401, "a forged one");
    let mut unsigned = first.clone();
    unsigned.headers.remove("webhook-signature");
    assert_eq!(unsigned.forward(&example.url).await, 401, "one without a signature");
    let mut aged = first.clone();
    let hour_ago = (first.header("webhook-timestamp").parse::<u64>().unwrap() - 3_600).to_string();
    aged.headers.insert("webhook-timestamp", hour_ago.parse().unwrap());
    assert_eq!(aged.forward(&example.url).await, 401, "one of another time");

    assert_eq!(second.forward(&example.url).await, 200, "a genuine one");
    assert_eq!(example.work().await, done("twice", &second));
    assert_eq!(second.forward(&example.url).await, 200, "the same again");
    assert_eq!(first.forward(&example.url).await, 409, "one with a smaller token");
    assert_eq!(example.kill().await, Vec::<String>::new(), "nothing was done twice");

    // It remembers when it starts again, and knows the new secret only by then.
    let mut example = Example::start(program, file, new, dir).await.unwrap();
    assert_eq!(second.forward(&example.url).await, 200, "the same after a restart");
    assert_eq!(first.forward(&example.url).await, 409, "a stale one after a restart");
    server.done(&format!("DELETE /groups/default/signing-secrets/{old_id}"), None).await;
    server.fire("rotated", &example.url, json!({})).await;
    assert!(example.work().await.starts_with("did rotated for msg_"));
    server.wait_for("rotated", "delivered").await;
    assert_eq!(example.kill().await, Vec::<String>::new());

    // One that does not have the secret refuses, and the timer is tried again.
    let example = Example::start(program, file, &old, dir).await.unwrap();
    server.fire("refused", &example.url, json!({})).await;
    let timer = server.wait_for("refused", "retrying").await;
    assert_eq!(timer["lastError"]["statusCode"], 401, "{timer}");
    assert_eq!(example.kill().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_in_python_does_what_the_page_says() {
    holds("python3", "receiver.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_in_javascript_does_what_the_page_says() {
    holds("node", "receiver.mjs").await;
}
