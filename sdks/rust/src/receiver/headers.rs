//! A callback's headers, read strictly: one that is not as `api.yaml` says did not come from durable-timer.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::path::TimerName;

/// What the headers of a callback say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackHeaders {
    /// The timer.
    pub timer: TimerName,
    /// Names the definition of it that is due.
    pub generation: u64,
    /// From 1.
    pub attempt: u32,
    /// When this attempt was due (the first: `executeAt`): RFC 3339, UTC, milliseconds.
    pub scheduled_at: String,
    /// How much later than due this attempt was started, in ms, by the sender's clock.
    pub late_ms: u64,
    /// The "not yet" answers before.
    pub deferrals: u32,
    /// Whether somebody asked for it by hand.
    pub manual: bool,
    /// The cluster that sends. A restored copy of a cluster has another one.
    pub cluster_id: String,
    /// Grows strictly from attempt to attempt of a timer; below 2^63.
    pub fencing_token: u64,
    /// The same for all attempts of one generation: what to deduplicate by.
    pub webhook_id: String,
    /// When this attempt was sent, in seconds since 1970.
    pub webhook_timestamp: u64,
    /// Of the request that made this generation.
    pub traceparent: Option<String>,
}

/// Why headers are not those of a callback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// One is missing, or there twice.
    #[error("{0} must be there once")]
    NotOnce(&'static str),
    /// One can't be read.
    #[error("{name} must be {wanted}")]
    Value {
        /// The header.
        name: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
}

impl CallbackHeaders {
    /// Reads them.
    ///
    /// ```
    /// use durable_timer::receiver::CallbackHeaders;
    ///
    /// # let mut headers = http::HeaderMap::new();
    /// # for (name, value) in [
    /// #     ("timer-group", "default"), ("timer-id", "a%2Fb"), ("timer-generation", "4096"),
    /// #     ("timer-attempt", "1"), ("timer-scheduled-at", "2026-12-01T08:00:00.000Z"),
    /// #     ("timer-late-ms", "3"), ("timer-deferrals", "0"), ("timer-cluster-id", "c"),
    /// #     ("timer-fencing-token", "77"), ("webhook-id", "w"), ("webhook-timestamp", "1796112000"),
    /// # ] {
    /// #     headers.insert(name, http::HeaderValue::from_static(value));
    /// # }
    /// let callback = CallbackHeaders::parse(&headers)?;
    /// assert_eq!(callback.timer.id, "a/b");
    /// # Ok::<(), durable_timer::receiver::HeaderFault>(())
    /// ```
    ///
    /// # Errors
    /// When one of them is missing or is not what it should be.
    pub fn parse(headers: &HeaderMap) -> Result<Self, HeaderFault> {
        let id = text(headers, "timer-id")?;
        let id = percent_decode_str(id).decode_utf8();
        let id = id.map_err(|_| HeaderFault::Value { name: "timer-id", wanted: "percent-encoded UTF-8" })?;
        Ok(Self {
            timer: TimerName::new(text(headers, "timer-group")?, id),
            generation: number(headers, "timer-generation")?,
            attempt: number(headers, "timer-attempt")?,
            scheduled_at: text(headers, "timer-scheduled-at")?.to_owned(),
            late_ms: number(headers, "timer-late-ms")?,
            deferrals: number(headers, "timer-deferrals")?,
            manual: optional(headers, "timer-manual")? == Some("true"),
            cluster_id: text(headers, "timer-cluster-id")?.to_owned(),
            fencing_token: number(headers, "timer-fencing-token")?,
            webhook_id: text(headers, "webhook-id")?.to_owned(),
            webhook_timestamp: number(headers, "webhook-timestamp")?,
            traceparent: optional(headers, "traceparent")?.map(str::to_owned),
        })
    }
}

fn optional<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, HeaderFault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(HeaderFault::NotOnce(name));
    }
    value.to_str().map(Some).map_err(|_| HeaderFault::Value { name, wanted: "ASCII" })
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, HeaderFault> {
    optional(headers, name)?.ok_or(HeaderFault::NotOnce(name))
}

/// Digits only: Rust's own parser also takes a plus sign.
fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, HeaderFault> {
    let text = text(headers, name)?;
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(HeaderFault::Value { name, wanted: "a whole number" })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const GOOD: [(&str, &str); 12] = [
        ("timer-group", "default"),
        ("timer-id", "a%2Fb%C3%A9"),
        ("timer-generation", "4097"),
        ("timer-attempt", "2"),
        ("timer-scheduled-at", "2026-12-01T08:00:00.000Z"),
        ("timer-late-ms", "12"),
        ("timer-deferrals", "1"),
        ("timer-cluster-id", "c1"),
        ("timer-fencing-token", "9223372036854775807"),
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1796112000"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];

    fn headers(change: Option<(&'static str, Option<&'static str>)>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in GOOD {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        match change {
            Some((name, Some(value))) => drop(map.insert(name, HeaderValue::from_static(value))),
            Some((name, None)) => drop(map.remove(name)),
            None => {}
        }
        map
    }

    #[test]
    fn every_header_is_read() {
        let callback = CallbackHeaders::parse(&headers(None)).unwrap();
        assert_eq!(callback.timer, TimerName::new("default", "a/bé"));
        assert_eq!((callback.generation, callback.attempt, callback.late_ms), (4097, 2, 12));
        assert_eq!(callback.fencing_token, (1 << 63) - 1);
        assert_eq!((callback.deferrals, callback.manual), (1, false));
        assert!(CallbackHeaders::parse(&headers(Some(("timer-manual", Some("true"))))).unwrap().manual);
    }

    #[test]
    fn what_is_missing_doubled_or_no_number_is_named() {
        for (name, _) in GOOD.iter().filter(|(name, _)| *name != "traceparent") {
            let fault = CallbackHeaders::parse(&headers(Some((name, None)))).unwrap_err();
            assert_eq!(fault, HeaderFault::NotOnce(name));
        }
        for name in ["timer-generation", "timer-attempt", "timer-late-ms", "timer-fencing-token"] {
            for bad in ["", "-1", "+1", "1.0", "x", "99999999999999999999"] {
                let fault = CallbackHeaders::parse(&headers(Some((name, Some(bad))))).unwrap_err();
                assert_eq!(fault, HeaderFault::Value { name, wanted: "a whole number" }, "{bad}");
            }
        }
        let mut twice = headers(None);
        twice.append("webhook-id", HeaderValue::from_static("other"));
        assert_eq!(CallbackHeaders::parse(&twice), Err(HeaderFault::NotOnce("webhook-id")));
    }
}
