//! The effective settings as TOML that loads again, each with a comment that says where it came from.

use std::fmt::Write as _;

use super::defaults::{KEYS, Key};
use super::kind::Value;
use super::layers::Values;

/// What stands for the value of a secret.
const REDACTED: &str = "\"[redacted]\"";

/// All of `values` as TOML.
pub(super) fn toml(values: &Values) -> String {
    let mut out = String::new();
    let mut section = "";
    for key in KEYS {
        let (head, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if head != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            let _infallible = writeln!(out, "{gap}[{head}]");
            section = head;
        }
        let (content, origin) = values.get(key.path);
        let _infallible = writeln!(out, "{name} = {} # {origin}", value(key, content));
    }
    out
}

/// One value as TOML; of a secret, that there is one.
pub(super) fn value(key: &Key, value: &Value) -> String {
    if key.secret {
        return REDACTED.into();
    }
    match value {
        Value::Text(text) => quoted(text),
        Value::Number(n) => n.to_string(),
        Value::Address(address) => quoted(&address.to_string()),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
