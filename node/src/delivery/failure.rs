//! Why an attempt got no answer, in words that help whoever reads them at night.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use hyper_util::client::legacy;
use timer_core::command::AttemptResult;
use timer_core::limits::ERROR_BYTES_MAX;
use timer_core::time::Millis;
use timer_core::timer::{ErrorKind, LastError};

use super::connector::ConnectError;

/// Why an attempt got no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    message: String,
}

impl Failure {
    /// The callback can't be made into a request.
    pub(super) fn invalid(fault: &impl Error) -> Self {
        Self { kind: ErrorKind::InvalidCallback, message: fault.to_string() }
    }

    /// The time-out passed while `waiting_for` was awaited.
    pub(crate) fn timed_out(after: Duration, waiting_for: &str) -> Self {
        Self { kind: ErrorKind::TimedOut, message: format!("{waiting_for} within {} ms", after.as_millis()) }
    }

    /// The body of an answer broke off.
    pub(super) fn broken_body(error: &hyper::Error) -> Self {
        let message = format!("the answer broke off: {}", chain(error));
        Self { kind: ErrorKind::Transport, message }
    }

    /// The client gave up.
    pub(super) fn of_client(error: &legacy::Error) -> Self {
        if let Some(connect) = find::<ConnectError>(error) {
            return Self { kind: connect.kind(), message: connect.to_string() };
        }
        if error.is_connect() && find::<hyper::Error>(error).is_none() {
            let message = format!("no TLS connection: {}", causes(error));
            return Self { kind: ErrorKind::Tls, message };
        }
        Self { kind: ErrorKind::Transport, message: format!("no answer: {}", causes(error)) }
    }

    /// What it means for the timer. An answer whose body never ended has a status all the same.
    pub(super) fn result(self, status: Option<StatusCode>, at: Millis) -> AttemptResult {
        let permanent = matches!(self.kind, ErrorKind::BlockedAddress | ErrorKind::InvalidCallback);
        AttemptResult::Failed {
            error: error(self.kind, status, self.message, at),
            retry_after: None,
            permanent,
        }
    }
}

/// An error of a timer, its message cut to what is kept.
pub(super) fn error(
    kind: ErrorKind,
    status: Option<StatusCode>,
    mut message: String,
    at: Millis,
) -> LastError {
    message.truncate(message.floor_char_boundary(ERROR_BYTES_MAX));
    LastError { kind, status: status.map(|status| status.as_u16()), message, at }
}

/// The first error of this type among the causes.
pub(super) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error and its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Wrappers repeat what they wrap.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// The causes alone: the client's own words say nothing.
fn causes(error: &legacy::Error) -> String {
    error.source().map_or_else(|| error.to_string(), chain)
}
