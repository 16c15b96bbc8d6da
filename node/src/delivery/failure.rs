//! Why an attempt got no answer, in words that help whoever reads them at night.

use std::error::Error;
use std::io;
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

    /// The time-out passed while `waiting_for` was awaited; `kind` says which of the three it was.
    pub(crate) fn timed_out(kind: ErrorKind, after: Duration, waiting_for: &str) -> Self {
        Self { kind, message: format!("{waiting_for} within {} ms", after.as_millis()) }
    }

    /// The body of an answer broke off.
    pub(super) fn broken_body(error: &hyper::Error) -> Self {
        let message = format!("the answer broke off: {}", chain(error));
        Self { kind: fault_of_stream(error).unwrap_or(ErrorKind::Transport), message }
    }

    /// The client gave up.
    pub(super) fn of_client(error: &legacy::Error) -> Self {
        if let Some(connect) = find::<ConnectError>(error) {
            return Self { kind: connect.kind(), message: connect.to_string() };
        }
        // hyper has the connection once TLS is there; an error before that is none of its own.
        if error.is_connect() && find::<hyper::Error>(error).is_none() {
            let kind = fault_of_stream(error).unwrap_or_else(|| match find::<io::Error>(error) {
                Some(e) if e.kind() == io::ErrorKind::UnexpectedEof => ErrorKind::TlsProtocol,
                Some(_) | None => ErrorKind::Tls,
            });
            return Self { kind, message: format!("no TLS connection: {}", causes(error)) };
        }
        let kind = fault_of_stream(error).unwrap_or(ErrorKind::Transport);
        Self { kind, message: format!("no answer: {}", causes(error)) }
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
    LastError { kind, newer_kind: None, status: status.map(|status| status.as_u16()), message, at }
}

/// What TLS or the operating system says of a connection that was there, if it is one of theirs.
fn fault_of_stream(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    find::<rustls::Error>(error).map(tls_kind).or_else(|| find::<io::Error>(error).and_then(reset))
}

/// Whether the other side cut the connection off. After that, what is written meets a broken pipe.
pub(super) fn reset(error: &io::Error) -> Option<ErrorKind> {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    [BrokenPipe, ConnectionAborted, ConnectionReset]
        .contains(&error.kind())
        .then_some(ErrorKind::ConnectionReset)
}

/// What kind of failure a fault of TLS is.
#[expect(clippy::wildcard_enum_match_arm, reason = "rustls adds faults with its versions")]
fn tls_kind(fault: &rustls::Error) -> ErrorKind {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    match fault {
        rustls::Error::InvalidCertificate(fault) => match fault {
            Expired | ExpiredContext { .. } => ErrorKind::TlsCertificateExpired,
            NotValidForName | NotValidForNameContext { .. } => ErrorKind::TlsWrongHost,
            // One that was made anew under its old name signs with a key that nobody here knows.
            UnknownIssuer | BadSignature => ErrorKind::TlsUnknownCa,
            _ => ErrorKind::Tls,
        },
        // Nothing that the receiver did.
        rustls::Error::General(_) | rustls::Error::FailedToGetRandomBytes => ErrorKind::Tls,
        _ => ErrorKind::TlsProtocol,
    }
}

/// The innermost error of this type among the causes, which is the one that says what happened.
pub(super) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let (mut found, mut next) = (None, Some(error));
    while let Some(error) = next {
        found = error.downcast_ref().or(found);
        next = cause(error);
    }
    found
}

/// The cause of an error. An [`io::Error`] gives the cause of what it holds, not what it holds.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
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
