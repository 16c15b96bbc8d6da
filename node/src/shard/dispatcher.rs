//! The loop of a leader in office: reads ahead, starts what is due, and replicates what came of it.
//!
//! Attempts are limited per node and per destination; what finds no room waits in order. An attempt starts
//! only if the record, read at that moment, still wants it, the lease holds, the clock is trusted, and what came of
//! earlier ones is being replicated.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use raft_store::failpoint::Failpoint;
use raft_store::state_machine::StateReader;
use timer_core::attempt::Details;
use timer_core::command::{AttemptResult, Command, Envelope, Outcome};
use timer_core::definition::LatePolicy;
use timer_core::limits::CLOCK_OFFSET_MAX;
use timer_core::secret::SecretBytes;
use timer_core::time::{Millis, Span};
use timer_core::timer::Timer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cursor::CursorKeeper;
use super::destinations::{Destinations, destination};
use super::feed::Notices;
use super::lead::ConfirmLead;
use super::office::{Admission, Due, Office};
use super::parking::{Parking, holds_back, is_paused};
use super::proposer::{ProposeError, Proposer};
use crate::blocking::away;
use crate::delivery::{Attempt, MaySend, Report, Sender, Withheld};
use crate::environment::Clock;
use crate::observability::metrics::Metrics;

/// Wheel keys that are read at a time.
const LOAD_LIMIT: usize = 4096;
/// What is left of the look-ahead when the tables are read again, unless half of it is more.
const LOAD_AHEAD_MIN: Span = Span(2_000);
/// How long an attempt that gets no token waits.
const TOKEN_HOLD: Span = Span(50);
/// The wait before it is asked again whether attempts may start. Not by the wall clock, which can be a manual one.
const START_HOLD: Duration = Duration::from_millis(20);
/// The wait between tries to replicate an outcome.
const OUTCOME_RETRY: Duration = Duration::from_millis(50);
/// Tries to bring an outcome to the leader that came after.
const OUTCOME_FORWARDS_MAX: u32 = 40;

/// Brings an outcome to the present leader, wherever it is; `false` if it could not.
pub type ForwardOutcome =
    Arc<dyn Fn(Envelope) -> futures_util::future::BoxFuture<'static, bool> + Send + Sync>;

/// What all offices of a node share.
#[derive(Clone)]
pub struct DispatchContext {
    /// Makes the requests.
    pub sender: Arc<Sender>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Attempts of this node at the same time.
    pub room: Arc<Semaphore>,
    /// Attempts per destination at the same time.
    pub destinations: Arc<Destinations>,
    /// In the callback's headers.
    pub cluster_id: Arc<str>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Attempts run here, so that a shutdown can wait for them.
    pub attempts: TaskTracker,
    /// How far ahead the tables are read.
    pub look_ahead: LookAhead,
}

/// How far ahead of now an office reads the tables; the first bound that is met ends it.
#[derive(Clone, Copy, Debug)]
pub struct LookAhead {
    /// Time.
    pub span: Span,
    /// Timers that one office keeps in memory.
    pub timers_max: usize,
    /// About so many bytes of them.
    pub bytes_max: usize,
}

/// One shard's dispatcher.
#[derive(Clone)]
pub struct Dispatcher {
    /// The office.
    pub office: Arc<Office>,
    /// The shard's state.
    pub reader: StateReader,
    /// Replicates outcomes.
    pub proposer: Proposer,
    /// Whether this node may start an attempt now: the lease holds, the clock is trusted, and entries are committed.
    pub may_start: MaySend,
    /// Asked before attempts start: whether a quorum follows this node still.
    pub confirm: ConfirmLead,
    /// For outcomes that come after this office has ended.
    pub forward: ForwardOutcome,
    /// Shared.
    pub context: DispatchContext,
    /// Ends with the office.
    pub ended: CancellationToken,
}

/// What became of the attempts that were ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Started {
    /// All started.
    All,
    /// Some wait for room.
    Starving,
    /// None may start now.
    Held,
}

impl Dispatcher {
    /// Runs until the office ends.
    pub async fn run(self, mut notices: Notices) {
        let mut cursor = CursorKeeper::new(&self);
        let mut parking = Parking::default();
        let mut clock_seen = self.context.clock.now();
        // A place that was waited for. It is used, not given back: a semaphore hands it to the next who waits, and
        // two shards that wait would hand it to each other for ever.
        let mut place = None;
        loop {
            while let Ok(batch) = notices.try_recv() {
                self.office.notice(batch);
            }
            clock_seen = self.watch_clock(clock_seen);
            self.office.collect_due(clock_seen);
            self.load_ahead(clock_seen).await;
            let wake_at = self.office.next_due().unwrap_or(Millis::MAX).min(clock_seen + Span::from_secs(1));
            let started = self.start_ready(place.take()).await;
            parking.park(&self);
            tokio::select! {
                () = self.ended.cancelled() => return,
                () = self.office.wake.notified() => {}
                batch = notices.recv() => match batch {
                    Some(batch) => self.office.notice(batch),
                    None => return,
                },
                () = self.context.clock.sleep_until(wake_at) => {}
                room = self.context.room.clone().acquire_owned(), if started == Started::Starving => place = room.ok(),
                () = tokio::time::sleep(START_HOLD), if started == Started::Held => {}
                () = cursor.tick() => cursor.advance(&self, &mut notices),
                () = parking.tick() => parking.release(&self),
            }
        }
    }

