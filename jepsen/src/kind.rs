//! The kinds of fault, by name: how long each lasts, what it occupies, and in which profile it comes. Deliberately
//! not here: how they are made (`faults/`).

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Kill,
    KillAll,
    CrashInside,
    CrashInSnapshot,
    Pause,
    Restart,
    PowerCut,
    PowerCutAll,
    PartitionMajority,
    PartitionRing,
    PartitionBridge,
    PartitionOneWay,
    RefuseConnections,
    PacketLoss,
    PacketDelay,
    PacketReorder,
    PacketDuplicate,
    ClockOffset,
    ClockDrift,
    ClockJump,
    DiskFull,
    DiskExhausted,
    DiskReadOnly,
    DiskStall,
    DiskSlow,
    DiskSyncFails,
    CpuStarve,
    BitFlipLog,
    BitFlipState,
    BitFlipSide,
    FileCut,
    ReceiverErrors,
    ReceiverHang,
    ReceiverReset,
    ReceiverDrip,
    ReceiverRedirect,
    ReceiverRefuse,
    ReceiverMoves,
}

/// What a fault needs for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// One node, so that no other fault has it at the same time.
    Node,
    /// The node whose files are damaged in this run, and no other.
    Victim,
    /// All nodes and all links.
    All,
    /// All links, and no node.
    Links,
    /// One receiver.
    Receiver,
}

use Kind::{
    BitFlipLog, BitFlipSide, BitFlipState, ClockDrift, ClockJump, ClockOffset, CpuStarve, CrashInSnapshot,
    CrashInside, DiskExhausted, DiskFull, DiskReadOnly, DiskSlow, DiskStall, DiskSyncFails, FileCut, Kill,
    KillAll, PacketDelay, PacketDuplicate, PacketLoss, PacketReorder, PartitionBridge, PartitionMajority,
    PartitionOneWay, PartitionRing, Pause, PowerCut, PowerCutAll, ReceiverDrip, ReceiverErrors, ReceiverHang,
    ReceiverMoves, ReceiverRedirect, ReceiverRefuse, ReceiverReset, RefuseConnections, Restart,
};

impl Kind {
    /// All of them.
    pub const ALL: [Self; 38] = [
        Kill,
        KillAll,
        CrashInside,
        CrashInSnapshot,
        Pause,
        Restart,
        PowerCut,
        PowerCutAll,
        PartitionMajority,
        PartitionRing,
        PartitionBridge,
        PartitionOneWay,
        RefuseConnections,
        PacketLoss,
        PacketDelay,
        PacketReorder,
        PacketDuplicate,
        ClockOffset,
        ClockDrift,
        ClockJump,
        DiskFull,
        DiskExhausted,
        DiskReadOnly,
        DiskStall,
        DiskSlow,
        DiskSyncFails,
        CpuStarve,
        BitFlipLog,
        BitFlipState,
        BitFlipSide,
        FileCut,
        ReceiverErrors,
        ReceiverHang,
        ReceiverReset,
        ReceiverDrip,
        ReceiverRedirect,
        ReceiverRefuse,
        ReceiverMoves,
    ];

