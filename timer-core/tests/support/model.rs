//! What API.md says about timers, written down a second time and as simply as possible. It knows nothing of
//! what is in flight; the world does.

use std::collections::BTreeMap;

use super::ops::{Change, Outcome, Request, START, When};

pub const ATTEMPTS_MAX: u32 = 3;
pub const DURATION_MAX: u64 = 5000;
pub const INTERVAL: u64 = 1000;
pub const INTERVAL_MAX: u64 = 3000;
pub const DAY: u64 = 24 * 3_600_000;

/// The times that definitions ask for.
pub const TIMES: [u64; 4] = [START, START + 300, START + 40_000, START + 90_000];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    pub state: &'static str,
    pub generation: u64,
    pub version: u64,
    pub at: u64,
    pub payload: Option<u8>,
    pub label: bool,
    /// The definition as it was put, unless it was patched.
    pub put: Option<u8>,
    pub attempts: u32,
    pub forgiven: u32,
    pub deferrals: u32,
    pub first: Option<u64>,
    pub next: Option<u64>,
    pub manual: bool,
    pub created: u64,
    pub purge: Option<u64>,
    /// Request, body, when, what.
    answers: Vec<(u8, u8, u64, Seen)>,
    /// Newest first.
    pub history: Vec<Recorded>,
}

/// An attempt in a history: all that tells it from others, whether it counted, and what it came to.
pub type Recorded = (u64, u32, u64, bool, Outcome);

/// What is kept of a history.
pub const HISTORY: usize = 20;

/// What a reply says, as far as the model knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Done { effect: &'static str, replayed: bool, generation: u64, version: u64, state: &'static str },
    Refused(&'static str),
    Mismatch(Option<u64>),
    Outcome(bool),
    Session(u64),
    Ack,
}

/// What a command meets.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub now: u64,
    pub sequence: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub timers: BTreeMap<u8, Timer>,
    pub now: u64,
    pub cursor: u64,
}

impl Timer {
    pub fn is_pending(&self) -> bool {
        matches!(self.state, "scheduled" | "retrying")
    }

    pub fn next_attempt(&self) -> u32 {
        self.attempts + self.deferrals + 1
    }

    fn end(&mut self, state: &'static str, now: u64) {
        (self.state, self.next, self.manual) = (state, None, false);
        self.purge = Some(now + if state == "dead" { 30 * DAY } else { DAY });
        if state != "dead" {
            self.payload = None;
        }
    }

    fn renew(&mut self, sequence: u64) {
        (self.generation, self.state, self.next) = (sequence, "scheduled", Some(self.at));
        (self.attempts, self.forgiven, self.deferrals, self.first) = (0, 0, 0, None);
        self.manual = false;
    }
}

impl Model {
    /// The first answer again, or a refusal of a request's id that was used for something else.
    fn repeated(&self, id: u8, request: Request, now: u64) -> Option<Seen> {
        let (name, body) = request?;
        let answers = &self.timers.get(&id)?.answers;
        let (_, kept, _, seen) = answers.iter().find(|(n, _, at, _)| *n == name && now - at <= DAY)?;
        if *kept != body {
            return Some(Seen::Refused("key reused"));
        }
        let mut again = seen.clone();
        if let Seen::Done { replayed, .. } = &mut again {
            *replayed = true;
        }
        Some(again)
    }

    /// Whether `when` does not hold of a timer that exists unless it is `None` or counts as absent.
    fn mismatch(timer: Option<&Timer>, absent: bool, when: When) -> Option<Seen> {
        let fits = match when {
            When::Always | When::NothingInFlight => true,
            When::Absent => absent,
            When::Present => !absent,
            When::Version | When::Generation => timer.is_some(),
            When::StaleVersion | When::StaleGeneration => false,
        };
        (!fits).then(|| Seen::Mismatch(timer.map(|timer| timer.version)))
    }

    /// As [`answer`](Self::answer), with a new version.
    fn took_effect(&mut self, id: u8, request: Request, effect: &'static str, at: Now) -> Seen {
        self.timers.get_mut(&id).expect("an effect on a timer").version = at.sequence;
        self.answer(id, request, effect, at)
    }

