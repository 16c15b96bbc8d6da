//! The client's own bounds, in one place. The server's are in `GET /info`.

use std::time::Duration;

/// Bytes of an answer's body: a timer's payload is at most 256 KiB, a third more in base64.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Bytes of one file of certificate authorities.
pub const CA_BYTES_MAX: u64 = 1 << 20;
/// Endpoints of one client.
pub const ENDPOINTS_MAX: usize = 64;
/// How long to try to connect.
pub const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long an idle connection is kept.
pub const IDLE_MAX: Duration = Duration::from_secs(30);
/// Bytes of an answer that is not a problem document, as an error repeats them.
pub const QUOTE_BYTES_MAX: usize = 200;
