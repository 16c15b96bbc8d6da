//! Delivery: turns a timer that is due into an HTTP request, and the answer into what it means for the
//! timer. When an attempt is made, and what happens after it, is deliberately not decided here.

pub(crate) mod answer;
mod bounded;
mod checked_body;
mod connector;
pub(crate) mod failure;
mod guard;
mod ranges;
mod request;
mod resolver;
pub(crate) mod retry_after;
mod sender;
mod signature;
mod url_check;

use std::sync::Arc;

use timer_core::attempt::Answer;
use timer_core::command::AttemptResult;
use timer_core::secret::SecretBytes;
use timer_core::time::Millis;
use timer_core::timer::Timer;

pub use answer::ANSWER_BYTES_MAX;
pub use checked_body::{MaySend, Withheld};
pub use guard::{AddressPolicy, PolicyError};
pub use resolver::{Resolve, SystemResolver};
pub use sender::{Sender, SenderError, SenderSettings};
pub use url_check::{UrlFault, check_url};

/// One attempt to deliver a timer.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The record, as it was read when the attempt was decided.
    pub timer: Timer,
    /// From 1; see [`Timer::next_attempt`].
    pub attempt: u32,
    /// Grows strictly from attempt to attempt of a timer.
    pub fencing_token: u64,
    /// How long after it was due the attempt starts, in milliseconds.
    pub late_ms: u64,
    /// Names the cluster, in visible ASCII.
    pub cluster_id: Arc<str>,
    /// Whether a user asked for it now.
    pub manual: bool,
    /// The secrets of the timer's group, which the request is signed with; none: it is not signed.
    pub secrets: Vec<SecretBytes>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it means for the timer.
    pub result: AttemptResult,
    /// What the receiver answered, if it did; what had come of an answer that broke off.
    pub answer: Option<Answer>,
    /// When the attempt began.
    pub started_at: Millis,
    /// When it was answered, or given up.
    pub finished_at: Millis,
}
