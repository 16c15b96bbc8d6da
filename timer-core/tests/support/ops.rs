//! What happens in the test: abstract steps, made concrete when their turn comes, so that "the present version"
//! means the present one.

use proptest::prelude::*;

/// When the test begins.
pub const START: u64 = 1_000_000_000;
/// Few ids, so that steps meet.
pub const IDS: u8 = 4;

/// One step.
#[derive(Clone, Debug)]
pub enum Op {
    /// What answers whether something was in flight.
    Define {
        id: u8,
        what: What,
        when: When,
        request: Request,
    },
    Fire {
        id: u8,
        when: When,
        request: Request,
    },
    Redrive {
        id: u8,
        when: When,
        request: Request,
    },
    /// The leader sends what is due of this id.
    Start {
        id: u8,
    },
    /// An attempt that is on its way is answered.
    Answer {
        pick: u8,
        result: Outcome,
    },
    /// An outcome that comes twice, too early, or of a generation that is gone.
    Stray {
        id: u8,
        offset: i8,
        old: bool,
        result: Outcome,
    },
    /// The leader vanishes; the next has a clock that is this much ahead, and has not opened its session.
    Lose {
        skew: u8,
    },
    Open,
    HandOver,
    /// What a session that is over says has no effect.
    FormerSession,
    Advance {
        to: Advance,
    },
    Expire {
        stale: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    Put { def: u8, create_only: bool },
    Patch(Change),
    Delete { purge: bool },
}

/// A precondition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    Absent,
    Present,
    Version,
    StaleVersion,
    Generation,
    StaleGeneration,
    NothingInFlight,
}

/// A request's id and body, if it has any.
pub type Request = Option<(u8, u8)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    Time,
    Label,
    Payload,
    /// A method that can't have the payload that is there.
    Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    Next,
    Failed,
    Permanent,
    RetryAfter,
    Deferred,
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// As far as is right.
    Right,
    Backwards,
    /// Beyond the time of the log.
    Beyond,
}

/// Steps whose commands share an entry, and how long after the entry before.
#[derive(Clone, Debug)]
pub struct Batch {
    pub wait: u64,
    pub ops: Vec<Op>,
    /// Whether a replica that applies several entries at once stops after this one.
    pub ends: bool,
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        10 => Just(When::Always),
        1 => Just(When::Absent),
        1 => Just(When::Present),
        1 => Just(When::Version),
        1 => Just(When::StaleVersion),
        1 => Just(When::Generation),
        1 => Just(When::StaleGeneration),
        2 => Just(When::NothingInFlight),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![2 => Just(None), 3 => (0_u8..12, 0_u8..8).prop_map(|(id, body)| Some((id, body / 7)))]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        2 => Just(Outcome::Delivered),
        2 => Just(Outcome::Next),
        4 => Just(Outcome::Failed),
        1 => Just(Outcome::Permanent),
        2 => Just(Outcome::RetryAfter),
        2 => Just(Outcome::Deferred),
        1 => Just(Outcome::Skipped),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    use Change::{Label, Method, Nothing, Payload, Time};
    let id = || 0..IDS;
    let change = prop_oneof![Just(Nothing), Just(Time), Just(Label), Just(Payload), Just(Method)];
    let advance =
        prop_oneof![4 => Just(Advance::Right), 1 => Just(Advance::Backwards), 1 => Just(Advance::Beyond)];
    let what = prop_oneof![
        6 => (0_u8..4, any::<bool>()).prop_map(|(def, create_only)| What::Put { def, create_only }),
        3 => change.prop_map(What::Patch),
        4 => prop::bool::weighted(0.3).prop_map(|purge| What::Delete { purge }),
    ];
    prop_oneof![
        13 => (id(), what, when(), request())
            .prop_map(|(id, what, when, request)| Op::Define { id, what, when, request }),
        2 => (id(), when(), request()).prop_map(|(id, when, request)| Op::Fire { id, when, request }),
        2 => (id(), when(), request()).prop_map(|(id, when, request)| Op::Redrive { id, when, request }),
        10 => id().prop_map(|id| Op::Start { id }),
        8 => (any::<u8>(), outcome()).prop_map(|(pick, result)| Op::Answer { pick, result }),
        2 => (id(), -2_i8..3, any::<bool>(), outcome())
            .prop_map(|(id, offset, old, result)| Op::Stray { id, offset, old, result }),
        1 => any::<u8>().prop_map(|skew| Op::Lose { skew: skew.min(250) }),
        3 => Just(Op::Open),
        1 => Just(Op::HandOver),
        1 => Just(Op::FormerSession),
        2 => advance.prop_map(|to| Op::Advance { to }),
        1 => any::<bool>().prop_map(|stale| Op::Expire { stale }),
    ]
}

/// A history of a shard.
pub fn history() -> impl Strategy<Value = Vec<Batch>> {
    let wait = prop_oneof![
        6 => 0_u64..3,
        6 => 0_u64..600,
        3 => 1000_u64..9000,
        1 => Just(31_000),
        1 => Just(25 * 3_600_000),
        // Beyond the retention of the dead.
        1 => Just(31 * 24 * 3_600_000),
    ];
    let ops = prop::collection::vec(op(), 1..5);
    let batch = (wait, ops, any::<bool>()).prop_map(|(wait, ops, ends)| Batch { wait, ops, ends });
    prop::collection::vec(batch, 1..60)
}
