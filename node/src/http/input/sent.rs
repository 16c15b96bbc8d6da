//! A timer's fields as somebody sent them: what was not sent stays apart from a default that was, because
//! defaults may change and a repeated PUT must still be known for what it is.

use std::collections::BTreeMap;
use std::mem;

use timer_core::command::Patch;
use timer_core::command::patch::RetryPatch;
use timer_core::command::{Fence, Precondition};
use timer_core::definition::{BodyMode, Callback, Definition, LatePolicy, Method, Payload, RetryPolicy};
use timer_core::ids::{TimerKey, timer_id_fault};
use timer_core::limits::{CALLBACK_TIMEOUT_DEFAULT, CALLBACK_TIMEOUT_MAX, CALLBACK_TIMEOUT_MIN, HORIZON_MAX};
use timer_core::time::{Millis, Span};

use super::faults::{Fault, Faults};
use super::reader::{Null, Reader};
use super::{Shape, UrlCheck, callback, payload, policy, values};
use crate::http::duration;
use crate::http::problem::Problem;

/// When to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `executeAt`.
    At(Millis),
    /// `delay`, from when the leader takes the request.
    After(Span),
}

/// What a body said. `None`: nothing about this field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// `id`, where the body names it.
    pub id: Option<String>,
    /// `executeAt` or `delay`.
    pub when: Option<When>,
    /// `callbackUrl`.
    pub url: Option<String>,
    /// `callbackMethod`.
    pub method: Option<Method>,
    /// `callbackHeaders`, in the order sent, names in lower case; `None` removes one.
    pub headers: Vec<(String, Option<String>)>,
    /// `callbackTimeout`.
    pub timeout: Option<Span>,
    /// `callbackBody`.
    pub body: Option<BodyMode>,
    /// `payload`, or `payloadBase64` with `contentType`.
    pub payload: Option<Payload>,
    /// `retryPolicy`.
    pub retry: RetryPatch,
    /// `latePolicy` with `graceWindow`.
    pub late: Option<LatePolicy>,
    /// `labels`; `None` removes one.
    pub labels: BTreeMap<String, Option<String>>,
}

/// What a body is held against.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// When the request was taken.
    pub now: Millis,
    /// Where callbacks may go.
    pub url_check: &'a UrlCheck,
}

impl Sent {
    /// Reads a body of `shape`.
    ///
    /// # Errors
    /// The problem of all faults in it.
    pub fn read(body: &[u8], shape: Shape, rules: Rules<'_>) -> Result<Self, Problem> {
        Self::read_fields(body, |reader| Self::fields(reader, shape, rules, shape == Shape::Whole))
    }

    /// Reads a whole definition that need not say when.
    ///
    /// # Errors
    /// The problem of all faults in it.
    pub fn read_sample(body: &[u8], rules: Rules<'_>) -> Result<Self, Problem> {
        Self::read_fields(body, |reader| Self::fields(reader, Shape::Whole, rules, false))
    }

