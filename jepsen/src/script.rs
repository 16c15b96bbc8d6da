//! What receivers answer: decided by the seed, the timer and the attempt, and by the mood that a fault puts a receiver
//! in. Deliberately not here: sockets.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use checkers::history::Reply;

use crate::random::Random;

/// Receivers of a run, each on a port of its own.
pub const RECEIVERS: usize = 4;
/// The first receiver's port.
pub const PORT: u16 = 9001;

/// What a receiver does with a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status, and `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// Nothing.
    Hang,
    /// The connection is reset.
    Reset,
    /// 200, but so slowly that the sender gives up first.
    Drip,
    /// 302 to a place that nobody must come to.
    Redirect,
}

/// How a receiver is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    Well = 0,
    Errors = 1,
    Hangs = 2,
    Resets = 3,
    Drips = 4,
    Redirects = 5,
}

/// The moods of all receivers, and how many answers each fault has spoilt.
#[derive(Debug, Default)]
pub struct Moods {
    now: [AtomicU8; RECEIVERS],
    spoilt: [AtomicU64; RECEIVERS],
}

impl Mood {
    const ALL: [Self; 6] =
        [Self::Well, Self::Errors, Self::Hangs, Self::Resets, Self::Drips, Self::Redirects];
}

impl Answer {
    /// As the history has it. A body that comes too late is no answer for the sender.
    pub const fn reply(self) -> Reply {
        match self {
            Self::Status(status, retry_after_s) => Reply::Status { status, retry_after_s },
            Self::Hang | Self::Drip => Reply::Hang,
            Self::Reset => Reply::Reset,
            Self::Redirect => Reply::Status { status: 302, retry_after_s: None },
        }
    }
}

impl Moods {
    /// Puts a receiver into a mood.
    pub fn set(&self, receiver: usize, mood: Mood) {
        if let Some(now) = self.now.get(receiver) {
            now.store(mood as u8, Ordering::Relaxed);
        }
    }

    fn get(&self, receiver: usize) -> Mood {
        let number = self.now.get(receiver).map_or(0, |now| now.load(Ordering::Relaxed));
        Mood::ALL.get(usize::from(number)).copied().unwrap_or(Mood::Well)
    }

    /// Answers that a mood has decided at a receiver so far.
    pub fn spoilt(&self, receiver: usize) -> u64 {
        self.spoilt.get(receiver).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// What `receiver` answers.
    pub fn answer(&self, seed: u64, receiver: usize, timer: &str, attempt: u32) -> Answer {
        let mood = self.get(receiver);
        if mood != Mood::Well
            && let Some(spoilt) = self.spoilt.get(receiver)
        {
            spoilt.fetch_add(1, Ordering::Relaxed);
        }
        match mood {
            Mood::Well => planned(seed, timer, attempt),
            Mood::Errors if attempt.is_multiple_of(3) => Answer::Status(503, Some(1)),
            Mood::Errors => Answer::Status(500, None),
            Mood::Hangs => Answer::Hang,
            Mood::Resets => Answer::Reset,
            Mood::Drips => Answer::Drip,
            Mood::Redirects => Answer::Redirect,
        }
    }
}

/// The receiver of a timer.
pub fn receiver_of(timer: &str) -> usize {
    (Random::named(0, timer).next() % RECEIVERS as u64) as usize
}

/// Most timers are taken at once; some only after failures, some never.
fn planned(seed: u64, timer: &str, attempt: u32) -> Answer {
    let mut random = Random::named(seed, timer);
    let kind = random.below(100);
    let failures = u32::try_from(random.between(1, 3)).unwrap_or(1);
    let fails = attempt <= failures;
    match kind {
        0..=1 => Answer::Status(410, None),
        2..=3 => Answer::Status(500, None),
        4..=9 if fails => Answer::Status(500, None),
        10..=11 if attempt == 1 => Answer::Status(503, Some(1)),
        12..=13 if attempt == 1 => Answer::Reset,
        14..=15 if attempt == 1 => Answer::Hang,
        16 if attempt == 1 => Answer::Drip,
        17 if attempt == 1 => Answer::Redirect,
        _ => Answer::Status(200, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_follow_the_seed_and_most_are_taken_at_once() {
        let moods = Moods::default();
        let all = |seed| {
            let timers = (0..1000).map(move |n| format!("t-{n}"));
            timers.map(|timer| moods.answer(seed, receiver_of(&timer), &timer, 1)).collect::<Vec<_>>()
        };
        let first = all(1);
        assert_eq!(first, all(1));
        assert_ne!(first, all(2));
        let taken = first.iter().filter(|answer| **answer == Answer::Status(200, None)).count();
        assert!((700..950).contains(&taken), "{taken}");
    }

    #[test]
    fn a_mood_decides_every_answer_and_is_counted() {
        let moods = Moods::default();
        moods.set(2, Mood::Hangs);
        assert_eq!(moods.answer(1, 2, "t", 1), Answer::Hang);
        moods.set(2, Mood::Resets);
        assert_eq!(moods.answer(1, 2, "t", 2), Answer::Reset);
        assert_eq!((moods.spoilt(2), moods.spoilt(1)), (2, 0));
        moods.set(2, Mood::Well);
        moods.answer(1, 2, "t", 1);
        assert_eq!(moods.spoilt(2), 2);
    }

    #[test]
    fn a_slow_body_is_no_answer_for_the_history() {
        assert_eq!(Answer::Drip.reply(), Reply::Hang);
        assert!(!Answer::Redirect.reply().is_success());
    }
}
