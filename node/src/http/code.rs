//! The error codes of the API: the one table of names, statuses and titles. A code is for ever; each has a
//! page in `docs/errors/`.

use axum::http::StatusCode;

/// What kind of problem an answer reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request breaks the schema.
    InvalidArgument,
    /// The cursor of a list is not one of ours.
    CursorInvalid,
    /// No valid token.
    Unauthenticated,
    /// The token does not allow it.
    PermissionDenied,
    /// No timer of this id.
    TimerNotFound,
    /// No group of this name.
    GroupNotFound,
    /// No signing secret of this id.
    SigningSecretNotFound,
    /// No such path.
    RouteNotFound,
    /// The path has other methods.
    MethodNotAllowed,
    /// The id is taken by another definition.
    TimerExists,
    /// It can't be changed any more.
    TimerFinished,
    /// It is not finished, and what was asked for needs that.
    TimerNotFinished,
    /// `ifInFlight=refuse`, and an attempt is or may be on its way.
    AttemptInFlight,
    /// The group is paused.
    GroupPaused,
    /// The group has timers.
    GroupNotEmpty,
    /// A precondition failed.
    VersionMismatch,
    /// The body or the payload is too large.
    PayloadTooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The request breaks a limit.
    OutOfRange,
    /// Callbacks must not go there.
    BlockedAddress,
    /// The same `Idempotency-Key` came with another request.
    IdempotencyKeyReused,
    /// The group has as much as it may have.
    QuotaExceeded,
    /// Too many requests.
    RateLimited,
    /// A fault of ours.
    Internal,
    /// The shard has no leader that answers.
    ShardUnavailable,
    /// A queue is full.
    Overloaded,
    /// No answer in time.
    Timeout,
    /// The disk is full.
    DiskFull,
}

impl Code {
    /// All codes, by status.
    pub const ALL: [Self; 28] = [
        Self::InvalidArgument,
        Self::CursorInvalid,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::TimerNotFound,
        Self::GroupNotFound,
        Self::SigningSecretNotFound,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::TimerExists,
        Self::TimerFinished,
        Self::TimerNotFinished,
        Self::AttemptInFlight,
        Self::GroupPaused,
        Self::GroupNotEmpty,
        Self::VersionMismatch,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::OutOfRange,
        Self::BlockedAddress,
        Self::IdempotencyKeyReused,
        Self::QuotaExceeded,
        Self::RateLimited,
        Self::Internal,
        Self::ShardUnavailable,
        Self::Overloaded,
        Self::Timeout,
        Self::DiskFull,
    ];

    /// Status, name and title.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::InvalidArgument => (400, "INVALID_ARGUMENT", "The request is not valid"),
            Self::CursorInvalid => (400, "CURSOR_INVALID", "The cursor is not valid"),
            Self::Unauthenticated => (401, "UNAUTHENTICATED", "A valid token is needed"),
            Self::PermissionDenied => (403, "PERMISSION_DENIED", "The token does not allow this"),
            Self::TimerNotFound => (404, "TIMER_NOT_FOUND", "There is no such timer"),
            Self::GroupNotFound => (404, "GROUP_NOT_FOUND", "There is no such group"),
            Self::SigningSecretNotFound => {
                (404, "SIGNING_SECRET_NOT_FOUND", "There is no such signing secret")
            }
            Self::RouteNotFound => (404, "ROUTE_NOT_FOUND", "There is no such path"),
            Self::MethodNotAllowed => (405, "METHOD_NOT_ALLOWED", "The path has other methods"),
            Self::TimerExists => (409, "TIMER_EXISTS", "The id is taken by another timer"),
            Self::TimerFinished => (409, "TIMER_FINISHED", "The timer is finished"),
            Self::TimerNotFinished => (409, "TIMER_NOT_FINISHED", "The timer is not finished"),
            Self::AttemptInFlight => (409, "ATTEMPT_IN_FLIGHT", "An attempt is or may be on its way"),
            Self::GroupPaused => (409, "GROUP_PAUSED", "The group is paused"),
            Self::GroupNotEmpty => (409, "GROUP_NOT_EMPTY", "The group still has timers"),
            Self::VersionMismatch => (412, "VERSION_MISMATCH", "A precondition does not hold"),
            Self::PayloadTooLarge => (413, "PAYLOAD_TOO_LARGE", "The body or the payload is too large"),
            Self::UnsupportedMediaType => (415, "UNSUPPORTED_MEDIA_TYPE", "The body must be JSON"),
            Self::OutOfRange => (422, "OUT_OF_RANGE", "The request breaks a limit"),
            Self::BlockedAddress => (422, "BLOCKED_ADDRESS", "Callbacks must not go to this address"),
            Self::IdempotencyKeyReused => {
                (422, "IDEMPOTENCY_KEY_REUSED", "The Idempotency-Key was used for another request")
            }
            Self::QuotaExceeded => (429, "QUOTA_EXCEEDED", "The group's quota is used up"),
            Self::RateLimited => (429, "RATE_LIMITED", "Too many requests"),
            Self::Internal => (500, "INTERNAL", "Internal error"),
            Self::ShardUnavailable => (503, "SHARD_UNAVAILABLE", "The shard has no leader that answers"),
            Self::Overloaded => (503, "OVERLOADED", "The server is overloaded"),
            Self::Timeout => (504, "TIMEOUT", "No answer in time"),
            Self::DiskFull => (507, "DISK_FULL", "The disk is full"),
        }
    }

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().1
    }

    /// One line for people, the same for every problem of this code.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The code of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The page that explains it, which every node serves itself: [`DOCS_PATH`] and the name.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("{DOCS_PATH}{}", self.as_str())
    }
}

/// Where the pages of the error codes are served.
pub const DOCS_PATH: &str = "/docs/errors/";
