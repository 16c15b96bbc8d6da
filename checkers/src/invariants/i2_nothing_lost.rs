//! I2: every acknowledged generation that stays in force is delivered before it has been due for `bound` of
//! healthy time of its shard; a failed attempt is followed by the next within the same bound.
//!
//! Due is the later of `executeAt` and the acknowledgement; healthy time is what the harness's book of faults
//! says, less a grace time per span ([`crate::index::Timeline::healthy_ns`]). Sound because the obligation ends
//! with the first moment at which the generation may have gone out of force: the call of a delete or replace
//! that succeeded after it, or of one with unknown outcome, unless a later read still shows it. A generation
//! that ends pending within its bound is a doubt, not a loss. Deliberately not here: whether retries come too
//! soon (I8), and generations that nobody was told of.

use crate::history::{Action, State};
use crate::index::{Generation, History, Operation, Received, TimerHistory};
use crate::verdict::{Breach, Findings, Invariant, Violation};

/// What was lost, or came too late.
#[must_use]
pub fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    let mut undecided = 0_u64;
    for timer in &history.timers {
        let Some(shard) = timer.shard else { continue };
        for (number, generation) in &timer.generations {
            let case = Case { history, timer, shard, number: *number, generation };
            match case.judge() {
                Judgement::Kept => {}
                Judgement::Undecided => undecided += 1,
                Judgement::Broken(violation) => findings.violations.push(violation),
            }
        }
    }
    if undecided > 0 {
        let doubt =
            format!("I2: {undecided} timers were due, and the run ended before they had to be delivered");
        findings.doubts.push(doubt);
    }
    findings
}

enum Judgement {
    Kept,
    Undecided,
    Broken(Violation),
}

struct Case<'a> {
    history: &'a History,
    timer: &'a TimerHistory,
    shard: u16,
    number: u64,
    generation: &'a Generation,
}

