//! Compares this node's clock with its peers', and says whether it may be trusted to lead.
//!
//! A clock that is ahead fires timers early. It is compared with the median of the quorum's clocks
//! (Marzullo's idea that a majority of clocks brackets the true time); one that is ahead of it by more than
//! `offset_max` must not stamp commands. One that is behind calls late, which breaks no promise, but others can do better.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use timer_core::time::Millis;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::frame::{Body, ClockProbe, Lane, frame};
use super::lanes::Lanes;
use crate::environment::Clock;

/// How often each peer is asked.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// A probe with a longer round trip tells too little.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(200);
/// A comparison is good for this long.
const SAMPLE_AGE_MAX: Duration = Duration::from_secs(10);

/// What a peer's clock showed; exact to half the round trip. Held against the monotonic time and not against this
/// node's clock, so that a jump of the latter shows at once.
#[derive(Clone, Copy, Debug)]
struct Sample {
    shown: Millis,
    taken: Instant,
}

/// What the comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is nobody to compare with: a cluster of one.
    Alone,
    /// A quorum was compared and this clock is not far from it.
    Trusted,
    /// Not yet a quorum of fresh comparisons.
    NotCompared,
    /// This clock is ahead of the quorum's median by so many ms.
    Ahead(i64),
    /// This clock is behind the quorum's median by so many ms.
    Behind(i64),
}

/// The comparisons of one node. Clones share them.
#[derive(Clone, Debug)]
pub struct Clocks {
    clock: Arc<dyn Clock>,
    samples: Arc<Mutex<BTreeMap<u64, Sample>>>,
    members: usize,
    offset_max_ms: i64,
}

impl Clocks {
    /// For `clock` in a cluster of `members` nodes.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, members: usize, offset_max: Duration) -> Self {
        let offset_max_ms = i64::try_from(offset_max.as_millis()).unwrap_or(i64::MAX);
        Self { clock, samples: Arc::default(), members, offset_max_ms }
    }

    /// What the fresh comparisons say.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let offsets: Vec<i64> = self.offsets().into_values().collect();
        verdict(offsets, self.members, self.offset_max_ms)
    }

    /// Each peer's clock less ours in ms, where the comparison is fresh.
    #[must_use]
    pub fn offsets(&self) -> BTreeMap<u64, i64> {
        let now = self.clock.now();
        let samples = self.samples.lock();
        let ages = samples.iter().map(|(peer, sample)| (*peer, sample.shown, sample.taken.elapsed()));
        let fresh = ages.filter(|(_, _, age)| *age < SAMPLE_AGE_MAX);
        fresh
            .map(|(peer, shown, age)| (peer, shown.0 as i64 + age.as_millis() as i64 - now.0 as i64))
            .collect()
    }

    /// Asks every peer again and again until `stop`.
    pub async fn run(self, lanes: Arc<Lanes>, stop: CancellationToken) {
        loop {
            let probes = lanes.peers().map(|(id, _)| self.probe(id, &lanes));
            futures_util::future::join_all(probes).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PROBE_INTERVAL) => {}
            }
        }
    }

    async fn probe(&self, peer: u64, lanes: &Lanes) {
        let Some(link) = lanes.lane(peer, Lane::Control) else { return };
        let began = Instant::now();
        let answer = link.call(frame(0, Body::ClockProbe(ClockProbe {})), ROUND_TRIP_MAX).await;
        let Ok(Body::ClockReply(reply)) = answer else { return };
        // The peer read its clock about half-way.
        let sample = Sample { shown: Millis(reply.now_ms), taken: began + began.elapsed() / 2 };
        self.samples.lock().insert(peer, sample);
    }
}

/// `offsets`: the peers' clocks less ours. The median is taken over them and our own zero; with an even
/// number the lower middle one counts, so that doubt goes against a clock that is ahead, and for one that is behind.
fn verdict(mut offsets: Vec<i64>, members: usize, offset_max_ms: i64) -> Verdict {
    if members <= 1 {
        return Verdict::Alone;
    }
    offsets.push(0);
    if offsets.len() <= members / 2 {
        return Verdict::NotCompared;
    }
    offsets.sort_unstable();
    let median = offsets[(offsets.len() - 1) / 2];
    match median {
        ..0 if -median > offset_max_ms => Verdict::Ahead(-median),
        _ if median > offset_max_ms => Verdict::Behind(median),
        _ => Verdict::Trusted,
    }
}

#[cfg(test)]
mod tests {
    use timer_core::time::Span;

    use super::*;
    use crate::environment::ManualClock;

    #[tokio::test(start_paused = true)]
    async fn a_jump_of_this_clock_shows_without_another_comparison() {
        let clock = ManualClock::new(Millis(1_000_000));
        let clocks = Clocks::new(Arc::new(clock.clone()), 3, Duration::from_millis(250));
        for peer in [1, 2] {
            let sample = Sample { shown: Millis(1_000_000), taken: Instant::now() };
            clocks.samples.lock().insert(peer, sample);
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        clock.advance(Span(5_000));
        assert_eq!(clocks.verdict(), Verdict::Trusted);
        clock.advance(Span(2_000));
        assert_eq!(clocks.verdict(), Verdict::Ahead(2_000));
    }

    #[test]
    fn a_clock_ahead_of_the_quorum_is_not_trusted() {
        assert_eq!(verdict(vec![-30_000, -30_010], 3, 250), Verdict::Ahead(30_000));
        assert_eq!(verdict(vec![-30_000], 3, 250), Verdict::Ahead(30_000), "doubt goes against it");
    }

    #[test]
    fn a_clock_behind_the_quorum_is_known_as_such() {
        assert_eq!(verdict(vec![30_000, 30_010], 3, 250), Verdict::Behind(30_000));
        assert_eq!(verdict(vec![250, 250], 3, 250), Verdict::Trusted);
        assert_eq!(verdict(vec![30_000], 3, 250), Verdict::Trusted, "doubt goes for it");
    }

    #[test]
    fn one_wild_peer_does_not_unseat_a_good_clock() {
        assert_eq!(verdict(vec![-3_600_000, 4], 3, 250), Verdict::Trusted);
    }

    #[test]
    fn without_a_quorum_of_comparisons_there_is_no_verdict() {
        assert_eq!(verdict(vec![], 3, 250), Verdict::NotCompared);
        assert_eq!(verdict(vec![0], 5, 250), Verdict::NotCompared);
        assert_eq!(verdict(vec![], 1, 250), Verdict::Alone);
    }
}
