//! The numbers of enums. Each stands in one table, beside the name that store.proto gives it.

use timer_core::attempt::Trigger;
use timer_core::command::{GroupStep, PutMode};
use timer_core::definition::{BodyMode, Method};
use timer_core::group::Phase;
use timer_core::timer::{Effect, ErrorKind, State};

use crate::error::DecodeError;
use crate::wire::store as wire;

/// An enum of timer-core that has a number in store.proto. `0` is nobody's.
pub trait Numbered: Copy + 'static {
    /// All of them, in the order of their numbers.
    const EVERY: &'static [Self];
    /// Its number.
    fn number(self) -> i32;
    /// Whose number this is.
    fn from_number(number: i32) -> Option<Self>;
}

macro_rules! numbered {
    ($name:ident: $($variant:ident),+) => {
        impl Numbered for $name {
            const EVERY: &'static [Self] = &[$(Self::$variant),+];

            fn number(self) -> i32 {
                match self {
                    $(Self::$variant => wire::$name::$variant as i32,)+
                }
            }

            fn from_number(number: i32) -> Option<Self> {
                match wire::$name::try_from(number).ok()? {
                    wire::$name::Unspecified => None,
                    $(wire::$name::$variant => Some(Self::$variant),)+
                }
            }
        }
    };
}

numbered!(PutMode: CreateOrReplace, CreateOnly);
numbered!(Method: Post, Put, Patch, Get, Delete);
numbered!(BodyMode: Envelope, Payload);
numbered!(State: Scheduled, Retrying, Delivered, Dead, Skipped, Cancelled);
numbered!(
    Effect: Created, Replaced, Unchanged, Patched, Cancelled, AlreadyCancelled, Purged, Fired, Redriven
);
numbered!(Phase: Open, Closed, Gone);
numbered!(GroupStep: Settle, Close, Reopen, Remove);
numbered!(
    ErrorKind: HttpStatus, ReceiverRefused, TimedOut, Connect, Dns, Tls, Transport, BlockedAddress,
    InvalidCallbackAnswer, TooManyDeferrals, InvalidCallback, TlsCertificateExpired, TlsWrongHost, TlsUnknownCa,
    TlsProtocol, ConnectionRefused, ConnectionReset, ConnectTimedOut, AnswerTimedOut, ReadTimedOut
);
numbered!(Trigger: Schedule, Retry, Fire, Redrive);

/// Whose number this is, in a field that must name somebody.
pub(crate) fn known<T: Numbered>(
    value: i32,
    message: &'static str,
    field: &'static str,
) -> Result<T, DecodeError> {
    T::from_number(value).ok_or(DecodeError::Unknown { message, field, value })
}

/// Whose number this is, where `0` means that the field stays as it is.
pub(crate) fn known_or_none<T: Numbered>(
    value: i32,
    message: &'static str,
    field: &'static str,
) -> Result<Option<T>, DecodeError> {
    if value == 0 { Ok(None) } else { known(value, message, field).map(Some) }
}
