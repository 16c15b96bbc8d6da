//! Outcomes, and the attempts that the history makes of them.

use timer_core::attempt::{Answer, Attempt, Details};
use timer_core::command::{AttemptResult, Outcome};
use timer_core::definition::Payload;
use timer_core::ids::{Sequence, TimerKey};
use timer_core::time::Millis;

use crate::definition::share;
use crate::error::{DecodeError, narrow, required};
use crate::numbers::{Numbered, known};
use crate::wire::store as wire;
use crate::wire::store::outcome::Result as Kind;

impl From<&Outcome> for wire::Outcome {
    fn from(outcome: &Outcome) -> Self {
        Self {
            group: outcome.key.group.clone(),
            id: outcome.key.id.clone(),
            generation: outcome.generation.0,
            attempt: outcome.attempt,
            session: outcome.session,
            started_at_ms: outcome.started_at.0,
            finished_at_ms: outcome.finished_at.0,
            result: Some((&outcome.result).into()),
            details: outcome.details.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::Outcome> for Outcome {
    type Error = DecodeError;

    fn try_from(wire: wire::Outcome) -> Result<Self, DecodeError> {
        Ok(Self {
            key: TimerKey::new(wire.group, wire.id),
            generation: Sequence(wire.generation),
            attempt: wire.attempt,
            session: wire.session,
            started_at: Millis(wire.started_at_ms),
            finished_at: Millis(wire.finished_at_ms),
            result: required(wire.result, "Outcome", "result")?.try_into()?,
            details: wire.details.map(Details::try_from).transpose()?,
        })
    }
}

impl From<&AttemptResult> for Kind {
    fn from(result: &AttemptResult) -> Self {
        match result {
            AttemptResult::Delivered => Self::Delivered(true),
            AttemptResult::DeliveredNext { execute_at, payload } => {
                let payload = payload.as_ref().map(Into::into);
                Self::DeliveredNext(wire::DeliveredNext { execute_at_ms: execute_at.0, payload })
            }
            AttemptResult::Failed { error, retry_after, permanent } => Self::Failed(wire::Failed {
                error: Some(error.into()),
                retry_after_ms: retry_after.map(|at| at.0),
                permanent: *permanent,
            }),
            AttemptResult::Deferred { until } => Self::DeferredUntilMs(until.0),
            AttemptResult::Skipped => Self::Skipped(true),
        }
    }
}

impl TryFrom<Kind> for AttemptResult {
    type Error = DecodeError;

    fn try_from(wire: Kind) -> Result<Self, DecodeError> {
        Ok(match wire {
            Kind::Delivered(_) => Self::Delivered,
            Kind::DeliveredNext(next) => Self::DeliveredNext {
                execute_at: Millis(next.execute_at_ms),
                payload: next.payload.map(Payload::try_from).transpose()?,
            },
            Kind::Failed(failed) => Self::Failed {
                error: required(failed.error, "Failed", "error")?.try_into()?,
                retry_after: failed.retry_after_ms.map(Millis),
                permanent: failed.permanent,
            },
            Kind::DeferredUntilMs(until) => Self::Deferred { until: Millis(until) },
            Kind::Skipped(_) => Self::Skipped,
        })
    }
}

impl From<&Details> for wire::AttemptDetails {
    fn from(details: &Details) -> Self {
        Self {
            scheduled_at_ms: details.scheduled_at.0,
            trigger: details.trigger.number(),
            answer: details.answer.as_ref().map(|answer| wire::Answer {
                status: answer.status().into(),
                body: share(answer.body()),
                truncated: answer.is_truncated(),
            }),
        }
    }
}

impl TryFrom<wire::AttemptDetails> for Details {
    type Error = DecodeError;

    fn try_from(wire: wire::AttemptDetails) -> Result<Self, DecodeError> {
        let answer = |answer: wire::Answer| {
            let status = narrow(answer.status, "Answer", "status")?;
            Ok(Answer::new(status, &answer.body, answer.truncated))
        };
        Ok(Self {
            scheduled_at: Millis(wire.scheduled_at_ms),
            trigger: known(wire.trigger, "AttemptDetails", "trigger")?,
            answer: wire.answer.map(answer).transpose()?,
        })
    }
}

impl From<&Attempt> for wire::Attempt {
    fn from(attempt: &Attempt) -> Self {
        let outcome = wire::Outcome {
            group: String::new(),
            id: String::new(),
            generation: attempt.generation.0,
            attempt: attempt.number,
            session: attempt.session,
            started_at_ms: attempt.started_at.0,
            finished_at_ms: attempt.finished_at.0,
            result: Some((&attempt.result).into()),
            details: Some((&attempt.details).into()),
        };
        Self { recorded: attempt.recorded.0, history_only: !attempt.counted, outcome: Some(outcome) }
    }
}

impl TryFrom<wire::Attempt> for Attempt {
    type Error = DecodeError;

    fn try_from(wire: wire::Attempt) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "Attempt";
        let outcome = Outcome::try_from(required(wire.outcome, MESSAGE, "outcome")?)?;
        Ok(Self {
            recorded: Sequence(wire.recorded),
            generation: outcome.generation,
            number: outcome.attempt,
            session: outcome.session,
            counted: !wire.history_only,
            started_at: outcome.started_at,
            finished_at: outcome.finished_at,
            result: outcome.result,
            details: required(outcome.details, MESSAGE, "details")?,
        })
    }
}
