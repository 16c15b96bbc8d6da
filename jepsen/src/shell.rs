//! The machine's own tools (`ip`, `nft`, `mount`, …), run and judged. Each has a bound in time, so that a tool that
//! hangs ends the run instead of outlasting it.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::clock::wait_blocking;

/// The longest that a tool may take.
const TOOL_TIME_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(2);

/// Why a tool did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("`{command}`: {reason}")]
pub struct ToolError {
    command: String,
    reason: String,
}

/// Runs `words` and gives what it wrote to stdout.
///
/// # Errors
/// It can't be started, failed, or took too long.
pub fn run(words: &[&str]) -> Result<String, ToolError> {
    run_with(words, "")
}

/// The same with `input` on stdin.
///
/// # Errors
/// As [`run`].
pub fn run_with(words: &[&str], input: &str) -> Result<String, ToolError> {
    let fail = |reason: String| ToolError { command: words.join(" "), reason };
    let (name, arguments) = words.split_first().ok_or_else(|| fail("no command".into()))?;
    let mut child = Command::new(name)
        .args(arguments)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| fail(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that does not read its input says so by its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|e| fail(e.to_string()))? {
            Some(status) => break status,
            None if begun.elapsed() > TOOL_TIME_MAX => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(fail(format!("not done in {} s", TOOL_TIME_MAX.as_secs())));
            }
            None => wait_blocking(POLL),
        }
    };
    let (mut said, mut complained) = (String::new(), String::new());
    if let Some(mut stdout) = child.stdout.take() {
        let _ = stdout.read_to_string(&mut said);
    }
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut complained);
    }
    if status.success() { Ok(said) } else { Err(fail(format!("{status}: {}", complained.trim()))) }
}

/// Runs blocking work away from the executor's threads.
///
/// # Errors
/// What the work gives, or that it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_fails_is_quoted_with_its_complaint() {
        let error = run(&["sh", "-c", "echo no such thing >&2; exit 3"]).unwrap_err().to_string();
        assert!(error.contains("no such thing") && error.contains("sh -c"), "{error}");
        assert!(run(&["no-such-tool-here"]).is_err());
    }

    #[test]
    fn a_tool_gets_its_input_and_its_output_is_given() {
        assert_eq!(run_with(&["cat"], "table").unwrap(), "table");
    }
}