    /// Gives the present time; when the clock has gone back, the wheel begins anew, since it can't.
    fn watch_clock(&self, seen: Millis) -> Millis {
        let now = self.context.clock.now();
        if now < seen {
            tracing::warn!(back_ms = seen.since(now).0, "the wall clock went back");
            self.office.rewind(now, self.reader.shard_state().cursor);
        }
        now
    }

    /// Reads the tables ahead until the horizon is reached or the wheel is full.
    pub(super) async fn load_ahead(&self, now: Millis) {
        let horizon = now + self.context.look_ahead.span;
        // The horizon moves with the clock: without this, every turn of the loop would read a sliver of it.
        let enough = now + Span((self.context.look_ahead.span.0 / 2).max(LOAD_AHEAD_MIN.0));
        if self.office.frontier() >= enough.min(horizon) {
            return;
        }
        while let Some(from) = self.office.begin_load(horizon, &self.context.look_ahead) {
            let reader = self.reader.clone();
            let read =
                away(reader.blocks(), move || reader.scan_wheel(Bound::Included(from), horizon, LOAD_LIMIT));
            match read.await {
                Ok(Ok(found)) => {
                    let found: Vec<Due> = found
                        .into_iter()
                        .map(|slot| Due { key: slot.key, generation: slot.sequence, position: slot.at })
                        .collect();
                    let cut_off = found.len() >= LOAD_LIMIT;
                    let next = found.last().filter(|_| cut_off).map(|due| (due.position, due.generation));
                    // The next read begins at the last that was read: the generation is the key's end.
                    let next = next.map(|(at, g)| (at, timer_core::ids::Sequence(g.0 + 1)));
                    self.office.end_load(found, next);
                    self.office.collect_due(self.context.clock.now());
                    if cut_off && self.office.has_ready() {
                        // What is due goes out while the rest is still to be read.
                        self.start_ready(None).await;
                    }
                }
                Ok(Err(e)) => {
                    tracing::error!(error = %e, "can't read the wheel");
                    self.office.abort_load(from);
                    return;
                }
                Err(_) => {
                    self.office.abort_load(from);
                    return;
                }
            }
        }
    }

    /// Starts what is ready as far as it may and there is room, in `place` first.
    async fn start_ready(&self, mut place: Option<OwnedSemaphorePermit>) -> Started {
        if self.office.has_ready() && !((self.may_start)() && self.is_confirmed().await) {
            return Started::Held;
        }
        loop {
            if !self.office.has_ready() {
                return Started::All;
            }
            let room = place.take().or_else(|| self.context.room.clone().try_acquire_owned().ok());
            let Some(room) = room else { return Started::Starving };
            let Some(due) = self.office.pop_ready() else { return Started::All };
            if self.office.admit(&due, self.context.clock.now()) == Admission::Admitted {
                let this = self.clone();
                self.context.attempts.spawn(async move { this.attempt(due, room).await });
            }
        }
    }

    /// Whether a quorum follows this node, and its office goes on.
    async fn is_confirmed(&self) -> bool {
        tokio::select! {
            () = self.ended.cancelled() => false,
            confirmed = (self.confirm)() => confirmed,
        }
    }

    /// One admitted attempt, from reading its record to its settled outcome.
    async fn attempt(self, due: Due, _room: OwnedSemaphorePermit) {
        let now = self.context.clock.now();
        let timer = match self.reader.timer(&due.key) {
            Ok(Some(timer)) if wants(&timer, &due) => timer,
            Ok(_) => return self.office.finish(&due),
            Err(e) => {
                tracing::error!(timer = %due.key, error = %e, "can't read a timer that is due");
                return self.office.retreat(due, now + Span::from_secs(1));
            }
        };
        if timer.next_attempt_at.is_some_and(|at| at > now) {
            // The clock has gone back since it was collected.
            let at = timer.next_attempt_at.unwrap_or(now);
            return self.office.retreat(due, at);
        }
        // What it is signed with is read with it: a secret that is gone from this shard signs nothing more.
        let group = match self.reader.group(&due.key.group) {
            Ok(group) => group,
            Err(e) => {
                tracing::error!(timer = %due.key, error = %e, "can't read the group of a timer that is due");
                return self.office.retreat(due, now + Span::from_secs(1));
            }
        };
        if holds_back(group.as_ref()) {
            return self.office.park(due);
        }
        let secrets =
            group.map_or_else(Vec::new, |group| group.secrets.iter().map(|one| one.secret).collect());
        let destination = destination(&timer.definition.callback.url);
        if !self.context.destinations.enter(&destination, &self.office, &due) {
            // It comes back through the ready queue when a place is free.
            return;
        }
        self.send(due, timer, secrets, now).await;
        self.context.destinations.leave(&destination);
    }

