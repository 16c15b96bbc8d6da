//! Changes of a timer. A field that is `None` stays; `Some(None)` sets it back to its default or removes it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::timer::DeadOn;

/// A merge patch. A change of time, payload or callback makes a new generation, of the rest a new version.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimerPatch {
    /// See [`TimerInput::execute_at`](crate::TimerInput::execute_at); not beside `delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execute_at: Option<String>,
    /// See [`TimerInput::delay`](crate::TimerInput::delay).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// See [`TimerInput::callback_url`](crate::TimerInput::callback_url).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// See [`TimerInput::callback_method`](crate::TimerInput::callback_method).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_method: Option<Option<String>>,
    /// Header by header; `None` removes one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub callback_headers: BTreeMap<String, Option<String>>,
    /// See [`TimerInput::callback_timeout`](crate::TimerInput::callback_timeout).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_timeout: Option<Option<String>>,
    /// See [`TimerInput::callback_body`](crate::TimerInput::callback_body).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_body: Option<Option<String>>,
    /// Replaced whole; JSON's `null` takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// Instead of `payload`, with `content_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// The media type of `payload_base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<Option<RetryPolicyPatch>>,
    /// See [`TimerInput::late_policy`](crate::TimerInput::late_policy).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_policy: Option<Option<String>>,
    /// With `late_policy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_window: Option<String>,
    /// Label by label; `None` removes one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Option<String>>,
}

/// Fields of a retry policy that change; see [`RetryPolicyInput`](crate::RetryPolicyInput).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicyPatch {
    /// 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<Option<u32>>,
    /// To 365d.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Option<String>>,
    /// To 7d.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_interval: Option<Option<String>>,
    /// 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_multiplier: Option<Option<f64>>,
    /// To 7d.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_interval: Option<Option<String>>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Option<f64>>,
    /// 300 to 599 each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_on: Option<Option<DeadOn>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stays_is_set_or_goes_back_to_its_default() {
        assert_eq!(serde_json::to_string(&TimerPatch::default()).unwrap(), "{}");
        let patch = TimerPatch {
            callback_timeout: Some(None),
            late_policy: Some(Some("fire".into())),
            labels: BTreeMap::from([("a".into(), None), ("b".into(), Some("x".into()))]),
            retry_policy: Some(Some(RetryPolicyPatch { jitter: Some(None), ..RetryPolicyPatch::default() })),
            ..TimerPatch::default()
        };
        let json = serde_json::to_string(&patch).unwrap();
        let expected = r#"{"callbackTimeout":null,"retryPolicy":{"jitter":null},"latePolicy":"fire","labels":{"a":null,"b":"x"}}"#;
        assert_eq!(json, expected);
    }
}
