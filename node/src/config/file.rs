//! The layer of TOML files.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::defaults::{KEYS, find};
use super::fault::{ConfigFault, Origin};
use super::kind::Raw;
use super::layers::Values;
use super::nearest::nearest;

/// The largest file that is read: more is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Takes the settings of the file at `path`.
pub(super) fn take(values: &mut Values, path: &Path, faults: &mut Vec<ConfigFault>) {
    let read = std::fs::metadata(path).and_then(|meta| {
        if meta.len() > FILE_BYTES_MAX {
            return Err(std::io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        std::fs::read_to_string(path)
    });
    match read {
        Ok(text) => take_text(values, path, &text, faults),
        Err(error) => {
            faults.push(ConfigFault::Unreadable { path: path.into(), reason: error.to_string() });
        }
    }
}

/// Takes the settings of `text`, the content of the file at `path`.
pub(super) fn take_text(values: &mut Values, path: &Path, text: &str, faults: &mut Vec<ConfigFault>) {
    let file = File { path, text };
    match DeTable::parse(text) {
        Ok(table) => file.take_table(values, "", table.get_ref(), faults),
        Err(error) => faults.push(file.syntax(error.span().map_or(0, |span| span.start), error.message())),
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn take_table(
        &self,
        values: &mut Values,
        prefix: &str,
        table: &DeTable<'_>,
        faults: &mut Vec<ConfigFault>,
    ) {
        // In the order of the file, so that faults come in the order in which one reads it.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let at = name.span().start;
            let path = match prefix {
                "" => name.get_ref().to_string(),
                prefix => format!("{prefix}.{}", name.get_ref()),
            };
            let is_section = KEYS
                .iter()
                .any(|key| key.path.strip_prefix(&*path).is_some_and(|rest| rest.starts_with('.')));
            match (find(&path), value.get_ref()) {
                (Some(key), value) => values.take(key, &raw(value), self.origin(at), faults),
                (None, DeValue::Table(inner)) if is_section => {
                    self.take_table(values, &path, inner, faults);
                }
                (None, _) if is_section => {
                    faults.push(self.syntax(at, &format!("{path} is a section: write [{path}]")));
                }
                (None, _) => faults.push(ConfigFault::UnknownKey {
                    origin: self.origin(at),
                    nearest: nearest(&path, known(&path)),
                    key: path,
                }),
            }
        }
    }

    fn origin(&self, at: usize) -> Origin {
        Origin::File { path: self.path.into(), line: self.line(at) }
    }

    fn syntax(&self, at: usize, reason: &str) -> ConfigFault {
        ConfigFault::Syntax { path: self.path.into(), line: self.line(at), reason: reason.into() }
    }

    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
    }
}

/// What `path` may have been meant to be: a section if it has one part, else a key.
fn known(path: &str) -> impl Iterator<Item = &'static str> {
    let whole_keys = path.contains('.');
    KEYS.iter().map(move |key| match key.path.split_once('.') {
        Some((section, _)) if !whole_keys => section,
        _ => key.path,
    })
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(n) => {
            u64::from_str_radix(n.as_str(), n.radix()).map_or_else(|_| Raw::Other(n.to_string()), Raw::Number)
        }
        DeValue::Float(n) => Raw::Other(format!("the fraction {n}")),
        DeValue::Boolean(b) => Raw::Other(b.to_string()),
        DeValue::Datetime(d) => Raw::Other(format!("the time {d}")),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw_item(item.get_ref())).collect()),
        DeValue::Table(_) => Raw::Other("a table".into()),
    }
}

/// An item of a list; a member written as a table becomes `name=address`.
fn raw_item(value: &DeValue<'_>) -> Raw {
    let DeValue::Table(table) = value else { return raw(value) };
    let text = |key: &str| table.get(key).map(Spanned::get_ref).and_then(DeValue::as_str);
    match (text("name"), text("address"), table.len()) {
        (Some(name), Some(address), 2) => Raw::Text(format!("{name}={address}")),
        _ => Raw::Other("a table that has not exactly a name and an address".into()),
    }
}