    async fn send(&self, due: Due, timer: Timer, secrets: Vec<SecretBytes>, now: Millis) {
        let number = timer.attempts + timer.deferrals + 1;
        let until = now + Span(timer.definition.callback.timeout.0 + CLOCK_OFFSET_MAX.0);
        if !(self.may_start)() {
            return self.office.hold(due);
        }
        let Some(token) = self.office.next_token(self.proposer.applied_index()) else {
            return self.office.retreat(due, now + TOKEN_HOLD);
        };
        if !self.office.start(&due, number, until) {
            return self.office.finish(&due);
        }
        let report = if is_too_late(&timer, now) {
            self.context.metrics.attempt_skipped();
            Report { result: AttemptResult::Skipped, answer: None, started_at: now, finished_at: now }
        } else {
            match self.call(&timer, secrets, (number, token), (now, until)).await {
                Ok(report) => report,
                Err(Withheld) => return self.office.hold(due),
            }
        };
        let details =
            Details { scheduled_at: timer.due_at(), trigger: timer.next_trigger(), answer: report.answer };
        let outcome = Outcome {
            key: due.key.clone(),
            generation: due.generation,
            attempt: number,
            session: self.office.session,
            started_at: report.started_at,
            finished_at: report.finished_at,
            result: report.result,
            details: Some(details),
        };
        self.replicate(outcome).await;
        self.office.finish(&due);
    }

    async fn call(
        &self,
        timer: &Timer,
        secrets: Vec<SecretBytes>,
        (number, token): (u32, u64),
        (now, until): (Millis, Millis),
    ) -> Result<Report, Withheld> {
        let attempt = Attempt {
            timer: timer.clone(),
            attempt: number,
            fencing_token: token,
            late_ms: now.since(timer.due_at()).0,
            cluster_id: self.context.cluster_id.clone(),
            manual: timer.manual,
            secrets,
        };
        self.context.metrics.attempt_started(attempt.late_ms);
        let sent = self.context.sender.send(&attempt, self.may_send(&timer.key.group, until)).await;
        let report = sent.inspect_err(|Withheld| self.context.metrics.attempt_withheld())?;
        Failpoint::CallbackAnswered.pass();
        self.context.metrics.attempt_finished(&report.result, report.finished_at.since(report.started_at).0);
        Ok(report)
    }

    /// Whether an attempt of `group` that was started, and ends before `until`, may be sent when that is asked: by then the
    /// group can have been paused.
    fn may_send(&self, group: &str, until: Millis) -> MaySend {
        let (may_start, office, clock) =
            (self.may_start.clone(), self.office.clone(), self.context.clock.clone());
        let (reader, group) = (self.reader.clone(), group.to_owned());
        Arc::new(move || office.may_send(may_start(), clock.now(), until) && !is_paused(&reader, &group))
    }

    /// Replicates an outcome; after the office has ended, through the leader that came after.
    async fn replicate(&self, outcome: Outcome) {
        let envelope = Envelope::own(Command::Outcome(Box::new(outcome)));
        let mut forwards = 0;
        loop {
            if !self.ended.is_cancelled() {
                match self.proposer.propose(self.office.leader, envelope.clone(), None).await {
                    Ok(_) => return,
                    Err(ProposeError::Overloaded | ProposeError::Untrusted(_) | ProposeError::DiskFull) => {}
                    Err(
                        ProposeError::NotLeader(_) | ProposeError::Unknown(_) | ProposeError::GroupNotFound,
                    ) => {}
                }
            } else if (self.forward)(envelope.clone()).await {
                return;
            } else {
                forwards += 1;
                if forwards >= OUTCOME_FORWARDS_MAX {
                    tracing::warn!("an outcome found no leader: its timer will be called again");
                    return;
                }
            }
            tokio::time::sleep(OUTCOME_RETRY).await;
        }
    }
}

/// Whether the record still wants the attempt that was due.
fn wants(timer: &Timer, due: &Due) -> bool {
    timer.state.is_pending()
        && timer.generation == due.generation
        && timer.position == Some(due.position)
        && timer.parked_at.is_none()
}

/// Whether the late policy forbids a first attempt at `now`.
fn is_too_late(timer: &Timer, now: Millis) -> bool {
    match timer.definition.late {
        LatePolicy::Skip { grace_window } => {
            timer.attempts == 0
                && timer.deferrals == 0
                && !timer.manual
                && now > timer.definition.execute_at + grace_window
        }
        LatePolicy::Fire => false,
    }
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
pub(super) mod tests;
