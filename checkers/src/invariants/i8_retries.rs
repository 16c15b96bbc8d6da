//! I8: retries keep to the policy: not before the wait is over, not more than `maxAttempts`, not planned for later
//! than `maxDuration` after the first; then dead, and not earlier.
//!
//! What the sender saw of an answer can't be known from the receiver's side alone: the connection may have broken
//! before, or the leader may have been replaced. So there are two measures. Always: the next attempt comes no
//! sooner than the shortest wait after the first reception of the one before, since an outcome can't be older than
//! its request. In calm, with one delivery and an answer: counted from the answer, with `Retry-After`, and no
//! attempt at all follows an answer that ends the timer. A fault of clocks allows twice the offset, the difference
//! of two leaders' clocks. Attempts that nobody received are not missed: the waits are added up. What is received of
//! an older session after the next has begun is a zombie, and no wait counts from it: the new leader may have made
//! that attempt before, and nobody received it. Deliberately not here: generations whose policy is not known, and
//! retries that never come (I2).

use super::i6_attempts_once::index_of;
use crate::history::{RetryPolicy, State};
use crate::index::{Generation, History, Operation, Received, TimerHistory};
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// Retries that break their policy.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut violations = Vec::new();
    for timer in &history.timers {
        for (number, generation) in &timer.generations {
            let Some(policy) = &generation.policy else { continue };
            let of_generation = generation.deliveries.iter();
            let mut received: Vec<&Received> =
                of_generation.filter_map(|position| timer.deliveries.get(*position)).collect();
            received.sort_by_key(|received| (received.delivery.attempt, received.delivery.at_ns));
            let case = Case { history, timer, number: *number, generation, policy, received };
            case.bounds(&mut violations);
            case.waits(&mut violations);
            case.ends(&mut violations);
        }
    }
    Findings { violations, doubts: Vec::new() }
}

struct Case<'a> {
    history: &'a History,
    timer: &'a TimerHistory,
    number: u64,
    generation: &'a Generation,
    policy: &'a RetryPolicy,
    /// By attempt, then by time.
    received: Vec<&'a Received>,
}

