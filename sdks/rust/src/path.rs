//! Names of timers as they stand in a path: an id may hold any byte of UTF-8 but control characters.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but RFC 3986's unreserved characters is encoded, so that `a/b` becomes `a%2Fb`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What names a timer: its group, and its id within the group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerName {
    /// Matches `[a-z0-9][a-z0-9_-]{0,62}`.
    pub group: String,
    /// 1 to 255 bytes of UTF-8, no control characters, not `.` or `..`.
    pub id: String,
}

impl TimerName {
    /// A name of these parts. The server checks them.
    #[must_use]
    pub fn new(group: impl Into<String>, id: impl Into<String>) -> Self {
        Self { group: group.into(), id: id.into() }
    }

    /// The path of the timer.
    ///
    /// ```
    /// use durable_timer::TimerName;
    ///
    /// let path = TimerName::new("default", "a/b?").path();
    /// assert_eq!(path, "/api/v1/groups/default/timers/a%2Fb%3F");
    /// ```
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", timers_path(&self.group), encode(&self.id))
    }
}

/// The path of a group's batches.
#[must_use]
pub fn batch_path(group: &str) -> String {
    format!("/api/v1/groups/{}/batch", encode(group))
}

/// The path of a group's signing secrets.
#[must_use]
pub fn signing_secrets_path(group: &str) -> String {
    format!("{}/signing-secrets", group_path(group))
}

/// The path of a signing secret.
#[must_use]
pub fn signing_secret_path(group: &str, id: &str) -> String {
    format!("{}/{}", signing_secrets_path(group), encode(id))
}

/// The path of a group.
#[must_use]
pub fn group_path(group: &str) -> String {
    format!("/api/v1/groups/{}", encode(group))
}

/// The path of a group's timers.
#[must_use]
pub fn timers_path(group: &str) -> String {
    format!("/api/v1/groups/{}/timers", encode(group))
}

/// A part of a path or a value in a query.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_could_mean_something_in_a_path_is_encoded() {
        for (id, path) in [
            ("a/b", "a%2Fb"),
            ("a%2Fb", "a%252Fb"),
            ("a b", "a%20b"),
            ("a+b", "a%2Bb"),
            ("a:b", "a%3Ab"),
            ("?x#y", "%3Fx%23y"),
            ("é", "%C3%A9"),
            ("😀", "%F0%9F%98%80"),
            ("A-z.0_~", "A-z.0_~"),
        ] {
            let expected = format!("/api/v1/groups/g/timers/{path}");
            assert_eq!(TimerName::new("g", id).path(), expected, "{id}");
        }
    }
}
