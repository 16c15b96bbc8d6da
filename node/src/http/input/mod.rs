//! What clients send about a timer, read strictly: every fault is found, none is repaired.
//!
//! Two shapes share one reader: a whole definition (PUT, POST) and a merge patch. The difference is what must
//! be there and what a null means.

pub mod batch;
pub mod callback;
pub mod faults;
pub mod fingerprint;
pub mod group;
pub mod json;
pub mod list;
pub mod payload;
pub mod policy;
pub mod reader;
pub mod sent;
pub mod values;

use std::fmt;
use std::sync::Arc;

pub use sent::{Rules, Sent, When};

/// Which of the two a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A whole definition: a null is a fault.
    Whole,
    /// A merge patch: a null sets back to the default, or removes.
    Patch,
}

impl Shape {
    /// What a null means for a field whose default is `standard`.
    fn null<T>(self, standard: T) -> reader::Null<T> {
        match self {
            Self::Whole => reader::Null::Refused,
            Self::Patch => reader::Null::Means(standard),
        }
    }
}

/// Why callbacks may not go to a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlFault {
    /// It is no URL that could be called. For people.
    Invalid(String),
    /// The address policy forbids it. For people.
    Blocked(String),
}

/// Says whether callbacks may go to a URL, as far as that is known without resolving its name.
#[derive(Clone)]
pub struct UrlCheck(Arc<CheckFn>);

/// The function behind a [`UrlCheck`].
type CheckFn = dyn Fn(&str) -> Result<(), UrlFault> + Send + Sync;

impl UrlCheck {
    /// A check by `check`.
    pub fn new(check: impl Fn(&str) -> Result<(), UrlFault> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Checks `url`.
    ///
    /// # Errors
    /// When callbacks may not go there.
    pub fn check(&self, url: &str) -> Result<(), UrlFault> {
        (self.0)(url)
    }
}

impl fmt::Debug for UrlCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlCheck")
    }
}