impl Case<'_> {
    /// The number of attempts and the time for which they are planned.
    fn bounds(&self, violations: &mut Vec<Violation>) {
        let first = self.received.first().filter(|received| received.delivery.attempt == 1);
        for received in &self.received {
            let delivery = &received.delivery;
            if delivery.attempt > self.policy.max_attempts {
                let sentence =
                    format!("attempt {} of at most {}", delivery.attempt, self.policy.max_attempts);
                violations.push(self.violation(Breach::TooManyAttempts, [received.line], &sentence));
            }
            let Some(first) = first else { continue };
            let last_ms = first.delivery.received_ms.saturating_add(self.policy.max_duration_ms);
            let planned_ms = delivery.scheduled_at_ms;
            if delivery.attempt > 1 && planned_ms > last_ms.saturating_add(self.slack_ms(received)) {
                let late_ms = planned_ms - last_ms;
                let sentence = format!(
                    "attempt {} was planned {late_ms} ms after the longest duration",
                    delivery.attempt
                );
                let lines = [first.line, received.line];
                violations.push(self.violation(Breach::RetriedTooLong, lines, &sentence));
            }
        }
    }

    /// The waits between attempts that were received.
    fn waits(&self, violations: &mut Vec<Violation>) {
        let mut before: Option<&Received> = None;
        for (place, received) in self.received.iter().enumerate() {
            let Some(previous) = before else {
                before = Some(received);
                continue;
            };
            let (a, b) = (&previous.delivery, &received.delivery);
            if a.attempt == b.attempt {
                // The earliest of one attempt counts.
                continue;
            }
            before = Some(received);
            if self.is_zombie(previous, received) {
                continue;
            }
            let calm = a.attempt + 1 == b.attempt && self.was_heard(previous, place);
            if calm && self.ends_it(previous) {
                let sentence = format!(
                    "attempt {} followed an answer that ends a timer, and no fault can have lost that answer",
                    b.attempt
                );
                let lines = [previous.line, received.line];
                violations.push(self.violation(Breach::RetriedAfterEnd, lines, &sentence));
            }
            let earliest_ms = self.earliest_ms(previous, b.attempt, calm);
            if b.received_ms.saturating_add(self.slack_ms(received)) < earliest_ms {
                let early_ms = earliest_ms - b.received_ms;
                let sentence = format!("attempt {} came {early_ms} ms before its wait was over", b.attempt);
                let lines = [previous.line, received.line];
                violations.push(self.violation(Breach::RetriedTooSoon, lines, &sentence));
            }
        }
    }

    /// Whether `previous` was received after the session of `next`, or one before that, had begun without it.
    fn is_zombie(&self, previous: &Received, next: &Received) -> bool {
        let Some(shard) = self.timer.shard else { return false };
        let (above, up_to) = (index_of(previous.delivery.token), index_of(next.delivery.token));
        let mut between = self.history.timeline.sessions_between(shard, above, up_to);
        between.any(|session| session.at_ns <= previous.delivery.at_ns)
    }

    /// Whether the sender certainly got the answer: one delivery of the attempt, answered, and no fault while the
    /// outcome was on its way. `next` is the place of the next attempt's first delivery.
    fn was_heard(&self, received: &Received, next: usize) -> bool {
        let delivery = &received.delivery;
        let alone = next == 1
            || self.received.get(next - 2).is_some_and(|other| other.delivery.attempt != delivery.attempt);
        let timeout_ms = self.generation.timeout_ms.unwrap_or(self.history.run.attempt_timeout_ms);
        let timeout_ns = timeout_ms.saturating_mul(1_000_000);
        // Half the time-out for the way to the receiver and back.
        let in_time = delivery.answered_ns.is_some_and(|answered| answered - delivery.at_ns < timeout_ns / 2);
        let until_ns = delivery.at_ns.saturating_add(timeout_ns);
        alone && in_time && self.history.timeline.is_calm(delivery.at_ns.saturating_sub(timeout_ns), until_ns)
    }

    /// Whether an answer, if it was heard, ends the timer.
    fn ends_it(&self, received: &Received) -> bool {
        let reply = received.delivery.reply;
        reply.is_success() || reply.status().is_some_and(|status| self.policy.is_dead_on(status))
    }

    /// The earliest millisecond at which attempt `next` may be received after `previous`.
    fn earliest_ms(&self, previous: &Received, next: u32, heard: bool) -> u64 {
        let a = &previous.delivery;
        let waits_ms = (a.attempt..next).map(|failures| self.policy.wait_min_ms(failures));
        let wait_ms = waits_ms.fold(0, u64::saturating_add);
        let Some(answered_ns) = a.answered_ns.filter(|_| heard) else {
            let slack_ms = self.history.run.transit_slack_ms;
            return a.received_ms.saturating_add(wait_ms).saturating_sub(slack_ms);
        };
        let answered_ms = a.received_ms.saturating_add((answered_ns - a.at_ns) / 1_000_000);
        let first_ms = self.received.first().map_or(a.received_ms, |first| first.delivery.received_ms);
        // What is asked beyond the longest duration is not granted; the sender counted it from the start of the
        // first attempt, some way before its reception.
        let left_ms = first_ms.saturating_add(self.policy.max_duration_ms).saturating_sub(answered_ms);
        let left_ms = left_ms.saturating_sub(self.generation.timeout_ms.unwrap_or(0));
        // A date has no fractions of a second, so that as much may be missing.
        let asked_ms = a.reply.retry_after_ms().unwrap_or(0).saturating_sub(1000);
        let asked_ms = asked_ms.min(self.policy.max_interval_ms).min(left_ms);
        answered_ms.saturating_add(wait_ms.max(asked_ms))
    }

    /// What reads show at the end of the attempts.
    fn ends(&self, violations: &mut Vec<Violation>) {
        let reads = self.generation.shown_by.iter().filter_map(|place| self.timer.operations.get(*place));
        let found: Vec<_> = reads.filter_map(|read| Some((self.end(read)?, read))).collect();
        // The same wrong end is read again and again: once is enough.
        let mut told: Vec<Breach> = Vec::new();
        for ((breach, sentence), read) in found {
            if !told.contains(&breach) {
                told.push(breach);
                let lines =
                    read.lines().into_iter().chain(self.received.iter().map(|received| received.line));
                violations.push(self.violation(breach, lines, &sentence));
            }
        }
    }

    fn end(&self, read: &Operation) -> Option<(Breach, String)> {
        let answer = read.shown_now().filter(|answer| answer.generation == self.number)?;
        let most = self.policy.max_attempts;
        if answer.attempts > most {
            let sentence = format!("the service counts {} attempts of at most {most}", answer.attempts);
            return Some((Breach::TooManyAttempts, sentence));
        }
        match answer.state {
            State::Scheduled | State::Retrying if answer.attempts >= most => {
                let sentence = format!("still pending after {} of {most} attempts", answer.attempts);
                Some((Breach::NotDead, sentence))
            }
            State::Dead if answer.attempts < most && !self.may_be_dead(answer.attempts) => {
                let sentence = format!("dead after {} of {most} attempts without a reason", answer.attempts);
                Some((Breach::DeadTooEarly, sentence))
            }
            State::Delivered if !self.received.is_empty() && !self.agreed() => {
                let sentence = "the service says delivered, and no receiver had answered 2xx".to_owned();
                Some((Breach::DeliveredWithoutConsent, sentence))
            }
            State::Scheduled
            | State::Retrying
            | State::Dead
            | State::Delivered
            | State::Skipped
            | State::Cancelled => None,
        }
    }

    /// Whether a receiver took it.
    fn agreed(&self) -> bool {
        self.received.iter().any(|received| received.delivery.reply.is_success())
    }

    /// Whether it may be dead after `attempts`: an answer ended it, or the next would come after the longest
    /// duration. The first attempt, if it was not received, came no earlier than the timer's time.
    fn may_be_dead(&self, attempts: u32) -> bool {
        let final_answer = |received: &&Received| {
            received.delivery.reply.status().is_some_and(|status| self.policy.is_dead_on(status))
        };
        if self.received.iter().any(final_answer) {
            return true;
        }
        let last = self.received.iter().rfind(|received| received.delivery.attempt <= attempts);
        let (Some(first), Some(last)) = (self.received.first(), last) else { return true };
        if first.delivery.attempt > 1 || last.delivery.attempt < attempts {
            // What was not received may have taken any time.
            return true;
        }
        let timeout_ms = self.generation.timeout_ms.unwrap_or(self.history.run.attempt_timeout_ms);
        let asked_ms = last.delivery.reply.retry_after_ms().unwrap_or(0).min(self.policy.max_interval_ms);
        let wait_ms = self.policy.wait_max_ms(attempts).max(asked_ms);
        let latest_ms = last.delivery.received_ms.saturating_add(timeout_ms).saturating_add(wait_ms);
        let before_ms = timeout_ms.saturating_add(self.slack_ms(last));
        latest_ms.saturating_add(before_ms)
            >= first.delivery.received_ms.saturating_add(self.policy.max_duration_ms)
    }

    /// By how much two leaders' clocks may have differed.
    fn slack_ms(&self, received: &Received) -> u64 {
        self.history.clock_slack_ms(received.delivery.at_ns).saturating_mul(2)
    }

    fn violation(&self, breach: Breach, lines: impl IntoIterator<Item = u64>, sentence: &str) -> Violation {
        let sentence = format!("generation {}: {sentence}", self.number);
        Violation::new((Invariant::I8, breach), Some(&self.timer.name), lines, sentence)
    }
}
