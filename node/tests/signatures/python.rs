//! Python, with the package `standardwebhooks` from PyPI in an environment of its own under the cache directory. A machine
//! that can't have it skips the test that needs it, and says so.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::receiver::Call;

/// Its release, so that a later one does not break the tests of a commit that was good.
const PACKAGE: &str = "standardwebhooks==1.1.0";

/// Verifies as the package does.
pub struct Package {
    interpreter: PathBuf,
}

/// A message to verify.
pub struct Message {
    secret: String,
    headers: Map<String, Value>,
    body: Vec<u8>,
    timestamp: Option<u64>,
}

impl Message {
    /// `call` as a receiver that knows `secret` has it.
    pub fn new(secret: &str, call: &Call) -> Self {
        let named = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers = named.map(|name| (name.to_owned(), Value::from(call.header(name))));
        Self {
            secret: secret.to_owned(),
            headers: headers.into_iter().collect(),
            body: call.body.to_vec(),
            timestamp: None,
        }
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    pub fn with_body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// Signed by the package itself for another time.
    pub fn signed_at(mut self, seconds: u64) -> Self {
        self.timestamp = Some(seconds);
        self
    }

    fn line(&self) -> String {
        let mut line =
            json!({"secret": self.secret, "headers": self.headers, "body": STANDARD.encode(&self.body)});
        if let Some(timestamp) = self.timestamp {
            line["timestamp"] = timestamp.into();
        }
        format!("{line}\n")
    }
}

impl Package {
    /// None, and a line that says why, where there is no Python or no package.
    pub fn find() -> Option<Self> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap();
        match installed() {
            Ok(interpreter) => Some(Self { interpreter }),
            Err(reason) => {
                skipped(&format!("signatures against the package {PACKAGE} from PyPI: {reason}"));
                None
            }
        }
    }

    /// What it says of each message: `ok`, or `refused: ` and why.
    pub fn verify(&self, messages: &[Message]) -> Vec<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures/verify.py");
        let mut child = Command::new(&self.interpreter)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: String = messages.iter().map(Message::line).collect();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "verify.py: {}", output.status);
        let said = String::from_utf8(output.stdout).unwrap();
        let said: Vec<String> = said.lines().map(str::to_owned).collect();
        assert_eq!(said.len(), messages.len(), "{said:?}");
        said
    }

    /// Asserts that it takes each message.
    pub fn accepts(&self, messages: &[Message]) {
        for (n, said) in self.verify(messages).iter().enumerate() {
            assert_eq!(said, "ok", "message {n}");
        }
    }

    /// Asserts that it refuses each message, and says `why`.
    pub fn refuses(&self, why: &str, messages: &[Message]) {
        for (n, said) in self.verify(messages).iter().enumerate() {
            assert_eq!(said, &format!("refused: {why}"), "message {n}");
        }
    }
}

/// Says that a test was skipped, and why. Not by `eprintln!`, which the runner keeps to itself when a test passes.
pub fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

/// The interpreter that has the package; it is installed if it is missing.
fn installed() -> Result<PathBuf, String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let cache = cache.ok_or("there is neither XDG_CACHE_HOME nor HOME")?.join("durable-timer");
    let place = cache.join(PACKAGE.replace("==", "-"));
    let interpreter = place.join("bin/python");
    if interpreter.exists() {
        return Ok(interpreter);
    }
    std::fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    // Made aside and moved when it is whole: a run that was interrupted leaves nothing that looks ready.
    let aside = tempfile::tempdir_in(&cache).map_err(|error| error.to_string())?;
    let made = aside.path().join("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&made))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
    run(Command::new(made.join("bin/python")).args(pip))?;
    match std::fs::rename(&made, &place) {
        // Another test run was faster.
        Err(_) if interpreter.exists() => Ok(interpreter),
        moved => moved.map(|()| interpreter).map_err(|error| error.to_string()),
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?}: {}", said.lines().last().unwrap_or_default()))
}
