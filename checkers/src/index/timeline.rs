//! What happened to the cluster, as spans: faults, healthy time per shard, sessions, phases. Deliberately not
//! here: timers.

use std::collections::BTreeMap;

use super::HistoryError;
use crate::history::{FaultBegin, FaultEnd, Health, Leader, PhaseName, Run};

/// What happened to the cluster.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// In the order in which they began.
    pub faults: Vec<FaultSpan>,
    /// By shard, in the order of their numbers.
    pub sessions: BTreeMap<u16, Vec<Session>>,
    /// When each phase began.
    pub phases: Vec<(u64, PhaseName)>,
    /// By shard: when it was able, the grace time taken off.
    healthy: BTreeMap<u16, Vec<Span>>,
    /// By shard: when it became able or unable, as written.
    changes: BTreeMap<u16, Vec<(u64, bool)>>,
}

/// A fault from begin to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSpan {
    /// Its kind.
    pub kind: String,
    /// The nodes concerned.
    pub nodes: Vec<u32>,
    /// Whether it took effect.
    pub effective: bool,
    /// By how much clocks were off at most, in milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// When it began, in nanoseconds.
    pub begin_ns: u64,
    /// When it ended: the end of the run if it was not taken back.
    pub end_ns: u64,
    /// Its lines.
    pub lines: Vec<u64>,
}

/// A leader's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The log index of its `OpenSession`.
    pub number: u64,
    /// The leader.
    pub node: u32,
    /// When it was seen, in nanoseconds.
    pub at_ns: u64,
    /// The line that tells of it.
    pub line: u64,
}

/// A span of healthy time, and how much there was before it.
#[derive(Clone, Copy, Debug)]
struct Span {
    from_ns: u64,
    to_ns: u64,
    before_ns: u64,
}

#[derive(Debug, Default)]
pub(super) struct TimelineBuilder {
    pub(super) phases: Vec<(u64, PhaseName)>,
    pub(super) health: Vec<Health>,
    pub(super) leaders: Vec<(u64, Leader)>,
    faults: BTreeMap<u64, (FaultSpan, bool)>,
}

impl FaultSpan {
    /// Whether some of it lies in `from_ns..=to_ns`.
    #[must_use]
    pub const fn overlaps(&self, from_ns: u64, to_ns: u64) -> bool {
        self.begin_ns <= to_ns && from_ns <= self.end_ns
    }
}

impl Timeline {
    /// How much of `from_ns..to_ns` the shard was healthy, in nanoseconds.
    #[must_use]
    pub fn healthy_ns(&self, shard: u16, from_ns: u64, to_ns: u64) -> u64 {
        let until = |at_ns| self.healthy_before(shard, at_ns);
        until(to_ns).saturating_sub(until(from_ns))
    }

    /// Whether no fault that took effect overlaps `from_ns..=to_ns`.
    #[must_use]
    pub fn is_calm(&self, from_ns: u64, to_ns: u64) -> bool {
        !self.faults.iter().any(|fault| fault.effective && fault.overlaps(from_ns, to_ns))
    }

    /// The sessions of a shard whose numbers lie in `above+1..=up_to`.
    pub fn sessions_between(&self, shard: u16, above: u64, up_to: u64) -> impl Iterator<Item = &Session> {
        let sessions = self.sessions.get(&shard).map_or(&[][..], Vec::as_slice);
        sessions.iter().filter(move |session| above < session.number && session.number <= up_to)
    }

    /// When a shard became able or unable to work, without the grace time, in order.
    #[must_use]
    pub fn changes(&self, shard: u16) -> &[(u64, bool)] {
        self.changes.get(&shard).map_or(&[], Vec::as_slice)
    }

    fn healthy_before(&self, shard: u16, at_ns: u64) -> u64 {
        let spans = self.healthy.get(&shard).map_or(&[][..], Vec::as_slice);
        let begun = spans.partition_point(|span| span.from_ns < at_ns);
        let last = begun.checked_sub(1).and_then(|last| spans.get(last));
        last.map_or(0, |span| span.before_ns + (at_ns.min(span.to_ns) - span.from_ns))
    }
}

impl TimelineBuilder {
    pub(super) fn fault_begin(&mut self, line: u64, begin: FaultBegin) -> Result<(), HistoryError> {
        let span = FaultSpan {
            kind: begin.fault_kind,
            nodes: begin.nodes,
            effective: begin.effective,
            clock_offset_ms: begin.clock_offset_ms,
            begin_ns: begin.at_ns,
            end_ns: u64::MAX,
            lines: vec![line],
        };
        match self.faults.insert(begin.fault, (span, true)) {
            None => Ok(()),
            Some(_) => Err(HistoryError::FaultOutOfTurn { line, fault: begin.fault }),
        }
    }

