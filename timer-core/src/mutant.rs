//! Known bugs, put back on purpose: a fault test that does not find them proves nothing. One at a time, chosen at
//! run time, in a build with the feature `mutants`, which no release has. Without it [`Mutant::is_on`] is `false` at
//! compile time and nothing of this is left.

/// A bug that can be put back. Some are errors that any such system could well have; the others undo decisions of this
/// one. `docs/reliability.md` says by what each is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// A write to the log is acknowledged without a sync.
    AcknowledgeBeforeSync = 1,
    /// The log is opened as RocksDB does by default, up to the first damage, and not held against the mark.
    DefaultWalMode,
    /// A new leader does not read what is pending.
    NoScanAfterElection,
    /// A snapshot comes without some of its timers.
    TimerDroppedAtSnapshot,
    /// A delete or replace says that nothing is on its way, always.
    DeleteIgnoresInFlight,
    /// Attempts start without a lease.
    SendWithoutLease,
    /// The outcome of an earlier generation counts for the present one.
    GenerationNotCompared,
    /// Times are rounded to the nearest second.
    EarlyByRounding,
    /// Retries follow at once.
    BackoffIgnored,
    /// `If-Match` holds for any version.
    ConditionIgnoresVersion,
    /// Reads don't ask whether this node still leads.
    ReadWithoutBarrier,
    /// A leader that has lost its quorum stays leader.
    NoQuorumProbe,
    /// Attempts of one index share a fencing token.
    TokenUsedAgain,
    /// The cursor overtakes what waits in memory.
    CursorOvertakes,
    /// The pointer to a new snapshot is not durable before the old state goes.
    SnapshotFlipNotDurable,
    /// Attempts of a paused group start.
    PauseIgnored,
    /// What was parked is not looked at again.
    ParkedForgotten,
    /// A timer stays in the lists that it has left.
    ListKeepsWhatChanged,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::AcknowledgeBeforeSync,
        Self::DefaultWalMode,
        Self::NoScanAfterElection,
        Self::TimerDroppedAtSnapshot,
        Self::DeleteIgnoresInFlight,
        Self::SendWithoutLease,
        Self::GenerationNotCompared,
        Self::EarlyByRounding,
        Self::BackoffIgnored,
        Self::ConditionIgnoresVersion,
        Self::ReadWithoutBarrier,
        Self::NoQuorumProbe,
        Self::TokenUsedAgain,
        Self::CursorOvertakes,
        Self::SnapshotFlipNotDurable,
        Self::PauseIgnored,
        Self::ParkedForgotten,
        Self::ListKeepsWhatChanged,
    ];

    /// The name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeSync => "acknowledge-before-sync",
            Self::DefaultWalMode => "default-wal-mode",
            Self::NoScanAfterElection => "no-scan-after-election",
            Self::TimerDroppedAtSnapshot => "timer-dropped-at-snapshot",
            Self::DeleteIgnoresInFlight => "delete-ignores-in-flight",
            Self::SendWithoutLease => "send-without-lease",
            Self::GenerationNotCompared => "generation-not-compared",
            Self::EarlyByRounding => "early-by-rounding",
            Self::BackoffIgnored => "backoff-ignored",
            Self::ConditionIgnoresVersion => "condition-ignores-version",
            Self::ReadWithoutBarrier => "read-without-barrier",
            Self::NoQuorumProbe => "no-quorum-probe",
            Self::TokenUsedAgain => "token-used-again",
            Self::CursorOvertakes => "cursor-overtakes",
            Self::SnapshotFlipNotDurable => "snapshot-flip-not-durable",
            Self::PauseIgnored => "pause-ignored",
            Self::ParkedForgotten => "parked-forgotten",
            Self::ListKeepsWhatChanged => "list-keeps-what-changed",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }

    /// Whether it is put back in this process.
    #[cfg(not(feature = "mutants"))]
    #[must_use]
    pub const fn is_on(self) -> bool {
        false
    }

    /// Whether it is put back in this process.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn is_on(self) -> bool {
        active::get() == self as u8
    }

    /// Puts it back in this process, instead of the one before.
    #[cfg(feature = "mutants")]
    pub fn put_back(self) {
        active::set(self as u8);
    }
}

#[cfg(feature = "mutants")]
mod active {
    use core::sync::atomic::{AtomicU8, Ordering};

    static ACTIVE: AtomicU8 = AtomicU8::new(0);

    pub(super) fn get() -> u8 {
        ACTIVE.load(Ordering::Relaxed)
    }

    pub(super) fn set(mutant: u8) {
        ACTIVE.store(mutant, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::of_name(mutant.name()), Some(mutant));
        }
    }

    #[cfg(not(feature = "mutants"))]
    #[test]
    fn none_is_on_without_the_feature() {
        const { assert!(!Mutant::AcknowledgeBeforeSync.is_on()) }
    }
}
