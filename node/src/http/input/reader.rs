//! Takes an object's members by name, one by one, and reports what is left over, doubled or null.

use serde_json::value::RawValue;

use super::faults::{Breaks, Fault, Faults};
use super::json::{self, Members};
use crate::http::limits::QUOTE_BYTES_MAX;

/// What a null means for a member.
#[derive(Debug)]
pub enum Null<T> {
    /// Nothing: it is a fault.
    Refused,
    /// This value.
    Means(T),
    /// It is read as any other value.
    IsAValue,
}

/// An object that is being read.
#[derive(Debug)]
pub struct Reader<'a, 'f> {
    members: Vec<(String, &'a RawValue)>,
    prefix: &'static str,
    faults: &'f mut Faults,
}

impl<'a, 'f> Reader<'a, 'f> {
    /// Reads the object `raw`. `prefix` stands before its members' names in faults. A name that comes twice
    /// is a fault.
    ///
    /// # Errors
    /// When `raw` is no object, or no JSON at all.
    pub fn new(raw: &'a str, prefix: &'static str, faults: &'f mut Faults) -> Result<Self, Fault> {
        let Members(all) = serde_json::from_str(raw).map_err(|error| not_an_object(raw, &error))?;
        let mut members: Vec<(String, &RawValue)> = Vec::with_capacity(all.len());
        for (name, value) in all {
            if members.iter().any(|(other, _)| *other == name) {
                faults.add(format!("{prefix}{}", quote(&name)), Fault::schema("is given twice"));
            } else {
                members.push((name.into_owned(), value));
            }
        }
        Ok(Self { members, prefix, faults })
    }

    /// Whether the member `name` was sent and is not taken yet.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(other, _)| other == name)
    }

    /// Takes the member `name` as it is.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(other, _)| other == name)?;
        Some(self.members.remove(at).1)
    }

    /// Reads the member `name` with `read`. None if it is not there or has a fault, which is kept.
    pub fn value<T>(
        &mut self,
        name: &str,
        null: Null<T>,
        read: impl FnOnce(&'a RawValue) -> Result<T, Fault>,
    ) -> Option<T> {
        self.nested(name, null, |raw, _| read(raw))
    }

    /// As [`Reader::value`], for a member that has members itself, whose faults `read` keeps.
    pub fn nested<T>(
        &mut self,
        name: &str,
        null: Null<T>,
        read: impl FnOnce(&'a RawValue, &mut Faults) -> Result<T, Fault>,
    ) -> Option<T> {
        let raw = self.take(name)?;
        let result = match null {
            Null::Refused if json::is_null(raw) => Err(Fault::schema("must not be null")),
            Null::Means(value) if json::is_null(raw) => Ok(value),
            Null::Refused | Null::Means(_) | Null::IsAValue => read(raw, self.faults),
        };
        result.map_err(|fault| self.fault(name, fault)).ok()
    }

    /// Keeps a fault of the member `name`.
    pub fn fault(&mut self, name: &str, fault: Fault) {
        self.faults.add(format!("{}{name}", self.prefix), fault);
    }

    /// Takes all members that are left.
    pub fn take_all(&mut self) -> Vec<(String, &'a RawValue)> {
        std::mem::take(&mut self.members)
    }

    /// What was not taken is unknown, and a fault.
    pub fn finish(mut self) {
        for (name, _) in self.take_all() {
            self.fault(&quote(&name), Fault::schema("is not a known field"));
        }
    }
}

fn not_an_object(raw: &str, error: &serde_json::Error) -> Fault {
    let message = match (error.is_data(), raw.trim_start().starts_with('{')) {
        (true, false) => "must be a JSON object".to_owned(),
        (true, true) => format!("can't be read: {error}"),
        (false, _) => format!("is not JSON: {error}"),
    };
    Fault { breaks: Breaks::Schema, message }
}

/// A client's text for a message: cut, without control characters.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut end = text.len().min(QUOTE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = if end < text.len() { "…" } else { "" };
    let shown: String = text[..end].chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    shown + cut
}
