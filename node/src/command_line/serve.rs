//! `timerd serve`: a member of a cluster.

use std::process::ExitCode;

use super::ServeArguments;
use super::run::{Started, start_and_wait};

/// Runs until a signal.
#[must_use]
pub fn run(arguments: &ServeArguments) -> ExitCode {
    if !cfg!(feature = "rocksdb") {
        return super::fail(
            "this binary was built without RocksDB (`make try`) and keeps nothing: it can't serve; build it with `make build`",
        );
    }
    match node::config::load(&arguments.config, &super::environment(), &[]) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                let _ = super::fail(&format!("warning: {warning}"));
            }
            start_and_wait(Started {
                settings: loaded.settings,
                manual_clock: false,
                in_memory: false,
                banner: None,
            })
        }
        Err(faults) => super::fail(&format!("the settings are wrong\n{}", node::config::describe(&faults))),
    }
}
