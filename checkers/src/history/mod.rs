//! What a harness writes down while it tests: one event a line, JSON with a `kind`. Deliberately not here:
//! what the events add up to ([`crate::index`]), and any opinion about them ([`crate::invariants`]).
//!
//! Times in `…Ns` are nanoseconds of the harness's own monotonic clock since the run began; times in `…Ms`
//! that name a moment are wall-clock milliseconds since 1970, by the harness's clock, which no fault touches.
//! [`Run::wall_ms_at_zero`] ties the two together.

mod cluster;
mod delivery;
mod operation;
mod run;
mod stream;

use serde::{Deserialize, Serialize};

pub use cluster::{Boundary, FaultBegin, FaultEnd, Health, Leader, Probe};
pub use delivery::{Delivery, Reply};
pub use operation::{Action, Answer, Call, Definition, InFlight, Outcome, Patch, Refusal, Return, State};
pub use run::{PhaseChange, PhaseName, RetryPolicy, Run};
pub use stream::{HistoryReader, HistoryWriter, ReadError, WriteError};

/// One line of a history.
///
/// Lines need not be in the order of their times, except that a [`Return`] follows its [`Call`] and the
/// [`Run`] comes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Event {
    /// The first line: what was run, and what it promises.
    Run(Run),
    /// The run goes on to its next phase.
    Phase(PhaseChange),
    /// A client sends a request.
    Call(Call),
    /// A client has an answer, or has given up.
    Return(Return),
    /// A receiver got a callback.
    Delivery(Delivery),
    /// A fault was asked for.
    FaultBegin(FaultBegin),
    /// A fault was taken back.
    FaultEnd(FaultEnd),
    /// A shard became able, or unable, to work.
    Health(Health),
    /// A leader opened its session.
    Leader(Leader),
    /// A replica's applied index and the hash of its state there.
    Probe(Probe),
    /// An input at the edge of what is allowed, and what became of it.
    Boundary(Boundary),
}
