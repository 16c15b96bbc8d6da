//! Makes values of bytes, for properties that are about values and not about a text. Whatever is asked for is there: what
//! has been used up is zeros, so that short inputs mean something too.

use crate::http::input::json::Members;

/// Bytes that are being used up.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.bytes();
        byte
    }

    /// A number.
    pub fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    /// A number that is small as often as not, so that two of them are sometimes equal or neighbours.
    pub fn near(&mut self) -> u64 {
        let small = u64::from(self.byte());
        if small < 128 { small } else { self.number() }
    }

    /// A text of up to 255 bytes: a length, and bytes of which what is not UTF-8 is replaced.
    pub fn text(&mut self) -> String {
        let len = usize::from(self.byte()).min(self.0.len());
        let (text, rest) = self.0.split_at(len);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    /// One of `all`, which is not empty.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let len = N.min(self.0.len());
        let (used, rest) = self.0.split_at(len);
        bytes[..len].copy_from_slice(used);
        self.0 = rest;
        bytes
    }
}

/// A JSON object as its members, each value as the text that it has.
#[derive(Default)]
pub struct Object(Vec<(String, String)>);

impl Object {
    /// That of `text`, or none if it is another thing.
    pub fn of(text: &str) -> Option<Self> {
        let Members(members) = serde_json::from_str(text).ok()?;
        Some(Self(members.into_iter().map(|(name, raw)| (name.into_owned(), raw.get().to_owned())).collect()))
    }

    /// Its members in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.members().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// One more member.
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Those members only whose name `keep` names.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// In the opposite order.
    pub fn reverse(&mut self) {
        self.0.reverse();
    }

    /// As JSON.
    pub fn text(&self) -> String {
        let members =
            self.members().map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}
