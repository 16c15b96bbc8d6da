//! Give a dead timer a new life: same generation, attempt numbers go on, the policy starts anew.

use alloc::boxed::Box;

use crate::command::{Context, Precondition, Refusal, Reply, answers, group};
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::timer::{Effect, State};

/// Redrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The timer.
    pub key: TimerKey,
    /// What must hold.
    pub precondition: Precondition,
}

/// Makes a dead timer due now. What it had tried is forgiven: "not yet" answers are counted as attempts from
/// now on, so that attempt numbers go on while the policy and its bound on such answers begin anew.
pub(crate) fn apply<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    context: &Context<'_>,
    redrive: &Redrive,
) -> Result<Reply, T::Error> {
    let record = overlay.timer(&redrive.key)?.cloned();
    if let Some(reply) = answers::earlier(&overlay.state, record.as_ref(), context) {
        return Ok(reply);
    }
    let Some(mut timer) = record else {
        return Ok(Reply::Refused(Refusal::NotFound));
    };
    if let Some(refusal) = redrive.precondition.fault(Some(&timer), Some(&timer)) {
        return Ok(Reply::Refused(refusal));
    }
    match timer.state {
        State::Dead => {}
        State::Scheduled | State::Retrying => {
            return Ok(Reply::Refused(Refusal::NotFinished(Box::new(timer))));
        }
        State::Delivered | State::Skipped | State::Cancelled => {
            return Ok(Reply::Refused(Refusal::Finished(Box::new(timer))));
        }
    }
    if let Some(refusal) = group::fault(overlay, &redrive.key, false, None, context.now)? {
        return Ok(Reply::Refused(refusal));
    }
    if group::is_paused(overlay, &redrive.key)? {
        return Ok(Reply::Refused(Refusal::GroupPaused));
    }
    timer.attempts += timer.deferrals;
    timer.deferrals = 0;
    timer.attempts_forgiven = timer.attempts;
    timer.first_attempt_at = None;
    timer.state = State::Retrying;
    timer.wait(context.now, overlay.state.cursor, context.now);
    timer.version = context.sequence;
    timer.updated_at = context.now;
    answers::keep(&mut timer, context, Effect::Redriven);
    overlay.put(timer.clone());
    let in_flight = timer.in_flight;
    Ok(Reply::done(Effect::Redriven, timer, in_flight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::AttemptResult;
    use crate::definition::RetryPolicy;
    use crate::limits::DEFERRALS_MAX;
    use crate::testing::{START, Shard, done, failed, put, redrive, refused};
    use crate::time::Millis;
    use crate::timer::ErrorKind;

    fn with_dead(attempts_max: u32) -> Shard {
        let mut shard = Shard::new();
        let mut put = put("a", START);
        put.definition.retry = RetryPolicy { attempts_max, ..put.definition.retry };
        shard.run(START, put);
        for n in 0..u64::from(attempts_max) {
            shard.outcome(START + n, "a", failed(START + n));
        }
        assert_eq!(shard.timer("a").state, State::Dead);
        shard
    }

    #[test]
    fn attempt_numbers_go_on_and_the_policy_begins_anew() {
        let mut shard = with_dead(2);
        let generation = shard.timer("a").generation;
        assert_eq!(done(shard.run(START + 100, redrive("a"))).effect, Effect::Redriven);
        let timer = shard.timer("a");
        assert_eq!((timer.state, timer.generation), (State::Retrying, generation));
        assert_eq!((timer.position, timer.purge_at), (Some(Millis(START + 100)), None));
        assert_eq!(timer.next_attempt(), 3);
        shard.outcome(START + 101, "a", failed(START + 101));
        assert_eq!(shard.timer("a").position, Some(Millis(START + 1101)), "the first interval again");
        shard.outcome(START + 2000, "a", failed(START + 2000));
        assert_eq!((shard.timer("a").state, shard.timer("a").attempts), (State::Dead, 4));
    }

    #[test]
    fn a_timer_that_died_of_deferrals_may_be_deferred_again() {
        let mut shard = Shard::new();
        shard.run(START, put("a", START));
        for n in 0..=u64::from(DEFERRALS_MAX) {
            shard.outcome(START + n, "a", AttemptResult::Deferred { until: Millis(START) });
        }
        let timer = shard.timer("a");
        assert_eq!(timer.state, State::Dead);
        assert_eq!(timer.last_error.as_ref().map(|error| error.kind), Some(ErrorKind::TooManyDeferrals));
        let next = timer.next_attempt();
        shard.run(START + 5000, redrive("a"));
        assert_eq!(shard.timer("a").next_attempt(), next);
        shard.outcome(START + 5001, "a", AttemptResult::Deferred { until: Millis(START) });
        assert_eq!(shard.timer("a").state, State::Retrying);
    }

    #[test]
    fn only_a_dead_timer_is_redriven() {
        let mut shard = Shard::new();
        assert_eq!(refused(shard.run(START, redrive("a"))), Refusal::NotFound);
        shard.run(START, put("a", START));
        assert!(matches!(refused(shard.run(START, redrive("a"))), Refusal::NotFinished(_)));
        shard.outcome(START + 1, "a", AttemptResult::Delivered);
        assert!(matches!(refused(shard.run(START, redrive("a"))), Refusal::Finished(_)));
    }
}
