//! Many operations in one request, and what became of each.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::client::CallOptions;
use crate::error::{Error, Problem};
use crate::model::input::TimerInput;
use crate::model::patch::TimerPatch;
use crate::model::timer::Timer;

/// One operation, as its JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct BatchOperation(Box<RawValue>);

/// The members that stand in a path, a query or a header elsewhere.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a, B> {
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_match: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_none_match: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_in_flight: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    purge: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reveal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(flatten)]
    body: Option<B>,
}

impl BatchOperation {
    /// Creates the timer `id` or replaces what it was. `input.id` is not looked at.
    ///
    /// # Errors
    /// [`Error::Request`] when it can't be written as JSON.
    pub fn put(id: &str, input: &TimerInput, options: &CallOptions) -> Result<Self, Error> {
        let input = TimerInput { id: None, ..input.clone() };
        Self::of("put", Some(id), Some(input), options)
    }

    /// Creates a timer, whose id is `input.id` or is made by the server.
    ///
    /// # Errors
    /// As [`BatchOperation::put`].
    pub fn create(input: &TimerInput, options: &CallOptions) -> Result<Self, Error> {
        Self::of("create", None, Some(input), options)
    }

    /// Reads a timer.
    ///
    /// # Errors
    /// As [`BatchOperation::put`].
    pub fn get(id: &str, options: &CallOptions) -> Result<Self, Error> {
        Self::of("get", Some(id), None::<()>, options)
    }

    /// Changes some of a pending timer.
    ///
    /// # Errors
    /// As [`BatchOperation::put`].
    pub fn patch(id: &str, patch: &TimerPatch, options: &CallOptions) -> Result<Self, Error> {
        Self::of("patch", Some(id), Some(patch), options)
    }

    /// Cancels a pending timer, or erases a finished one.
    ///
    /// # Errors
    /// As [`BatchOperation::put`].
    pub fn delete(id: &str, options: &CallOptions) -> Result<Self, Error> {
        Self::of("delete", Some(id), None::<()>, options)
    }

    /// Delivers a pending timer now.
    ///
    /// # Errors
    /// As [`BatchOperation::put`].
    pub fn fire(id: &str, options: &CallOptions) -> Result<Self, Error> {
        Self::of("fire", Some(id), None::<()>, options)
    }

    /// Gives a dead timer a new life.
    ///
    /// # Errors
    /// As [`BatchOperation::put`].
    pub fn redrive(id: &str, options: &CallOptions) -> Result<Self, Error> {
        Self::of("redrive", Some(id), None::<()>, options)
    }

    /// An operation as `BatchOperation` of `api.yaml` describes it; the server checks it.
    ///
    /// # Errors
    /// [`Error::Request`] when `json` is not JSON.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map(Self).map_err(|fault| Error::Request(fault.to_string()))
    }

    /// Its JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }

    /// What `options` say of the request as a whole (`traceparent`, `request_id`) has no place here.
    fn of(
        op: &'static str,
        id: Option<&str>,
        body: Option<impl Serialize>,
        options: &CallOptions,
    ) -> Result<Self, Error> {
        let members = Members {
            op,
            id,
            if_match: options.if_version,
            if_none_match: options.if_absent.then_some("*"),
            if_generation: options.if_generation,
            if_in_flight: options.refuse_in_flight.then_some("refuse"),
            purge: options.purge,
            reveal: options.reveal,
            idempotency_key: options.idempotency_key.as_deref(),
            body,
        };
        serde_json::value::to_raw_value(&members).map(Self).map_err(|fault| Error::Request(fault.to_string()))
    }
}

/// What is sent.
#[derive(Debug, Serialize)]
pub(crate) struct BatchInput<'a> {
    pub operations: &'a [BatchOperation],
}

/// What became of the operations, in their order.
#[derive(Clone, Debug, Deserialize)]
pub struct BatchResults {
    /// One for each.
    pub results: Vec<BatchResult>,
}

/// What one operation would have been answered alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResult {
    /// The HTTP status.
    pub status: u16,
    /// Whether this is the answer of an earlier operation with the same key.
    #[serde(default)]
    pub replayed: bool,
    /// Whole seconds to wait before it is tried again.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// The timer, if it succeeded.
    #[serde(default)]
    pub timer: Option<Box<Timer>>,
    /// What went wrong, if it did not.
    #[serde(default)]
    pub problem: Option<Box<Problem>>,
}

impl BatchResult {
    /// Whether the operation may succeed when the same batch is sent again with the same `Idempotency-Key`: the cluster
    /// could not do it, or it is not known whether it did.
    #[must_use]
    pub const fn is_worth_a_repeat(&self) -> bool {
        matches!(self.status, 429 | 503 | 504)
    }
}
