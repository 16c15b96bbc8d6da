//! Sends callbacks that nobody's timer asks for, so that a user sees what comes back before there is a timer.

use std::sync::Arc;

use timer_core::definition::Definition;
use timer_core::ids::{Sequence, TimerKey};
use timer_core::time::{Millis, Span};
use timer_core::timer::{InFlight, State, Timer};
use tokio::time::{Duration, Instant};

use super::node::Running;
use crate::backend::{BackendError, RequestContext, TestedCallback};
use crate::delivery::{Attempt, Report, Withheld};
/// Callbacks that a node tests at the same time.
pub(super) const CALLBACK_TESTS_AT_ONCE_MAX: usize = 16;
/// What is left of a request's time for everything but the callback itself.
const REST: Duration = Duration::from_secs(2);
/// What a client is told to wait when as many tests as there may be are under way.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Running {
    /// Sends one attempt of a timer `key` that there is not.
    ///
    /// # Errors
    /// See [`BackendError`].
    pub(super) async fn test_callback(
        &self,
        context: RequestContext,
        key: TimerKey,
        definition: Definition,
    ) -> Result<TestedCallback, BackendError> {
        let deadline = Instant::now() + context.deadline;
        let group = self.group(&key.group, deadline).await?.ok_or(BackendError::GroupNotFound)?;
        let Ok(_place) = self.callback_tests.try_acquire() else {
            let reason = "as many callbacks are being tested as this node does at a time".to_owned();
            return Err(BackendError::Overloaded { reason, retry_after: RETRY_AFTER });
        };
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(REST);
        let left = Span(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        let timer = sample(key, definition, left, context.traceparent, self.context.clock.now());
        let attempt = Attempt {
            timer,
            attempt: 1,
            fencing_token: 0,
            late_ms: 0,
            cluster_id: self.context.cluster_id.clone(),
            manual: true,
            secrets: group.secrets.iter().map(|one| one.secret).collect(),
        };
        let sent = self.context.sender.send(&attempt, Arc::new(|| true)).await;
        let Report { result, answer, started_at, finished_at } =
            sent.map_err(|Withheld| BackendError::Internal("a test was withheld".to_owned()))?;
        Ok(TestedCallback { result, answer, started_at, finished_at })
    }
}

/// A timer that is due at `now`, whose callback takes no longer than `timeout_max`.
fn sample(
    key: TimerKey,
    mut definition: Definition,
    timeout_max: Span,
    traceparent: Option<String>,
    now: Millis,
) -> Timer {
    definition.callback.timeout = definition.callback.timeout.min(timeout_max);
    Timer {
        key,
        generation: Sequence(0),
        version: Sequence(0),
        state: State::Scheduled,
        next_attempt_at: Some(now),
        position: Some(now),
        parked_at: None,
        definition,
        fingerprint: None,
        attempts: 0,
        attempts_forgiven: 0,
        first_attempt_at: None,
        deferrals: 0,
        attempts_recorded: 0,
        manual: true,
        created_at: now,
        updated_at: now,
        executed_at: None,
        last_error: None,
        in_flight: InFlight::No,
        answers: Vec::new(),
        purge_at: None,
        traceparent,
    }
}
