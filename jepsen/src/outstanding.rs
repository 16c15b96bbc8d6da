//! Which acknowledged timers have yet to be delivered, so that a run need not wait longer than it must. Deliberately
//! not here: any judgement; a timer that is missed here only makes the run wait for its bound.

use std::collections::HashMap;

use checkers::history::{Answer, Delivery};
use parking_lot::Mutex;

use crate::bounds::retry_policy;

/// Timers by name.
#[derive(Debug, Default)]
pub struct Outstanding {
    timers: Mutex<Timers>,
}

#[derive(Debug, Default)]
struct Timers {
    /// Generation and due time in wall-clock ms of what is in force and not delivered.
    waiting: HashMap<String, (u64, u64)>,
    /// The newest generation that is over. It may be before its client has its answer.
    over: HashMap<String, u64>,
}

impl Outstanding {
    /// A client was told of this definition.
    pub fn acknowledged(&self, timer: &str, answer: &Answer) {
        let mut timers = self.timers.lock();
        let over = timers.over.get(timer).copied().unwrap_or(0);
        let known = timers.waiting.get(timer).map_or(0, |(generation, _)| *generation);
        if answer.generation < known {
            return;
        }
        if answer.state.is_pending() && answer.generation > over {
            timers.waiting.insert(timer.to_owned(), (answer.generation, answer.execute_at_ms));
        } else {
            timers.waiting.remove(timer);
        }
    }

    /// A receiver has seen an attempt.
    pub fn delivered(&self, delivery: &Delivery) {
        let policy = retry_policy();
        let ended = delivery.reply.is_success()
            || delivery.attempt >= policy.max_attempts
            || delivery.reply.status().is_some_and(|status| policy.is_dead_on(status));
        if !ended {
            return;
        }
        let mut timers = self.timers.lock();
        let over = timers.over.entry(delivery.timer.clone()).or_default();
        *over = delivery.generation.max(*over);
        let known = timers.waiting.get(&delivery.timer).map(|(generation, _)| *generation);
        if known == Some(delivery.generation) {
            timers.waiting.remove(&delivery.timer);
        }
    }

    /// How many are due before `wall_ms`.
    pub fn due_before(&self, wall_ms: u64) -> usize {
        self.timers.lock().waiting.values().filter(|(_, due_ms)| *due_ms < wall_ms).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkers::history::{InFlight, Reply, State};

    fn answer(generation: u64, due: u64, state: State) -> Answer {
        Answer {
            status: 200,
            generation,
            version: generation,
            state,
            execute_at_ms: due,
            payload: None,
            label: 0,
            attempts: 0,
            in_flight: InFlight::No,
            in_flight_until_ms: None,
            replayed: false,
        }
    }

    fn delivery(generation: u64, attempt: u32, status: u16) -> Delivery {
        Delivery {
            at_ns: 0,
            received_ms: 0,
            receiver: 0,
            node: None,
            timer: "t".into(),
            generation,
            attempt,
            token: 1,
            scheduled_at_ms: 0,
            reply: Reply::Status { status, retry_after_s: None },
            answered_ns: None,
        }
    }

    #[test]
    fn a_timer_is_outstanding_until_its_generation_is_taken() {
        let outstanding = Outstanding::default();
        outstanding.acknowledged("t", &answer(10, 500, State::Scheduled));
        outstanding.acknowledged("t", &answer(20, 700, State::Scheduled));
        outstanding.delivered(&delivery(10, 1, 200));
        outstanding.delivered(&delivery(20, 1, 500));
        assert_eq!((outstanding.due_before(700), outstanding.due_before(701)), (0, 1));
        outstanding.delivered(&delivery(20, 2, 200));
        assert_eq!(outstanding.due_before(u64::MAX), 0);
    }

    #[test]
    fn a_delivery_may_come_before_the_answer_to_the_client() {
        let outstanding = Outstanding::default();
        outstanding.delivered(&delivery(10, 1, 200));
        outstanding.acknowledged("t", &answer(10, 500, State::Scheduled));
        assert_eq!(outstanding.due_before(u64::MAX), 0);
        outstanding.acknowledged("t", &answer(20, 500, State::Scheduled));
        assert_eq!(outstanding.due_before(u64::MAX), 1);
    }

    #[test]
    fn a_cancelled_timer_and_one_without_attempts_left_are_not() {
        let outstanding = Outstanding::default();
        outstanding.acknowledged("t", &answer(10, 500, State::Scheduled));
        outstanding.acknowledged("t", &answer(10, 500, State::Cancelled));
        assert_eq!(outstanding.due_before(u64::MAX), 0);
        outstanding.acknowledged("t", &answer(30, 500, State::Scheduled));
        outstanding.delivered(&delivery(30, 6, 500));
        assert_eq!(outstanding.due_before(u64::MAX), 0);
    }
}
