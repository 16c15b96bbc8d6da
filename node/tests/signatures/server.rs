//! A `timerd dev` of a test's own, and its log.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Answer, Client, eventually};
use super::receiver::{now_ms, rfc3339};

/// Longer than anything here takes.
pub const WAIT: Duration = Duration::from_secs(30);

/// The process; it ends when it is dropped.
pub struct Server {
    url: String,
    client: Client,
    child: Child,
    log: PathBuf,
    /// For files of the test, too.
    pub dir: TempDir,
}

impl Server {
    /// Starts a server that logs as `filter` says, with more arguments.
    pub async fn start(filter: &str, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = dir.path().join("timerd.log");
        let file = File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_timerd"))
            .args(["dev", "--listen", &address.to_string()])
            .args(more)
            .env("TIMERD_LOG__FILTER", filter)
            // What it leaves behind when it is killed goes with the test's directory.
            .env("TMPDIR", dir.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let server = Self { url: format!("http://{address}"), client: Client::new(), child, log, dir };
        let asked = &server;
        eventually("the server takes timers", WAIT, || async move {
            let url = format!("{}/api/v1/groups/default/timers/probe", asked.url);
            let body = json!({"delay": "3000d", "callbackUrl": "http://127.0.0.1:1/"});
            asked.client.send("PUT", &url, &[], Some(&body)).await.ok().filter(|answer| answer.status < 300)
        })
        .await;
        server
    }

    /// `line`: method and path below `/api/v1`.
    pub async fn call(&self, line: &str, body: Option<&Value>) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        self.client.send(method, &format!("{}/api/v1{path}", self.url), &[], body).await.unwrap()
    }

    /// The same, which must succeed.
    pub async fn done(&self, line: &str, body: Option<&Value>) -> Answer {
        let answer = self.call(line, body).await;
        assert!(answer.status < 300, "{line}: {}", answer.text);
        answer
    }

    /// Makes a signing secret of `default`; gives its id and itself.
    pub async fn secret(&self) -> (String, String) {
        let made = self.done("POST /groups/default/signing-secrets", None).await.json;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }

    /// A timer that is due, also by a clock that stands still since the server started, with `more` members.
    pub async fn fire(&self, id: &str, url: &str, more: Value) {
        let mut body = json!({"executeAt": rfc3339(now_ms() - 60_000), "callbackUrl": url});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.done(&format!("PUT /groups/default/timers/{id}"), Some(&body)).await;
    }

    /// Waits until a timer is in `state`.
    pub async fn wait_for(&self, id: &str, state: &str) -> Value {
        eventually(&format!("{id} is {state}"), WAIT, || async move {
            let read = self.call(&format!("GET /groups/default/timers/{id}"), None).await;
            (read.json["state"] == state).then_some(read.json)
        })
        .await
    }

    /// Ends the process in order, and gives all that it wrote.
    pub fn end(mut self) -> Vec<u8> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap();
        fs::read(&self.log).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read(&self.log).unwrap_or_default();
            let lines = String::from_utf8_lossy(&log).into_owned();
            let tail: Vec<&str> = lines.lines().rev().take(20).collect();
            eprintln!(
                "--- the end of the server's log\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
    }
}
