//! The requests of the load: a single PUT, rendered once, in which only the id's digits change.

use std::io::Write;
use std::net::SocketAddr;

/// Digits of a timer's number in its id.
const DIGITS: usize = 10;

/// Names the timers of one measurement: `bench-<hex>-<number>`. The hex part differs from run to run, so that
/// a node that is measured twice creates twice.
#[derive(Clone, Debug)]
pub struct Ids {
    prefix: String,
}

impl Ids {
    /// Ids that begin with `run`.
    pub fn new(run: u64) -> Self {
        Self { prefix: format!("bench-{run:016x}-") }
    }

    /// The id of timer `number`.
    pub fn name(&self, number: usize) -> String {
        format!("{}{number:0DIGITS$}", self.prefix)
    }

    /// The number in `id`, if it is one of these.
    pub fn number(&self, id: &str) -> Option<usize> {
        id.strip_prefix(&self.prefix)?.parse().ok()
    }
}

/// A PUT whose id can be changed without rendering it again.
#[derive(Clone, Debug)]
pub struct PutTimer {
    bytes: Vec<u8>,
    digits_at: usize,
}

/// The definition in a [`PutTimer`].
#[derive(Clone, Debug)]
pub struct Definition<'a> {
    /// RFC 3339.
    pub execute_at: &'a str,
    /// Where the callback goes.
    pub callback_url: &'a str,
    /// Bytes of the payload's text.
    pub payload_bytes: usize,
}

impl PutTimer {
    /// Renders the request.
    pub fn new(host: SocketAddr, ids: &Ids, definition: &Definition<'_>) -> Self {
        let body = serde_json::json!({
            "executeAt": definition.execute_at,
            "callbackUrl": definition.callback_url,
            "payload": "x".repeat(definition.payload_bytes),
        })
        .to_string();
        let mut bytes = format!("PUT /api/v1/groups/default/timers/{}", ids.prefix).into_bytes();
        let digits_at = bytes.len();
        bytes.extend_from_slice(&[b'0'; DIGITS]);
        bytes.extend_from_slice(
            format!(
                " HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
        Self { bytes, digits_at }
    }

    /// The request for timer `number`.
    pub fn numbered(&mut self, number: usize) -> &[u8] {
        let mut digits = &mut self.bytes[self.digits_at..self.digits_at + DIGITS];
        let written = write!(digits, "{number:0DIGITS$}");
        assert!(written.is_ok(), "{number} has more than {DIGITS} digits");
        &self.bytes
    }
}

/// A GET of `path` with no body.
pub fn get(host: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put() -> PutTimer {
        let definition = Definition {
            execute_at: "2030-01-01T00:00:00Z",
            callback_url: "http://127.0.0.1:9/",
            payload_bytes: 3,
        };
        PutTimer::new("127.0.0.1:8080".parse().unwrap(), &Ids::new(0xab), &definition)
    }

    #[test]
    fn only_the_number_changes_from_request_to_request() {
        let mut put = put();
        let first = String::from_utf8(put.numbered(7).to_vec()).unwrap();
        let second = String::from_utf8(put.numbered(1_234_567).to_vec()).unwrap();
        assert!(
            first.starts_with(
                "PUT /api/v1/groups/default/timers/bench-00000000000000ab-0000000007 HTTP/1.1\r\n"
            )
        );
        assert_eq!(first.replace("0000000007", "0001234567"), second);
        assert!(second.contains(&format!("/{} HTTP", Ids::new(0xab).name(1_234_567))));
    }

    #[test]
    fn the_length_is_that_of_the_body() {
        let text = String::from_utf8(put().numbered(0).to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
    }

    #[test]
    fn the_number_of_a_foreign_id_is_unknown() {
        let ids = Ids::new(1);
        assert_eq!(ids.number("bench-0000000000000001-0000000042"), Some(42));
        assert_eq!(ids.number("bench-0000000000000002-0000000042"), None);
    }
}
