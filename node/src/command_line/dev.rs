//! `timerd dev`: a single node without configuration.

use std::process::ExitCode;

use node::config::Settings;

use super::run::{Started, start_and_wait};
use super::{ClockKind, DevArguments};

/// Runs until a signal.
#[must_use]
pub fn run(arguments: &DevArguments) -> ExitCode {
    let in_memory = arguments.data_dir.is_none() || !cfg!(feature = "rocksdb");
    let scratch;
    let data_dir = match &arguments.data_dir {
        Some(dir) => dir.clone(),
        None => match Scratch::new() {
            Ok(made) => {
                scratch = made;
                scratch.path.clone()
            }
            Err(e) => return super::fail(&format!("no temporary directory: {e}")),
        },
    };
    let mut settings = Settings::dev(arguments.listen, data_dir.clone());
    if let Some(filter) = std::env::var_os("TIMERD_LOG__FILTER").and_then(|filter| filter.into_string().ok())
    {
        settings.log.filter = filter;
    }
    let kept = if in_memory {
        "everything is kept in memory and gone with this process".to_owned()
    } else {
        format!("timers are kept in {}", data_dir.display())
    };
    let started = Started {
        settings,
        manual_clock: arguments.clock == ClockKind::Manual,
        in_memory,
        banner: Some(format!(
            "timerd {} for development on http://{} ({kept}). Try:\n  curl -X PUT http://{}/api/v1/groups/default/timers/hello \\\n       -H 'Content-Type: application/json' -d '{{\"delay\":\"5s\",\"callbackUrl\":\"http://127.0.0.1:9000/\"}}'\nCtrl-C ends it.",
            env!("CARGO_PKG_VERSION"),
            arguments.listen,
            arguments.listen
        )),
    };
    start_and_wait(started)
}

/// A directory of this process that is removed at the end.
struct Scratch {
    path: std::path::PathBuf,
}

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("timerd-dev-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
