//! Takes a request's body: its media type, its size and the time it takes are bounded before it is read.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::HttpState;
use super::limits::BODY_BYTES_MAX;
use super::problem::{Code, Problem};
use crate::backend::Applied;

/// Which media types a body may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json` and `+json`.
    Json,
    /// `application/json` and `application/merge-patch+json`.
    MergePatch,
}

/// JSON whose meaning is another than the document's own.
const PATCH_TYPES: [&str; 2] = ["application/json-patch+json", "application/merge-patch+json"];

/// Reads the whole body of a request that is no batch.
///
/// # Errors
/// As [`read_within`].
pub async fn read(
    state: &HttpState,
    headers: &HeaderMap,
    body: Body,
    media: Media,
) -> Result<Bytes, Problem> {
    let bytes_max = BODY_BYTES_MAX.min(state.settings.body_bytes_max);
    read_within(state, headers, body, media, bytes_max).await
}

/// Reads the whole body, of at most `bytes_max`.
///
/// # Errors
/// `UNSUPPORTED_MEDIA_TYPE`, `PAYLOAD_TOO_LARGE`, `TIMEOUT` if the client is too slow, and
/// `INVALID_ARGUMENT` if it breaks off.
pub async fn read_within(
    state: &HttpState,
    headers: &HeaderMap,
    body: Body,
    media: Media,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    check_media_type(headers, media)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| usize::try_from(bytes).map_or(true, |bytes| bytes > bytes_max)) {
        return Err(too_large(bytes_max));
    }
    let collected = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(state.settings.body_read_max, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Ok(Err(_)) => Err(Problem::invalid("body", "broke off")),
        Err(_) => Err(Problem::new(Code::Timeout, "the request's body did not arrive in time")
            .with_outcome(Applied::NotApplied)),
    }
}

/// Reads the body of an operation that takes none: nothing, or an empty object.
///
/// # Errors
/// As [`read`], and `INVALID_ARGUMENT` if there is something in it.
pub async fn read_none(state: &HttpState, headers: &HeaderMap, body: Body) -> Result<(), Problem> {
    let bytes = read(state, headers, body, Media::Json).await?;
    let text: Vec<u8> = bytes.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    if text.is_empty() || text == b"{}" {
        return Ok(());
    }
    Err(Problem::invalid("body", "must be empty"))
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("the body must not have more than {bytes_max} bytes"))
}

fn check_media_type(headers: &HeaderMap, media: Media) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::new(Code::UnsupportedMediaType, detail));
    if let Some(coding) = headers.get(header::CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return refuse("Content-Encoding must not be used".to_owned());
    }
    // Without the header a body is taken for JSON, as `curl -d` users with `-H 'Content-Type;'` expect.
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let fits = match media {
        Media::Json => {
            let is_json = essence == "application/json" || essence.ends_with("+json");
            is_json && !PATCH_TYPES.contains(&essence)
        }
        Media::MergePatch => matches!(essence, "application/json" | "application/merge-patch+json"),
    };
    if !fits {
        return refuse(format!("Content-Type must be {}", media.wanted()));
    }
    let charset = parts.find_map(|part| part.strip_prefix("charset="));
    match charset.map(|name| name.trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
        Some(_) => refuse("the charset must be utf-8".to_owned()),
    }
}

impl Media {
    const fn wanted(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MergePatch => "application/merge-patch+json or application/json",
        }
    }
}
