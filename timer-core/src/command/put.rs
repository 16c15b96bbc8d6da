//! Create a timer, or replace what it was by a new definition.

use crate::command::{Fence, Precondition};
use crate::definition::Definition;
use crate::ids::TimerKey;
use crate::timer::Fingerprint;

/// PUT and POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The timer.
    pub key: TimerKey,
    /// Its new definition, complete.
    pub definition: Definition,
    /// Of the definition as sent (`delay` and not the time that it came to).
    pub fingerprint: Fingerprint,
    /// Whether it may replace.
    pub mode: PutMode,
    /// What must hold.
    pub precondition: Precondition,
    /// What was on its way.
    pub fence: Fence,
}

/// Whether a put may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// PUT.
    CreateOrReplace,
    /// POST.
    CreateOnly,
}
