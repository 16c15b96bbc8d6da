//! The node's settings: how they are loaded, checked and shown. Nothing else reads a file of settings or an
//! environment variable.

mod certificates;
#[cfg(test)]
mod certificates_tests;
mod defaults;
mod fault;
mod file;
mod kind;
mod layers;
mod nearest;
#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod reference;
mod rules;
pub mod settings;
mod show;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use timer_core::time::Millis;

pub use defaults::{Default, KEYS, Key};
pub use fault::{ConfigFault, Origin, Setting};
pub use kind::{Kind, Raw, Value};
pub use layers::{Override, Values};
pub use settings::{
    AuthMode, AuthSettings, ClockSettings, ClusterSettings, DeliverySettings, HttpSettings, LogFormat,
    LogSettings, NodeSettings, Peer, PeerSettings, RaftSettings, Settings, StorageSettings,
};

/// Settings with what there is to say about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What works but is seldom meant, one line each: to be logged at start.
    pub warnings: Vec<String>,
    /// Every value with its origin.
    pub values: Values,
}

/// What a `timerd config` command prints, and its exit code: 0, or 1 if there are faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Whole lines.
    pub text: String,
    /// For `std::process::exit`.
    pub code: u8,
}

/// Loads the defaults, then `files` in order, then the `TIMERD_*` variables of `environment`
/// (`TIMERD_HTTP__LISTEN` sets `http.listen`; a list is separated by commas), then `overrides`.
///
/// # Errors
/// Every fault that was found, in the order of the layers, then what does not go together.
pub fn load(
    files: &[PathBuf],
    environment: &[(String, String)],
    overrides: &[Override],
) -> Result<Loaded, Vec<ConfigFault>> {
    let mut values = Values::defaults();
    let mut faults = Vec::new();
    for path in files {
        file::take(&mut values, path, &mut faults);
    }
    values.take_environment(environment, &mut faults);
    values.take_overrides(overrides, &mut faults);
    finish(values, faults)
}

/// Checks what the layers gave. A rule about a key that has a fault already would speak of a value that nobody
/// wrote, so it waits until that is mended.
fn finish(values: Values, mut faults: Vec<ConfigFault>) -> Result<Loaded, Vec<ConfigFault>> {
    let settings = Settings::from_values(&values);
    let (broken_rules, warnings) = rules::check(&values, &settings);
    let wrong: Vec<String> = faults.iter().flat_map(ConfigFault::keys).map(ToOwned::to_owned).collect();
    let is_new = |rule: &ConfigFault| !rule.keys().iter().any(|key| wrong.iter().any(|w| w == key));
    faults.extend(broken_rules.into_iter().filter(is_new));
    if faults.is_empty() { Ok(Loaded { settings, warnings, values }) } else { Err(faults) }
}

/// `timerd config check`: "OK" and the warnings, or every fault. Beyond what [`load`] does it reads the files of
/// certificates, and holds them against the time `now`.
#[must_use]
pub fn check(
    files: &[PathBuf],
    environment: &[(String, String)],
    overrides: &[Override],
    now: Millis,
) -> Output {
    let checked = load(files, environment, overrides).and_then(|mut loaded| {
        let (faults, warnings) = certificates::check(&loaded, now);
        loaded.warnings.extend(warnings);
        if faults.is_empty() { Ok(loaded.warnings) } else { Err(faults) }
    });
    match checked {
        Ok(warnings) => {
            let warnings = warnings.into_iter().map(|warning| format!("warning: {warning}\n"));
            Output { text: warnings.chain(["OK\n".into()]).collect(), code: 0 }
        }
        Err(faults) => Output { text: describe(&faults), code: 1 },
    }
}

/// `timerd config show`: the effective settings as TOML, or every fault.
#[must_use]
pub fn show(files: &[PathBuf], environment: &[(String, String)], overrides: &[Override]) -> Output {
    match load(files, environment, overrides) {
        Ok(loaded) => Output { text: show::toml(&loaded.values), code: 0 },
        Err(faults) => Output { text: describe(&faults), code: 1 },
    }
}

/// All of `faults`, one a line.
#[must_use]
pub fn describe(faults: &[ConfigFault]) -> String {
    faults.iter().map(|fault| format!("error: {fault}\n")).collect()
}
