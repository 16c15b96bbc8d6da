//! A whole definition of a timer, to be sent. What is left out gets the server's default.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::duration;
use crate::model::timer::DeadOn;

/// A whole definition. Exactly one of `execute_at` and `delay`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimerInput {
    /// For [`create`](crate::Client::create): the id, or none to have one made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When to call: RFC 3339 with an offset; at most 10 years ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execute_at: Option<String>,
    /// From when the server takes the request, as in `1h30m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// http or https, to 2048 bytes.
    pub callback_url: String,
    /// POST if it is not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_method: Option<String>,
    /// To 20.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub callback_headers: BTreeMap<String, String>,
    /// 1s to 300s; 30s if it is not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_timeout: Option<String>,
    /// `envelope` (the default) or `payload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_body: Option<String>,
    /// JSON, delivered as these exact bytes; to 256 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// Instead of `payload`; with `content_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// The media type of `payload_base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What to do after a failed attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicyInput>,
    /// `fire` (the default) or `skip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_policy: Option<String>,
    /// With `skip`: how late is still in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_window: Option<String>,
    /// To 16, of 63 bytes each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What to do after a failed attempt; what is `None` gets the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicyInput {
    /// 1 to 100; 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// To 365d; 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<String>,
    /// To 7d; 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_interval: Option<String>,
    /// 1 to 100; 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_multiplier: Option<f64>,
    /// To 7d; 1h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_interval: Option<String>,
    /// 0 to 1; 0.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
    /// 300 to 599 each; 400, 405, 410, 413, 414, 415, 422.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_on: Option<DeadOn>,
}

impl TimerInput {
    /// A timer at `execute_at` (RFC 3339 with an offset) that POSTs to `callback_url`.
    #[must_use]
    pub fn at(execute_at: impl Into<String>, callback_url: impl Into<String>) -> Self {
        Self { execute_at: Some(execute_at.into()), callback_url: callback_url.into(), ..Self::default() }
    }

    /// A timer `delay` after the server takes it.
    #[must_use]
    pub fn after(delay: Duration, callback_url: impl Into<String>) -> Self {
        let delay = Some(duration::format(delay));
        Self { delay, callback_url: callback_url.into(), ..Self::default() }
    }

    /// With this payload.
    ///
    /// # Errors
    /// When `payload` can't be written as JSON.
    pub fn json_payload(mut self, payload: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.payload = Some(serde_json::value::to_raw_value(payload)?);
        Ok(self)
    }

    /// With a payload of any kind of bytes.
    #[must_use]
    pub fn binary_payload(mut self, bytes: &[u8], content_type: impl Into<String>) -> Self {
        self.payload_base64 = Some(STANDARD.encode(bytes));
        self.content_type = Some(content_type.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_sent() {
        let input = TimerInput::after(Duration::from_secs(5), "http://h/");
        let json = serde_json::to_string(&input).unwrap();
        assert_eq!(json, r#"{"delay":"5s","callbackUrl":"http://h/"}"#);
    }

    #[test]
    fn the_payloads_bytes_are_kept() {
        let raw = r#"{ "b": 1.0,  "a": 12345678901234567890 }"#;
        let payload = Some(RawValue::from_string(raw.to_owned()).unwrap());
        let input = TimerInput { payload, ..TimerInput::at("2030-01-01T00:00:00Z", "http://h/") };
        assert!(serde_json::to_string(&input).unwrap().contains(raw));
    }

    #[test]
    fn bytes_travel_as_base64() {
        let input = TimerInput::after(Duration::ZERO, "http://h/").binary_payload(&[0, 255], "image/png");
        let json = serde_json::to_value(&input).unwrap();
        assert_eq!(json["payloadBase64"], "AP8=");
        assert_eq!(json["contentType"], "image/png");
    }
}
