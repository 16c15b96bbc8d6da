//! `GET /docs/errors/{code}`: the page of an error code, which every problem's `type` points to, so that the
//! explanation comes with the server that gave the error.

use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::http::code::{Code, DOCS_PATH};
use crate::http::problem::Problem;

/// Handles the operation.
///
/// # Errors
/// `ROUTE_NOT_FOUND` for a name that is no code's.
pub async fn error_page(request: Request) -> Result<Response, Problem> {
    let name = request.uri().path().strip_prefix(DOCS_PATH).unwrap_or_default();
    let code = Code::of(name)
        .ok_or_else(|| Problem::new(Code::RouteNotFound, "there is no error code of this name"))?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page(code)).into_response())
}

/// The text of a code's page.
#[must_use]
pub const fn page(code: Code) -> &'static str {
    macro_rules! file {
        ($name:literal) => {
            include_str!(concat!("../../../../docs/errors/", $name, ".md"))
        };
    }
    match code {
        Code::InvalidArgument => file!("INVALID_ARGUMENT"),
        Code::CursorInvalid => file!("CURSOR_INVALID"),
        Code::Unauthenticated => file!("UNAUTHENTICATED"),
        Code::PermissionDenied => file!("PERMISSION_DENIED"),
        Code::TimerNotFound => file!("TIMER_NOT_FOUND"),
        Code::GroupNotFound => file!("GROUP_NOT_FOUND"),
        Code::SigningSecretNotFound => file!("SIGNING_SECRET_NOT_FOUND"),
        Code::RouteNotFound => file!("ROUTE_NOT_FOUND"),
        Code::MethodNotAllowed => file!("METHOD_NOT_ALLOWED"),
        Code::TimerExists => file!("TIMER_EXISTS"),
        Code::TimerFinished => file!("TIMER_FINISHED"),
        Code::TimerNotFinished => file!("TIMER_NOT_FINISHED"),
        Code::AttemptInFlight => file!("ATTEMPT_IN_FLIGHT"),
        Code::GroupPaused => file!("GROUP_PAUSED"),
        Code::GroupNotEmpty => file!("GROUP_NOT_EMPTY"),
        Code::VersionMismatch => file!("VERSION_MISMATCH"),
        Code::PayloadTooLarge => file!("PAYLOAD_TOO_LARGE"),
        Code::UnsupportedMediaType => file!("UNSUPPORTED_MEDIA_TYPE"),
        Code::OutOfRange => file!("OUT_OF_RANGE"),
        Code::BlockedAddress => file!("BLOCKED_ADDRESS"),
        Code::IdempotencyKeyReused => file!("IDEMPOTENCY_KEY_REUSED"),
        Code::QuotaExceeded => file!("QUOTA_EXCEEDED"),
        Code::RateLimited => file!("RATE_LIMITED"),
        Code::Internal => file!("INTERNAL"),
        Code::ShardUnavailable => file!("SHARD_UNAVAILABLE"),
        Code::Overloaded => file!("OVERLOADED"),
        Code::Timeout => file!("TIMEOUT"),
        Code::DiskFull => file!("DISK_FULL"),
    }
}
