//! Leaders, their clocks, and the attempts that are truly on their way: what an answer about them must agree
//! with. Time here is true time; a leader's clock is ahead of it by up to 250 ms.

use timer_core::command::Fence;
use timer_core::ids::{Sequence, TimerKey};
use timer_core::limits::CLOCK_OFFSET_MAX;
use timer_core::shard_state::OpenAttempt;
use timer_core::time::Millis;

pub const TIMEOUT: u64 = 30_000;

#[derive(Clone, Debug)]
pub struct Attempt {
    pub key: TimerKey,
    pub generation: u64,
    pub number: u32,
    pub session: u64,
    /// By true time, and by the clock of the leader that sent it.
    end: u64,
    until: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Leader {
    pub skew: u64,
    /// None before its first.
    pub session: Option<u64>,
    pub handed_over: bool,
}

#[derive(Clone, Debug, Default)]
pub struct World {
    pub time: u64,
    pub leader: Leader,
    /// The newest session that is over.
    pub former: u64,
    /// Sessions whose leader vanished: nobody hears the outcomes of their attempts.
    vanished: Vec<u64>,
    /// What was handed over: the next leaders send none of it again until its time-out is over for sure.
    awaited: Vec<OpenAttempt>,
    attempts: Vec<Attempt>,
}

impl World {
    /// The leader's clock.
    pub fn clock(&self) -> u64 {
        self.time + self.leader.skew
    }

    pub fn lose(&mut self, skew: u64) {
        if let Some(session) = self.leader.session {
            self.former = session;
            if !self.leader.handed_over {
                self.vanished.push(session);
                // The next leader does not hear of it.
                self.awaited.clear();
            }
        }
        self.leader = Leader { skew, session: None, handed_over: false };
    }

    pub fn open(&mut self, session: u64) {
        // A leader that opens another without having handed over takes its own outcomes for lost.
        self.lose(self.leader.skew);
        self.leader.session = Some(session);
    }

    /// The leader sends an attempt, if it may.
    pub fn start(&mut self, key: TimerKey, generation: u64, number: u32, due: u64) {
        let Some(session) = self.leader.session.filter(|_| !self.leader.handed_over) else { return };
        let same = |a: &&Attempt| (a.generation, a.number, a.session) == (generation, number, session);
        let clock = Millis(self.clock());
        let awaited = self.awaited.iter().any(|open| {
            (open.generation.0, open.attempt) == (generation, number)
                && open.key == key
                && open.until + CLOCK_OFFSET_MAX > clock
        });
        if awaited
            || due > self.clock()
            || self.attempts.iter().any(|attempt| same(&attempt) && attempt.key == key)
        {
            return;
        }
        let (end, until) = (self.time + TIMEOUT, self.clock() + TIMEOUT);
        self.attempts.push(Attempt { key, generation, number, session, end, until });
    }

    /// Takes out an attempt whose answer will be heard.
    pub fn answered(&mut self, pick: u8) -> Option<Attempt> {
        let heard = |a: &Attempt| a.end > self.time && !self.vanished.contains(&a.session);
        let places: Vec<usize> = (0..self.attempts.len()).filter(|n| heard(&self.attempts[*n])).collect();
        let place = places.get(pick as usize % places.len().max(1))?;
        Some(self.attempts.swap_remove(*place))
    }

    fn own(&self) -> impl Iterator<Item = &Attempt> {
        let open = |attempt: &&Attempt| Some(attempt.session) == self.leader.session;
        self.attempts.iter().filter(|attempt| attempt.until > self.clock()).filter(open)
    }

    /// What the leader's dispatcher knows of a timer.
    pub fn fence(&self, key: &TimerKey) -> Fence {
        let Some(session) = self.leader.session else { return Fence::default() };
        let attempt = self.own().filter(|attempt| attempt.key == *key).max_by_key(|attempt| attempt.until);
        Fence { session, attempt: attempt.map(|a| (Sequence(a.generation), Millis(a.until))) }
    }

    /// The leader hands over, and names what it has on its way.
    pub fn hand_over(&mut self) -> Vec<OpenAttempt> {
        let attempts: Vec<OpenAttempt> = self
            .own()
            .map(|attempt| OpenAttempt {
                key: attempt.key.clone(),
                generation: Sequence(attempt.generation),
                attempt: attempt.number,
                until: Millis(attempt.until),
            })
            .collect();
        self.leader.handed_over = true;
        self.awaited.extend(attempts.clone());
        attempts
    }

    /// When the last attempt of `key` that is on its way ends, of generations up to `generation`.
    pub fn in_flight(&self, key: &TimerKey, generation: u64) -> Option<u64> {
        let attempts = self.attempts.iter().filter(|attempt| attempt.end > self.time);
        attempts.filter(|a| a.key == *key && a.generation <= generation).map(|attempt| attempt.end).max()
    }

    /// Whether any attempt of a leader that vanished may be on its way.
    pub fn is_calm(&self) -> bool {
        self.vanished.is_empty() && self.leader.session.is_some()
    }

    /// A purge forgets what was on its way: the answer of a later create does not speak of it.
    pub fn forget(&mut self, key: &TimerKey) {
        self.attempts.retain(|attempt| attempt.key != *key);
    }
}
