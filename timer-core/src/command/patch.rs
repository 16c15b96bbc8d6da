//! Change some of a pending timer.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::{Fence, Precondition};
use crate::definition::{BodyMode, LatePolicy, Method, Payload, RetryPolicy};
use crate::ids::TimerKey;
use crate::time::{Millis, Span};

/// PATCH: what is `None` stays. The node that took the request has merged what JSON merge patch merges
/// inside a field only where the result does not depend on the timer; maps come as changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The timer.
    pub key: TimerKey,
    /// A new time.
    pub execute_at: Option<Millis>,
    /// A new URL.
    pub url: Option<String>,
    /// A new method.
    pub method: Option<Method>,
    /// Header by header: set, or removed (`None`). Names in lower case.
    pub headers: Vec<(String, Option<String>)>,
    /// A new time-out.
    pub timeout: Option<Span>,
    /// A new kind of body.
    pub body: Option<BodyMode>,
    /// A new payload, whole.
    pub payload: Option<Payload>,
    /// A new retry policy: each field that is given.
    pub retry: RetryPatch,
    /// A new late policy, whole.
    pub late: Option<LatePolicy>,
    /// Label by label: set, or removed (`None`).
    pub labels: BTreeMap<String, Option<String>>,
    /// What must hold.
    pub precondition: Precondition,
    /// What was on its way.
    pub fence: Fence,
}

/// Fields of a retry policy that change; see [`RetryPolicy`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryPatch {
    /// See [`RetryPolicy::attempts_max`].
    pub attempts_max: Option<u32>,
    /// See [`RetryPolicy::duration_max`].
    pub duration_max: Option<Span>,
    /// See [`RetryPolicy::initial_interval`].
    pub initial_interval: Option<Span>,
    /// See [`RetryPolicy::multiplier_milli`].
    pub multiplier_milli: Option<u32>,
    /// See [`RetryPolicy::interval_max`].
    pub interval_max: Option<Span>,
    /// See [`RetryPolicy::jitter_milli`].
    pub jitter_milli: Option<u32>,
    /// See [`RetryPolicy::dead_on`].
    pub dead_on: Option<crate::definition::DeadOn>,
}

impl RetryPatch {
    /// `policy` with what is given here.
    #[must_use]
    pub fn onto(&self, policy: &RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            attempts_max: self.attempts_max.unwrap_or(policy.attempts_max),
            duration_max: self.duration_max.unwrap_or(policy.duration_max),
            initial_interval: self.initial_interval.unwrap_or(policy.initial_interval),
            multiplier_milli: self.multiplier_milli.unwrap_or(policy.multiplier_milli),
            interval_max: self.interval_max.unwrap_or(policy.interval_max),
            jitter_milli: self.jitter_milli.unwrap_or(policy.jitter_milli),
            dead_on: self.dead_on.clone().unwrap_or_else(|| policy.dead_on.clone()),
        }
    }
}
