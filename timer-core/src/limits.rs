//! Every bound of the replicated rules, in one place. Replicas must agree on these: a change is a change of
//! the format and needs an ADR.

use crate::time::Span;

/// Commands in one log entry; also the radix of [`Sequence`](crate::ids::Sequence).
pub const COMMANDS_PER_ENTRY_MAX: u32 = 4096;
/// The largest log index: with [`COMMANDS_PER_ENTRY_MAX`] it keeps sequences below 2^53.
pub const LOG_INDEX_MAX: u64 = (1 << 41) - 1;
/// Bytes of an encoded log entry.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a group's name.
pub const GROUP_NAME_BYTES_MAX: usize = 63;
/// Bytes of a timer's id.
pub const TIMER_ID_BYTES_MAX: usize = 255;
/// Bytes of a callback URL.
pub const URL_BYTES_MAX: usize = 2048;
/// Headers of a callback.
pub const HEADERS_MAX: usize = 20;
/// Bytes of all callback header names and values together.
pub const HEADERS_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a payload.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Labels of a timer.
pub const LABELS_MAX: usize = 16;
/// Bytes of a label's key, and of its value.
pub const LABEL_BYTES_MAX: usize = 63;
/// Status codes in a retry policy's `deadOn`.
pub const DEAD_ON_MAX: usize = 100;

/// The least and most of `callbackTimeout`, and what is used when it is not named.
pub const CALLBACK_TIMEOUT_MIN: Span = Span::from_secs(1);
/// See [`CALLBACK_TIMEOUT_MIN`].
pub const CALLBACK_TIMEOUT_MAX: Span = Span::from_secs(300);
/// See [`CALLBACK_TIMEOUT_MIN`].
pub const CALLBACK_TIMEOUT_DEFAULT: Span = Span::from_secs(30);

/// Attempts of a retry policy.
pub const ATTEMPTS_MAX: u32 = 100;
/// The longest `maxInterval` and `initialInterval` of a retry policy.
pub const RETRY_INTERVAL_MAX: Span = Span::from_secs(7 * 24 * 3600);
/// The longest `maxDuration` of a retry policy.
pub const RETRY_DURATION_MAX: Span = Span::from_secs(365 * 24 * 3600);
/// How far `executeAt` may lie ahead: 10 years of 365.25 days.
pub const HORIZON_MAX: Span = Span::from_secs(315_576_000);

/// "Not yet" answers of a receiver before the timer is dead.
pub const DEFERRALS_MAX: u32 = 1000;
/// The least time from an answer to the `nextExecuteAt` that it names.
pub const DEFERRAL_DELAY_MIN: Span = Span::from_secs(1);

/// Answers kept with a timer so that a repeated request gets the first answer again.
pub const KEPT_ANSWERS_MAX: usize = 4;
/// How long a kept answer is good for.
pub const KEPT_ANSWER_AGE_MAX: Span = Span::from_secs(24 * 3600);
/// Bytes of a request id or `Idempotency-Key`.
pub const REQUEST_ID_BYTES_MAX: usize = 255;
/// Bytes of the text of a kept error.
pub const ERROR_BYTES_MAX: usize = 1024;
/// Attempts that the history of a timer keeps: the newest.
pub const ATTEMPTS_KEPT_MAX: u8 = 20;
/// Bytes of an answer's body that the history keeps: the first.
pub const ANSWER_KEPT_BYTES_MAX: usize = 1024;

/// Timers that one command parks or releases.
pub const PARKED_AT_ONCE_MAX: usize = 512;

/// How long a delivered, skipped or cancelled timer is kept unless its group says otherwise.
pub const RETENTION: Span = Span::from_secs(24 * 3600);
/// How long a dead timer is kept unless its group says otherwise.
pub const DEAD_RETENTION: Span = Span::from_secs(30 * 24 * 3600);
/// The least that a group may ask for: a repeated DELETE has the same answer for at least an hour.
pub const RETENTION_MIN: Span = Span::from_secs(3600);
/// The most that a group may ask for.
pub const RETENTION_MAX: Span = Span::from_secs(365 * 24 * 3600);
/// Names of groups that a cluster has ever had, deleted ones included: what is left of them is never erased.
pub const GROUPS_MAX: u64 = 100_000;
/// The largest bound on a group's pending timers.
pub const GROUP_PENDING_MAX: u64 = 1_000_000_000;
/// Signing secrets of a group: two while one takes the other's place, and a few for receivers that do so in turn. Every
/// callback is signed with each.
pub const SIGNING_SECRETS_MAX: usize = 5;
/// Bytes of a signing secret: as many as SHA-256 gives, within the 24 to 64 that Standard Webhooks asks for.
pub const SECRET_BYTES: usize = 32;

/// By how much the clock of a leader may be ahead of true time.
pub const CLOCK_OFFSET_MAX: Span = Span(250);
