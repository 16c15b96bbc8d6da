//! Layers of settings: the defaults, TOML files in order, `TIMERD_*` variables, flags. A later layer replaces a
//! value whole, lists too. All faults of all layers are collected.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::defaults::{KEYS, Key, VARIABLE_PREFIX, find};
use super::fault::{ConfigFault, Origin};
use super::kind::{Raw, Value};
use super::nearest::nearest;

/// A setting given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The setting's key.
    pub key: String,
    /// Its value, written as in an environment variable.
    pub value: String,
    /// The flag, for messages.
    pub flag: &'static str,
}

/// A value of every key of the table, and where each came from.
#[derive(Clone, Debug)]
pub struct Values(BTreeMap<&'static str, (Value, Origin)>);

impl Values {
    /// The defaults alone.
    #[must_use]
    pub fn defaults() -> Self {
        Self(KEYS.iter().map(|key| (key.path, (key.default_value(), Origin::Default))).collect())
    }

    /// A value and its origin. `path` must be in the table: a misspelt one is a bug of ours.
    #[must_use]
    pub fn get(&self, path: &str) -> (&Value, &Origin) {
        match self.0.get(path) {
            Some((value, origin)) => (value, origin),
            None => unreachable!("{path} is in the table of settings"),
        }
    }

    pub(super) fn set(&mut self, key: &'static Key, value: Value, origin: Origin) {
        self.0.insert(key.path, (value, origin));
    }

    pub(super) fn number(&self, path: &str) -> u64 {
        let Value::Number(n) = self.get(path).0 else { unreachable!("{path} is a number") };
        *n
    }

    pub(super) fn text(&self, path: &str) -> &str {
        let Value::Text(text) = self.get(path).0 else { unreachable!("{path} is a text") };
        text
    }

    pub(super) fn address(&self, path: &str) -> SocketAddr {
        let Value::Address(address) = self.get(path).0 else { unreachable!("{path} is an address") };
        *address
    }

    pub(super) fn list(&self, path: &str) -> &[String] {
        let Value::List(items) = self.get(path).0 else { unreachable!("{path} is a list") };
        items
    }

    /// Takes `raw` for `key`, or notes the fault and leaves the value of the layers below.
    pub(super) fn take(
        &mut self,
        key: &'static Key,
        raw: &Raw,
        origin: Origin,
        faults: &mut Vec<ConfigFault>,
    ) {
        match key.kind.read(raw) {
            Ok(value) => self.set(key, value, origin),
            Err(found) => faults.push(ConfigFault::WrongValue {
                origin,
                key: key.path,
                expected: key.kind.expected(),
                found: if key.secret { "something else".into() } else { found },
            }),
        }
    }

    /// Takes the `TIMERD_*` variables of `environment`, in the order of their names.
    pub(super) fn take_environment(
        &mut self,
        environment: &[(String, String)],
        faults: &mut Vec<ConfigFault>,
    ) {
        let mut variables: Vec<_> =
            environment.iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX)).collect();
        variables.sort();
        for (name, value) in variables {
            if is_foreign(name) {
                continue;
            }
            let origin = Origin::Variable(name.clone());
            match KEYS.iter().find(|key| key.variable() == *name) {
                Some(key) => self.take(key, &Raw::Untyped(value.clone()), origin, faults),
                None => {
                    let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
                    let near = nearest(name, known.iter().map(String::as_str));
                    faults.push(ConfigFault::UnknownKey { origin, key: name.clone(), nearest: near });
                }
            }
        }
    }

    /// Takes the flags.
    pub(super) fn take_overrides(&mut self, overrides: &[Override], faults: &mut Vec<ConfigFault>) {
        for Override { key, value, flag } in overrides {
            let origin = Origin::Flag(flag);
            match find(key) {
                Some(key) => self.take(key, &Raw::Untyped(value.clone()), origin, faults),
                None => faults.push(ConfigFault::UnknownKey {
                    origin,
                    key: key.clone(),
                    nearest: nearest(key, KEYS.iter().map(|k| k.path)),
                }),
            }
        }
    }
}

/// Whether a variable with our prefix is not a setting: `TIMERD_CONFIG` names the files, and Kubernetes gives
/// every pod the likes of `TIMERD_SERVICE_HOST` and `TIMERD_PORT_8080_TCP_ADDR` when a Service is called
/// `timerd`.
fn is_foreign(name: &str) -> bool {
    name == "TIMERD_CONFIG"
        || (!name.contains("__")
            && (name.contains("_SERVICE_HOST")
                || name.contains("_SERVICE_PORT")
                || name.contains("_PORT_")
                || name.ends_with("_PORT")))
}