    /// Notes the answer with the timer that it is about, and gives it.
    fn answer(&mut self, id: u8, request: Request, effect: &'static str, at: Now) -> Seen {
        let timer = self.timers.get_mut(&id).expect("an answer about a timer");
        let seen = Self::done(timer, effect);
        if let Some((name, body)) = request {
            timer.answers.retain(|(kept, ..)| *kept != name);
            timer.answers.push((name, body, at.now, seen.clone()));
            if timer.answers.len() > 4 {
                timer.answers.remove(0);
            }
        }
        seen
    }

    fn done(timer: &Timer, effect: &'static str) -> Seen {
        let Timer { generation, version, state, .. } = *timer;
        Seen::Done { effect, replayed: false, generation, version, state }
    }

    pub fn put(&mut self, id: u8, def: u8, create_only: bool, when: When, request: Request, at: Now) -> Seen {
        if let Some(seen) = self.repeated(id, request, at.now) {
            return seen;
        }
        let record = self.timers.get(&id);
        let live = record.filter(|timer| timer.state != "cancelled");
        if let Some(seen) = Self::mismatch(record, live.is_none(), when) {
            return seen;
        }
        if let Some(timer) = live {
            if timer.put == Some(def) {
                return self.answer(id, request, "unchanged", at);
            }
            if create_only {
                return Seen::Refused("exists");
            }
        }
        let effect = if live.is_some() { "replaced" } else { "created" };
        let mut timer = Timer {
            state: "scheduled",
            generation: 0,
            version: 0,
            at: TIMES[def as usize],
            payload: Some(def),
            label: false,
            put: Some(def),
            attempts: 0,
            forgiven: 0,
            deferrals: 0,
            first: None,
            next: None,
            manual: false,
            created: live.map_or(at.now, |timer| timer.created),
            purge: None,
            answers: record.map_or_else(Vec::new, |timer| timer.answers.clone()),
            history: record.map_or_else(Vec::new, |timer| timer.history.clone()),
        };
        timer.renew(at.sequence);
        self.timers.insert(id, timer);
        self.took_effect(id, request, effect, at)
    }

    /// What hinders a command on a timer that must exist.
    fn hindered(&self, id: u8, when: When, request: Request, now: u64) -> Option<Seen> {
        let Some(timer) = self.timers.get(&id) else { return Some(Seen::Refused("not found")) };
        self.repeated(id, request, now).or_else(|| Self::mismatch(Some(timer), false, when))
    }

    pub fn patch(&mut self, id: u8, change: Change, when: When, request: Request, at: Now) -> Seen {
        if let Some(seen) = self.hindered(id, when, request, at.now) {
            return seen;
        }
        let timer = self.timers.get_mut(&id).expect("not hindered");
        if !timer.is_pending() {
            return Seen::Refused("finished");
        }
        let (time, payload) = (TIMES[2] + 1, Some(99));
        let renewed = match change {
            Change::Time => timer.at != time,
            Change::Payload => timer.payload != payload,
            Change::Method => return Seen::Refused("invalid"),
            Change::Nothing | Change::Label => false,
        };
        if !renewed && (change != Change::Label || timer.label) {
            return self.answer(id, request, "patched", at);
        }
        match change {
            Change::Time => timer.at = time,
            Change::Payload => timer.payload = payload,
            Change::Label => timer.label = true,
            Change::Nothing | Change::Method => {}
        }
        timer.put = None;
        if renewed {
            timer.renew(at.sequence);
        }
        self.took_effect(id, request, "patched", at)
    }

    pub fn delete(&mut self, id: u8, purge: bool, when: When, request: Request, at: Now) -> Seen {
        if let Some(seen) = self.hindered(id, when, request, at.now) {
            return seen;
        }
        let timer = self.timers.get_mut(&id).expect("not hindered");
        match (purge, timer.is_pending(), timer.state) {
            (true, true, _) => Seen::Refused("not finished"),
            (true, false, _) => {
                let seen = Self::done(timer, "purged");
                self.timers.remove(&id);
                seen
            }
            (false, true, _) => {
                timer.end("cancelled", at.now);
                self.took_effect(id, request, "cancelled", at)
            }
            (false, false, "cancelled") => self.answer(id, request, "already cancelled", at),
            (false, false, _) => Seen::Refused("finished"),
        }
    }

