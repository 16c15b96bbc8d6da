//! Groups and ids in a request's path, decoded by hand from the path as it came: `a%2Fb` is the id `a/b`.
//! What does not decode is refused, so that no timer is made that can't be named again.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use timer_core::ids::{Sequence, TimerKey, group_name_fault, timer_id_fault};

use super::problem::Problem;

/// The base of all paths of timers.
pub const GROUPS_PATH: &str = "/api/v1/groups/";

/// What the id of a signing secret begins with.
const SECRET_ID: &str = "sec_";

/// What stands unencoded in a path that we write: RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Segment `n` after `/api/v1/groups/`, as it came.
fn segment(path: &str, n: usize) -> Result<&str, Problem> {
    let rest = path.strip_prefix(GROUPS_PATH);
    rest.and_then(|rest| rest.split('/').nth(n)).ok_or_else(|| Problem::internal("a path without its parts"))
}

/// The group of a path `/api/v1/groups/{group}/…`.
///
/// # Errors
/// `INVALID_ARGUMENT` if it can't be a group's name. Whether there is one of this name is the cluster's to say.
pub fn group(path: &str) -> Result<String, Problem> {
    let name = decode(segment(path, 0)?).map_err(|message| Problem::invalid("group", message))?;
    match group_name_fault(&name) {
        Some(fault) => Err(Problem::invalid("group", fault)),
        None => Ok(name),
    }
}

/// The timer of a path `/api/v1/groups/{group}/timers/{id}…`.
///
/// # Errors
/// As [`group`], and `INVALID_ARGUMENT` if the id can't be one.
pub fn timer_key(path: &str) -> Result<TimerKey, Problem> {
    let id = decode(segment(path, 2)?).map_err(|message| Problem::invalid("id", message))?;
    if let Some(fault) = timer_id_fault(&id) {
        return Err(Problem::invalid("id", fault));
    }
    Ok(TimerKey::new(group(path)?, id))
}

/// The signing secret of a path `/api/v1/groups/{group}/signing-secrets/{id}`; none if no secret can have this id.
#[must_use]
pub fn signing_secret(path: &str) -> Option<Sequence> {
    let sent = decode(segment(path, 2).ok()?).ok()?;
    let id = Sequence(sent.strip_prefix(SECRET_ID)?.parse().ok()?);
    // One secret has one name: no `+7` and no `07`.
    (signing_secret_id(id) == sent).then_some(id)
}

/// How a signing secret is named.
#[must_use]
pub fn signing_secret_id(id: Sequence) -> String {
    format!("{SECRET_ID}{}", id.0)
}

/// Where a group is found.
#[must_use]
pub fn group_location(name: &str) -> String {
    format!("{GROUPS_PATH}{name}")
}

/// Where a timer is found.
#[must_use]
pub fn location(key: &TimerKey) -> String {
    let id = utf8_percent_encode(&key.id, ENCODED);
    format!("{GROUPS_PATH}{}/timers/{id}", key.group)
}

/// Undoes percent-encoding, once and strictly.
///
/// # Errors
/// For people, when `%` is not followed by two hexadecimal digits, or the bytes are not UTF-8.
pub fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err("has a '%' without two hexadecimal digits; '%' itself is written %25");
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(u8::MAX));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 after percent-decoding")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::problem::Code;

    fn id(path_id: &str) -> Result<String, Code> {
        let path = format!("/api/v1/groups/default/timers/{path_id}");
        timer_key(&path).map(|key| key.id).map_err(|problem| problem.code)
    }

    #[test]
    fn a_segment_is_decoded_once() {
        for (sent, read) in [
            ("a%2Fb", "a/b"),
            ("a%252Fb", "a%2Fb"),
            ("a+b", "a+b"),
            ("a%20b", "a b"),
            ("%3Fx", "?x"),
            ("a:b", "a:b"),
            ("%F0%9F%98%80", "😀"),
            ("%2e%2E.", "..."),
        ] {
            assert_eq!(id(sent).as_deref(), Ok(read), "{sent}");
        }
    }

    #[test]
    fn what_can_not_be_an_id_is_refused() {
        for sent in ["%", "%2", "%zz", "%FF", "%C3", "%00", ".", "..", "%2e%2e", "", &"a".repeat(256)] {
            assert_eq!(id(sent), Err(Code::InvalidArgument), "{sent}");
        }
    }

    #[test]
    fn a_signing_secret_has_one_name() {
        let read = |id: &str| signing_secret(&format!("/api/v1/groups/a/signing-secrets/{id}"));
        assert_eq!(read(&signing_secret_id(Sequence(28_672))), Some(Sequence(28_672)));
        assert_eq!(read("%73ec_7"), Some(Sequence(7)));
        for other in ["", "7", "sec_", "sec_07", "sec_+7", "SEC_7", "sec_18446744073709551616", "sec_7%", "x"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn what_can_not_be_a_group_is_refused() {
        let code = |path: &str| group(path).map_err(|problem| problem.code);
        assert_eq!(code("/api/v1/groups/default/timers"), Ok("default".to_owned()));
        assert_eq!(code("/api/v1/groups/orders/timers"), Ok("orders".to_owned()));
        assert_eq!(code("/api/v1/groups/Orders/timers"), Err(Code::InvalidArgument));
    }

    proptest! {
        #[test]
        fn a_location_leads_back_to_the_same_bytes(id in "\\PC{1,40}") {
            prop_assume!(timer_id_fault(&id).is_none());
            let key = TimerKey::new("default", id);
            prop_assert_eq!(timer_key(&location(&key)).unwrap(), key);
        }
    }
}
