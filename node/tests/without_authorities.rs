//! A machine that has no certificate authorities, as small images of containers are: the real process starts there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on fails")]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Longer than a start takes.
const TEST_MAX: Duration = Duration::from_secs(30);
/// Between two looks of a test that waits for something.
const PAUSE: Duration = Duration::from_millis(20);

/// Ends the process, however the test ends.
struct Running(Option<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Asks until the node answers.
async fn healthy(address: SocketAddr) -> String {
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            return answer;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test]
async fn a_machine_without_certificate_authorities_starts_and_says_so_once() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_timerd"));
    command.args(["dev", "--listen", &address.to_string()]);
    command
        .env("SSL_CERT_FILE", "/nowhere/none.pem")
        .env_remove("SSL_CERT_DIR")
        .env_remove("TIMERD_LOG__FILTER");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running(Some(child));
    let answer = tokio::time::timeout(TEST_MAX, healthy(address)).await.expect("it starts");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let child = running.0.take().unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("this machine has no certificate authorities").count(), 1, "{said}");
}