    pub fn fire(&mut self, id: u8, when: When, request: Request, at: Now) -> Seen {
        if let Some(seen) = self.hindered(id, when, request, at.now) {
            return seen;
        }
        let timer = self.timers.get_mut(&id).expect("not hindered");
        let Some(next) = timer.next else { return Seen::Refused("finished") };
        (timer.next, timer.manual) = (Some(next.min(at.now)), true);
        self.took_effect(id, request, "fired", at)
    }

    pub fn redrive(&mut self, id: u8, when: When, request: Request, at: Now) -> Seen {
        if let Some(seen) = self.hindered(id, when, request, at.now) {
            return seen;
        }
        let timer = self.timers.get_mut(&id).expect("not hindered");
        if timer.state != "dead" {
            return Seen::Refused(if timer.is_pending() { "not finished" } else { "finished" });
        }
        timer.attempts += timer.deferrals;
        (timer.deferrals, timer.forgiven, timer.first) = (0, timer.attempts, None);
        (timer.state, timer.next, timer.purge) = ("retrying", Some(at.now), None);
        self.took_effect(id, request, "redriven", at)
    }

    /// `attempt`: generation, number, session.
    pub fn outcome(&mut self, id: u8, attempt: (u64, u32, u64), result: Outcome, end: u64, at: Now) -> Seen {
        let Some(timer) = self.timers.get_mut(&id) else { return Seen::Outcome(false) };
        let (generation, number, session) = attempt;
        let counts = timer.is_pending() && (timer.generation, timer.next_attempt()) == (generation, number);
        let same = |kept: &Recorded| (kept.0, kept.1, kept.2) == attempt;
        if counts || !timer.history.iter().any(same) {
            timer.history.insert(0, (generation, number, session, counts, result));
            timer.history.truncate(HISTORY);
        }
        if !counts {
            return Seen::Outcome(false);
        }
        timer.version = at.sequence;
        timer.manual = false;
        if !matches!(result, Outcome::Deferred | Outcome::Skipped) {
            timer.attempts += 1;
            timer.first = timer.first.or(Some(end));
        }
        match result {
            Outcome::Delivered => timer.end("delivered", at.now),
            Outcome::Skipped => timer.end("skipped", at.now),
            Outcome::Permanent => timer.end("dead", at.now),
            Outcome::Next => {
                timer.at = at.now + 5000;
                timer.renew(at.sequence);
            }
            Outcome::Deferred => {
                timer.deferrals += 1;
                timer.next = Some(at.now + 1000);
                timer.state = if timer.attempts > 0 { "retrying" } else { "scheduled" };
            }
            Outcome::Failed | Outcome::RetryAfter => {
                let failures = timer.attempts - timer.forgiven;
                let last = timer.first.expect("an attempt was counted") + DURATION_MAX;
                let wait = (INTERVAL << (failures.min(ATTEMPTS_MAX) - 1)).min(INTERVAL_MAX);
                let mut next = (end + wait).max(at.now);
                if result == Outcome::RetryAfter {
                    next = next.max((end + 2500).min(at.now + INTERVAL_MAX).min(last));
                }
                if failures >= ATTEMPTS_MAX || next > last {
                    timer.end("dead", at.now);
                } else {
                    (timer.state, timer.next) = ("retrying", Some(next));
                }
            }
        }
        Seen::Outcome(true)
    }

    pub fn expire(&mut self, named: &[(u8, u64)], now: u64) {
        let over = |t: &Timer, version| t.version == version && t.purge.is_some_and(|purge| purge <= now);
        for (id, version) in named {
            if self.timers.get(id).is_some_and(|timer| over(timer, *version)) {
                self.timers.remove(id);
            }
        }
    }
}