    /// As it stands in histories and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Kill => "kill",
            KillAll => "killAll",
            CrashInside => "crashInside",
            CrashInSnapshot => "crashInSnapshot",
            Pause => "pause",
            Restart => "restart",
            PowerCut => "powerCut",
            PowerCutAll => "powerCutAll",
            PartitionMajority => "partitionMajority",
            PartitionRing => "partitionRing",
            PartitionBridge => "partitionBridge",
            PartitionOneWay => "partitionOneWay",
            RefuseConnections => "refuseConnections",
            PacketLoss => "packetLoss",
            PacketDelay => "packetDelay",
            PacketReorder => "packetReorder",
            PacketDuplicate => "packetDuplicate",
            ClockOffset => "clockOffset",
            ClockDrift => "clockDrift",
            ClockJump => "clockJump",
            DiskFull => "diskFull",
            DiskExhausted => "diskExhausted",
            DiskReadOnly => "diskReadOnly",
            DiskStall => "diskStall",
            DiskSlow => "diskSlow",
            DiskSyncFails => "diskSyncFails",
            CpuStarve => "cpuStarve",
            BitFlipLog => "bitFlipLog",
            BitFlipState => "bitFlipState",
            BitFlipSide => "bitFlipSide",
            FileCut => "fileCut",
            ReceiverErrors => "receiverErrors",
            ReceiverHang => "receiverHang",
            ReceiverReset => "receiverReset",
            ReceiverDrip => "receiverDrip",
            ReceiverRedirect => "receiverRedirect",
            ReceiverRefuse => "receiverRefuse",
            ReceiverMoves => "receiverMoves",
        }
    }

    /// The kind of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it needs for itself.
    pub const fn needs(self) -> Needs {
        match self {
            Kill | CrashInside | CrashInSnapshot | Pause | Restart | PowerCut | ClockOffset | ClockDrift
            | ClockJump | DiskFull | DiskExhausted | DiskReadOnly | DiskStall | DiskSlow | DiskSyncFails
            | CpuStarve => Needs::Node,
            BitFlipLog | BitFlipState | BitFlipSide | FileCut => Needs::Victim,
            KillAll | PowerCutAll => Needs::All,
            PartitionMajority | PartitionRing | PartitionBridge | PartitionOneWay | RefuseConnections
            | PacketLoss | PacketDelay | PacketReorder | PacketDuplicate => Needs::Links,
            ReceiverErrors | ReceiverHang | ReceiverReset | ReceiverDrip | ReceiverRedirect
            | ReceiverRefuse | ReceiverMoves => Needs::Receiver,
        }
    }

    /// The shortest and the longest time that it is in force, in ms, without the time to come back from it.
    pub const fn length_ms(self) -> (u64, u64) {
        match self {
            Kill | CrashInside | PowerCut | KillAll | PowerCutAll | Restart => (200, 3_000),
            Pause | CpuStarve | DiskReadOnly | DiskExhausted | DiskSlow => (3_000, 7_000),
            // A node that has nothing to sync has nothing to fail.
            DiskSyncFails => (1_000, 4_000),
            PartitionMajority | PartitionRing | PartitionBridge | PartitionOneWay | RefuseConnections
            | PacketLoss | PacketDelay | PacketReorder | PacketDuplicate => (4_000, 9_000),
            ClockOffset | ClockDrift | DiskFull => (4_000, 8_000),
            // Now and then longer than the bound for recovery: others have to take over.
            ClockJump | DiskStall => (3_000, 18_000),
            // As long as the others take to purge what it lacks.
            CrashInSnapshot => (12_000, 16_000),
            BitFlipLog | BitFlipState | BitFlipSide | FileCut => (1_500, 2_500),
            ReceiverErrors | ReceiverHang | ReceiverReset | ReceiverDrip | ReceiverRedirect
            | ReceiverRefuse | ReceiverMoves => (3_000, 7_000),
        }
    }

    /// Whether it takes a build with failpoints.
    pub const fn is_of_failpoints(self) -> bool {
        matches!(self, CrashInside | CrashInSnapshot)
    }

    /// Whether the nodes' clocks are wrong meanwhile.
    pub const fn is_of_clocks(self) -> bool {
        matches!(self, ClockOffset | ClockDrift | ClockJump)
    }

    /// Whether the nodes must run with the library that lies to them.
    pub const fn is_of_lies(self) -> bool {
        self.is_of_clocks() || matches!(self, DiskSlow | DiskSyncFails)
    }

    /// Whether packets take the way through the harness.
    pub const fn is_of_detours(self) -> bool {
        matches!(self, PacketDelay | PacketReorder | PacketDuplicate)
    }
}

/// A profile: which kinds a run of `seed` has.
pub fn of_profile(profile: super::Profile, seed: u64) -> Vec<Kind> {
    match profile {
        super::Profile::Smoke => vec![Kill, Pause, Restart, PartitionMajority, ReceiverErrors, ReceiverReset],
        super::Profile::Power => vec![PowerCut, PowerCutAll, CrashInside, CrashInSnapshot],
        super::Profile::Mix => rotating(seed),
        super::Profile::Soak => Kind::ALL.to_vec(),
    }
}

/// Kinds of a mix.
const MIX_KINDS: usize = 13;

/// Thirteen kinds of all, so that any three seeds in a row have had every one.
fn rotating(seed: u64) -> Vec<Kind> {
    let all = Kind::ALL.len();
    // Seven steps apart lie kinds of different families.
    let order: Vec<Kind> = (0..all).map(|n| Kind::ALL[n * 7 % all]).collect();
    let begin = (seed % all as u64) as usize * MIX_KINDS % all;
    (0..MIX_KINDS).map(|n| order[(begin + n) % all]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_found_and_unlike() {
        let names: BTreeSet<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.into_iter().all(|kind| Kind::find(kind.name()) == Some(kind)));
        assert_eq!(Kind::find("earthquake"), None);
    }

    #[test]
    fn three_mixes_in_a_row_have_every_kind() {
        for seed in 0..40 {
            let kinds: BTreeSet<Kind> = (seed..seed + 3).flat_map(|s| of_profile(Profile::Mix, s)).collect();
            assert_eq!(kinds.len(), Kind::ALL.len(), "from seed {seed}");
            assert_eq!(of_profile(Profile::Mix, seed).len(), MIX_KINDS);
        }
    }
}
