//! What a user asked for: when to call, whom, with what, and what to do when it fails.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::limits::{CALLBACK_TIMEOUT_DEFAULT, HEADERS_BYTES_MAX, HEADERS_MAX, LABELS_MAX};
use crate::time::{Millis, Span};

/// One definition of a timer. A change of `execute_at`, `callback` or `payload` makes a new generation; a
/// change of the rest only a new version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// When to call: never earlier by the leader's clock.
    pub execute_at: Millis,
    /// Whom to call, and how.
    pub callback: Callback,
    /// What to send.
    pub payload: Payload,
    /// What to do after a failed attempt.
    pub retry: RetryPolicy,
    /// What to do when the time has passed.
    pub late: LatePolicy,
    /// The user's own marks; no effect on delivery.
    pub labels: BTreeMap<String, String>,
}

/// Whom to call, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// `http` or `https`, at most [`URL_BYTES_MAX`](crate::limits::URL_BYTES_MAX) bytes.
    pub url: String,
    /// The request's method.
    pub method: Method,
    /// Headers in the order given; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Bounds a whole attempt, from connecting to the answer's last byte.
    pub timeout: Span,
    /// What the request's body is.
    pub body: BodyMode,
}

/// Methods of a callback. GET and DELETE have no body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// The default.
    #[default]
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// GET, without a body.
    Get,
    /// DELETE, without a body.
    Delete,
}

/// What the request's body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyMode {
    /// A JSON object that names the timer and holds the payload.
    #[default]
    Envelope,
    /// The payload's exact bytes.
    Payload,
}

/// What to send. The bytes are shared, not copied, when a timer is cloned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// None was given, or the timer is finished and its payload was dropped.
    #[default]
    None,
    /// The exact bytes of a JSON value, as sent.
    Json(Arc<[u8]>),
    /// Bytes of a media type that the user named.
    Binary {
        /// The bytes.
        bytes: Arc<[u8]>,
        /// The `Content-Type`.
        content_type: String,
    },
}

/// What to do after a failed attempt. The first bound that is met ends it; at least one attempt is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// 1 to [`ATTEMPTS_MAX`](crate::limits::ATTEMPTS_MAX).
    pub attempts_max: u32,
    /// Counted from the start of the first attempt.
    pub duration_max: Span,
    /// The wait after the first failed attempt.
    pub initial_interval: Span,
    /// In thousandths, from 1000: how much longer each wait is than the one before.
    pub multiplier_milli: u32,
    /// The longest wait. At least `initial_interval`.
    pub interval_max: Span,
    /// In thousandths, 0 to 1000: the share of a wait that is taken off at random.
    pub jitter_milli: u32,
    /// Status codes that end it at once.
    pub dead_on: DeadOn,
}

/// Status codes that end a timer at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadOn {
    /// These, sorted, each once.
    Codes(Vec<u16>),
    /// All of 400 to 499.
    All4xx,
}

impl DeadOn {
    /// Whether `status` ends a timer at once.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        match self {
            Self::Codes(codes) => codes.binary_search(&status).is_ok(),
            Self::All4xx => (400..500).contains(&status),
        }
    }
}

/// What to do when the time has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatePolicy {
    /// Call anyway.
    #[default]
    Fire,
    /// Do not call when a first attempt would start later than `grace_window` after `execute_at`.
    Skip {
        /// How late is still in time.
        grace_window: Span,
    },
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 10,
            duration_max: Span::from_secs(24 * 3600),
            initial_interval: Span::from_secs(1),
            multiplier_milli: 2000,
            interval_max: Span::from_secs(3600),
            jitter_milli: 200,
            dead_on: DeadOn::default(),
        }
    }
}

impl Default for DeadOn {
    /// Codes that say that the same request can't succeed later either.
    fn default() -> Self {
        Self::Codes([400, 405, 410, 413, 414, 415, 422].to_vec())
    }
}

impl Method {
    /// Whether a request of this method has a body.
    #[must_use]
    pub const fn has_body(self) -> bool {
        match self {
            Self::Post | Self::Put | Self::Patch => true,
            Self::Get | Self::Delete => false,
        }
    }
}

impl Definition {
    /// Whether this is another generation than `old`, or only another version.
    #[must_use]
    pub fn makes_new_generation(&self, old: &Self) -> bool {
        self.execute_at != old.execute_at || self.callback != old.callback || self.payload != old.payload
    }

    /// The first fault that no part shows alone, but only the whole: a field of the API and what is wrong with
    /// it. A patch is checked with it against the timer that it meets.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let headers = &self.callback.headers;
        let header_bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if !self.callback.method.has_body() && self.payload != Payload::None {
            return Some(("payload", "must be absent for the methods GET and DELETE, which have no body"));
        }
        if headers.len() > HEADERS_MAX {
            return Some(("callbackHeaders", "must not have more than 20 headers"));
        }
        if header_bytes > HEADERS_BYTES_MAX {
            return Some(("callbackHeaders", "must not have more than 8192 bytes of names and values"));
        }
        if self.retry.interval_max < self.retry.initial_interval {
            return Some(("retryPolicy.maxInterval", "must not be shorter than initialInterval"));
        }
        if self.labels.len() > LABELS_MAX {
            return Some(("labels", "must not have more than 16 labels"));
        }
        None
    }
}

impl Callback {
    /// A POST of the envelope to `url` with the default time-out.
    #[must_use]
    pub fn post(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: Method::Post,
            headers: Vec::new(),
            timeout: CALLBACK_TIMEOUT_DEFAULT,
            body: BodyMode::Envelope,
        }
    }
}

impl Payload {
    /// The bytes, if there are any.
    #[must_use]
    pub fn bytes(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::None => None,
            Self::Json(bytes) | Self::Binary { bytes, .. } => Some(bytes),
        }
    }
}