    pub(super) fn fault_end(&mut self, line: u64, end: FaultEnd) -> Result<(), HistoryError> {
        let Some((span, open @ true)) = self.faults.get_mut(&end.fault) else {
            return Err(HistoryError::FaultOutOfTurn { line, fault: end.fault });
        };
        if end.at_ns < span.begin_ns {
            return Err(HistoryError::EndsBeforeBegin { line });
        }
        *open = false;
        span.end_ns = end.at_ns;
        span.lines.push(line);
        Ok(())
    }

    pub(super) fn finish(mut self, run: &Run, end_ns: u64) -> Timeline {
        self.phases.sort_by_key(|(at_ns, _)| *at_ns);
        self.health.sort_by_key(|health| health.at_ns);
        let mut changes: BTreeMap<u16, Vec<(u64, bool)>> = BTreeMap::new();
        for health in &self.health {
            let of_shard = changes.entry(health.shard).or_default();
            // Saying the same again changes nothing; in particular no new grace time begins.
            let was = of_shard.last().is_some_and(|(_, healthy)| *healthy);
            if was != health.healthy {
                of_shard.push((health.at_ns, health.healthy));
            }
        }
        let grace_ns = run.grace_ms.saturating_mul(1_000_000);
        let healthy = changes.iter().map(|(shard, of_shard)| (*shard, spans(of_shard, grace_ns, end_ns)));
        let healthy = healthy.collect();
        let mut sessions: BTreeMap<u16, Vec<Session>> = BTreeMap::new();
        for (line, leader) in self.leaders {
            let Leader { at_ns, shard, session: number, node, term: _ } = leader;
            sessions.entry(shard).or_default().push(Session { number, node, at_ns, line });
        }
        for of_shard in sessions.values_mut() {
            of_shard.sort_by_key(|session| (session.number, session.at_ns));
            // Seen more than once: the first sighting counts.
            of_shard.dedup_by_key(|session| session.number);
        }
        let mut faults: Vec<FaultSpan> = self.faults.into_values().map(|(span, _)| span).collect();
        faults.iter_mut().for_each(|fault| fault.end_ns = fault.end_ns.min(end_ns.max(fault.begin_ns)));
        faults.sort_by_key(|fault| fault.begin_ns);
        Timeline { faults, sessions, phases: self.phases, healthy, changes }
    }
}

fn spans(changes: &[(u64, bool)], grace_ns: u64, end_ns: u64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut before_ns = 0;
    for (position, (at_ns, healthy)) in changes.iter().enumerate() {
        let to_ns = changes.get(position + 1).map_or(end_ns, |(at_ns, _)| *at_ns);
        let from_ns = at_ns.saturating_add(grace_ns);
        if *healthy && from_ns < to_ns {
            spans.push(Span { from_ns, to_ns, before_ns });
            before_ns += to_ns - from_ns;
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    fn timeline(grace_ms: u64, health: &[(u64, bool)]) -> Timeline {
        let line = |(at_ns, healthy): &(u64, bool)| Health { at_ns: *at_ns, shard: 3, healthy: *healthy };
        let builder =
            TimelineBuilder { health: health.iter().map(line).collect(), ..TimelineBuilder::default() };
        builder.finish(&Run { grace_ms, ..run() }, 20_000_000)
    }

    #[test]
    fn healthy_time_is_the_sum_of_spans_less_their_grace() {
        let timeline = timeline(1, &[(2_000_000, true), (6_000_000, false), (10_000_000, true)]);
        assert_eq!(timeline.healthy_ns(3, 0, 20_000_000), 3_000_000 + 9_000_000);
        assert_eq!(timeline.healthy_ns(3, 4_000_000, 12_000_000), 2_000_000 + 1_000_000);
        assert_eq!(timeline.healthy_ns(3, 7_000_000, 11_000_000), 0);
        assert_eq!(timeline.healthy_ns(4, 0, 20_000_000), 0, "another shard");
    }

    #[test]
    fn a_span_shorter_than_its_grace_counts_for_nothing_and_saying_healthy_again_costs_no_grace() {
        let short = timeline(5, &[(0, true), (4_000_000, false)]);
        assert_eq!(short.healthy_ns(3, 0, 20_000_000), 0);
        let twice = timeline(5, &[(0, true), (8_000_000, true)]);
        assert_eq!(twice.healthy_ns(3, 0, 20_000_000), 15_000_000);
    }
}