    fn read_fields(body: &[u8], fields: impl FnOnce(Reader<'_, '_>) -> Self) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| Problem::invalid("body", "must be UTF-8"))?;
        let mut faults = Faults::default();
        let sent = match Reader::new(text, "", &mut faults) {
            Ok(reader) => Some(fields(reader)),
            Err(fault) => {
                faults.add("body", fault);
                None
            }
        };
        faults.into_result(sent)
    }

    fn fields(mut reader: Reader<'_, '_>, shape: Shape, rules: Rules<'_>, needs_time: bool) -> Self {
        let needs_url = shape == Shape::Whole && !reader.has("callbackUrl");
        let sent = Self {
            id: match shape {
                Shape::Whole => reader.value("id", Null::Refused, timer_id),
                Shape::Patch => None,
            },
            when: when(&mut reader, needs_time, rules.now),
            url: reader.value("callbackUrl", Null::Refused, |raw| callback::url(raw, rules.url_check)),
            method: reader.value("callbackMethod", shape.null(Method::default()), |raw| {
                values::choice(raw, &callback::METHODS)
            }),
            headers: reader
                .nested("callbackHeaders", Null::Refused, |raw, f| callback::headers(raw, shape, f))
                .unwrap_or_default(),
            timeout: reader.value("callbackTimeout", shape.null(CALLBACK_TIMEOUT_DEFAULT), |raw| {
                values::span(raw, CALLBACK_TIMEOUT_MIN, CALLBACK_TIMEOUT_MAX)
            }),
            body: reader.value("callbackBody", shape.null(BodyMode::default()), |raw| {
                values::choice(raw, &callback::BODY_MODES)
            }),
            payload: payload::read(&mut reader, shape),
            retry: reader
                .nested("retryPolicy", shape.null(policy::retry_defaults()), |raw, f| {
                    policy::retry(raw, shape, f)
                })
                .unwrap_or_default(),
            late: policy::late(&mut reader, shape),
            labels: reader
                .nested("labels", Null::Refused, |raw, f| policy::labels(raw, shape, f))
                .unwrap_or_default(),
        };
        if needs_url {
            reader.fault("callbackUrl", Fault::schema("is needed"));
        }
        if shape == Shape::Whole {
            let mut whole = sent.definition(rules.now);
            while let Some((field, message)) = whole.fault() {
                reader.fault(field, whole_fault(field, message));
                // Further faults only show when there is no payload any more that hides them.
                if mem::take(&mut whole.payload) == Payload::None {
                    break;
                }
            }
        }
        reader.finish();
        sent
    }

    fn execute_at(&self) -> Option<Millis> {
        if let Some(When::At(at)) = self.when { Some(at) } else { None }
    }

    /// The span that was sent instead of a time: the leader makes a time of it.
    #[must_use]
    pub fn delay(&self) -> Option<Span> {
        if let Some(When::After(delay)) = self.when { Some(delay) } else { None }
    }

    /// The whole definition, with defaults for what was not sent. `now` stands in for a time that only
    /// [`delay`](Self::delay) tells.
    #[must_use]
    pub fn definition(&self, now: Millis) -> Definition {
        let set = |(name, value): &(String, Option<String>)| value.clone().map(|v| (name.clone(), v));
        let label = |(key, value): (&String, &Option<String>)| value.clone().map(|v| (key.clone(), v));
        Definition {
            execute_at: self.execute_at().unwrap_or(now),
            callback: Callback {
                url: self.url.clone().unwrap_or_default(),
                method: self.method.unwrap_or_default(),
                headers: self.headers.iter().filter_map(set).collect(),
                timeout: self.timeout.unwrap_or(CALLBACK_TIMEOUT_DEFAULT),
                body: self.body.unwrap_or_default(),
            },
            payload: self.payload.clone().unwrap_or_default(),
            retry: self.retry.onto(&RetryPolicy::default()),
            late: self.late.unwrap_or_default(),
            labels: self.labels.iter().filter_map(label).collect(),
        }
    }

    /// The patch of the timer `key`.
    #[must_use]
    pub fn patch(self, key: TimerKey, precondition: Precondition) -> Patch {
        Patch {
            key,
            execute_at: self.execute_at(),
            delay: self.delay(),
            url: self.url,
            method: self.method,
            headers: self.headers,
            timeout: self.timeout,
            body: self.body,
            payload: self.payload,
            retry: self.retry,
            late: self.late,
            labels: self.labels,
            precondition,
            fence: Fence::default(),
        }
    }
}

/// A fault that only the whole definition has ([`Definition::fault`]): a payload that must not be there is
/// no matter of limits.
#[must_use]
pub fn whole_fault(field: &str, message: &str) -> Fault {
    if field == "payload" { Fault::schema(message) } else { Fault::limit(message) }
}

pub(super) fn timer_id(raw: &serde_json::value::RawValue) -> Result<String, Fault> {
    let id = values::string(raw)?;
    match timer_id_fault(&id) {
        None => Ok(id.into_owned()),
        Some(fault) => Err(Fault::schema(fault)),
    }
}

/// `executeAt` or `delay`, of which a whole definition has exactly one.
fn when(reader: &mut Reader<'_, '_>, is_needed: bool, now: Millis) -> Option<When> {
    let (had_at, had_delay) = (reader.has("executeAt"), reader.has("delay"));
    let horizon = now + HORIZON_MAX;
    let at = reader.value("executeAt", Null::Refused, |raw| {
        let at = values::instant(raw)?;
        if at <= horizon { Ok(at) } else { Err(beyond_horizon()) }
    });
    let delay = reader.value("delay", Null::Refused, |raw| values::span(raw, Span(0), HORIZON_MAX));
    match (had_at, had_delay) {
        (true, true) => reader.fault("delay", Fault::schema("must not stand beside executeAt")),
        (false, false) if is_needed => {
            reader.fault("executeAt", Fault::schema("is needed, or delay"));
        }
        (true, false) | (false, true) | (false, false) => {}
    }
    at.map(When::At).or(delay.map(When::After))
}

fn beyond_horizon() -> Fault {
    Fault::limit(format!("must not be further ahead than {}", duration::format(HORIZON_MAX)))
}