impl Case<'_> {
    fn judge(&self) -> Judgement {
        let (Some(told_ns), Some(at_ms)) = (self.generation.acknowledged_ns, self.generation.execute_at_ms)
        else {
            return Judgement::Kept;
        };
        // Its attempts may have been made long before anybody was told of it.
        let at_ns = self.history.ns_of(at_ms);
        let due_ns = at_ns.max(told_ns);
        match self.deliveries().next() {
            Some(first) => self.delivered(due_ns, first),
            None => self.undelivered(at_ns, due_ns),
        }
    }

    fn deliveries(&self) -> impl Iterator<Item = &Received> {
        self.generation.deliveries.iter().filter_map(|position| self.timer.deliveries.get(*position))
    }

    fn reads(&self) -> impl Iterator<Item = &Operation> {
        self.generation.shown_by.iter().filter_map(|position| self.timer.operations.get(*position))
    }

    fn undelivered(&self, at_ns: u64, due_ns: u64) -> Judgement {
        let finished = self.reads().find(|operation| self.finished_unseen(operation, at_ns));
        if let Some(read) = finished {
            return Judgement::Broken(self.violation(
                Breach::FinishedUnseen,
                read.lines(),
                "the service says that it is finished and no receiver has ever seen it",
            ));
        }
        if self.has_ended() {
            return Judgement::Kept;
        }
        let until_ns = self.in_force_until();
        if self.healthy_ns(due_ns, until_ns) > self.bound_ns() {
            let sentence = "it was acknowledged and stayed in force, and was never delivered";
            return Judgement::Broken(self.violation(Breach::Lost, self.told_lines(), sentence));
        }
        if due_ns < until_ns && until_ns >= self.history.end_ns {
            return Judgement::Undecided;
        }
        Judgement::Kept
    }

    fn delivered(&self, due_ns: u64, first: &Received) -> Judgement {
        let by_ns = first.delivery.at_ns.min(self.in_force_until());
        let healthy_ns = self.healthy_ns(due_ns, by_ns);
        if healthy_ns > self.bound_ns() {
            let sentence = format!(
                "it was delivered only after it had been due for {} ms of healthy time",
                healthy_ns / 1_000_000
            );
            let lines = self.told_lines().into_iter().chain([first.line]).collect();
            return Judgement::Broken(self.violation(Breach::TooLate, lines, &sentence));
        }
        self.retried()
    }

    /// Whether the last attempt that was received, if it failed, was followed by another in time.
    fn retried(&self) -> Judgement {
        let (Some(policy), Some(timeout_ms)) = (&self.generation.policy, self.generation.timeout_ms) else {
            return Judgement::Kept;
        };
        let Some(last) = self.deliveries().max_by_key(|received| (received.delivery.attempt, received.line))
        else {
            return Judgement::Kept;
        };
        let delivery = &last.delivery;
        let taken = self.deliveries().any(|received| received.delivery.reply.is_success());
        let at_once_dead = delivery.reply.status().is_some_and(|status| policy.is_dead_on(status));
        if taken || at_once_dead || delivery.attempt >= policy.max_attempts || self.has_ended() {
            return Judgement::Kept;
        }
        let asked_ms = delivery.reply.retry_after_ms().unwrap_or(0).min(policy.max_interval_ms);
        let wait_ms = policy.wait_max_ms(delivery.attempt).max(asked_ms);
        let ended_ms = delivery.received_ms.saturating_add(timeout_ms);
        let first_ms =
            self.deliveries().next().map_or(delivery.received_ms, |first| first.delivery.received_ms);
        if ended_ms.saturating_add(wait_ms) >= first_ms.saturating_add(policy.max_duration_ms) {
            return Judgement::Kept;
        }
        let due_ns = self.history.ns_of(ended_ms.saturating_add(wait_ms));
        let until_ns = self.in_force_until();
        if self.healthy_ns(due_ns, until_ns) > self.bound_ns() {
            let sentence = format!("attempt {} failed, and no other attempt followed", delivery.attempt);
            return Judgement::Broken(self.violation(Breach::NeverRetried, vec![last.line], &sentence));
        }
        if due_ns < until_ns && until_ns >= self.history.end_ns {
            return Judgement::Undecided;
        }
        Judgement::Kept
    }

    /// Whether a read shows an end that takes a receiver to come to. Attempts count although nobody received them if
    /// they failed to connect, but not in calm.
    fn finished_unseen(&self, read: &Operation, at_ns: u64) -> bool {
        let answer = read.shown_now().filter(|answer| answer.generation == self.number);
        answer.is_some_and(|answer| match answer.state {
            State::Delivered | State::Skipped => true,
            State::Dead => answer.attempts == 0 || self.history.timeline.is_calm(at_ns, read.return_ns),
            State::Scheduled | State::Retrying | State::Cancelled => false,
        })
    }

    /// Whether a read shows that its attempts came to an end.
    fn has_ended(&self) -> bool {
        let ended = |state| matches!(state, State::Delivered | State::Dead | State::Skipped);
        self.reads().any(|operation| {
            operation
                .shown_now()
                .is_some_and(|answer| answer.generation == self.number && ended(answer.state))
        })
    }

    /// Until when it was certainly in force, in nanoseconds.
    fn in_force_until(&self) -> u64 {
        let ended = self.timer.operations.iter().filter(|operation| self.may_end(operation));
        let ends_ns = ended.map(|operation| operation.call_ns).min().unwrap_or(self.history.end_ns);
        let reads = self.reads().filter(|operation| {
            operation
                .shown_now()
                .is_some_and(|answer| answer.generation == self.number && answer.state != State::Cancelled)
        });
        let seen_ns = reads.map(|operation| operation.call_ns).max().unwrap_or(0);
        ends_ns.max(seen_ns)
    }

    /// Whether an operation takes the generation out of force, or may have.
    fn may_end(&self, operation: &Operation) -> bool {
        let replaces = match &operation.action {
            Action::Get => return false,
            // It can't, as long as the generation is in force.
            Action::Create { .. } if operation.is_unknown() => return false,
            Action::Create { .. } | Action::Put { .. } | Action::Patch { .. } => {
                operation.action.makes_definitions()
            }
            Action::Delete { .. } => true,
        };
        match operation.answer() {
            Some(answer) => {
                answer.generation > self.number
                    || (answer.generation == self.number && answer.state == State::Cancelled)
            }
            // If it asked for a version that is older than the generation, it did nothing to it.
            None => {
                replaces
                    && operation.is_unknown()
                    && operation.action.if_match().is_none_or(|version| version >= self.number)
            }
        }
    }

    fn healthy_ns(&self, from_ns: u64, to_ns: u64) -> u64 {
        self.history.timeline.healthy_ns(self.shard, from_ns, to_ns)
    }

    fn bound_ns(&self) -> u64 {
        self.history.run.liveness_bound_ms.saturating_mul(1_000_000)
    }

    fn told_lines(&self) -> Vec<u64> {
        self.reads().flat_map(Operation::lines).collect()
    }

    fn violation(&self, breach: Breach, lines: Vec<u64>, sentence: &str) -> Violation {
        let sentence = format!("generation {}: {sentence}", self.number);
        Violation::new((Invariant::I2, breach), Some(&self.timer.name), lines, sentence)
    }
}
