//! Bounds of the HTTP layer alone, in one place. What every replica must agree on lies in
//! [`timer_core::limits`].

use std::time::Duration;

/// Bytes of the body of a request that is no batch, unless a node's setting is less.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a connection may wait for a request's headers, idle time before them counted: above the 60 s after
/// which common load balancers drop an idle connection, so that they never send on one that we just closed.
pub const HEADER_READ_MAX: Duration = Duration::from_secs(75);
/// How long a client may take to shake hands for TLS, from the connection on: a client that has something to say does it
/// at once, also from the other side of the world.
pub const TLS_HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Bytes that are read of a request in plain HTTP to a port of TLS, so that its client gets to read the answer.
pub const PLAIN_REQUEST_BYTES_MAX: usize = 64 << 10;
/// How often an HTTP/2 client is asked whether it is still there.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// Bytes of a batch's body, unless a node sets something else: 16 MiB of payloads take 22 MiB in base64.
pub const BATCH_BYTES_MAX_DEFAULT: usize = 24 << 20;
/// Operations in one batch.
pub const BATCH_OPERATIONS_MAX: usize = 1_000;
/// Batches that a node takes at the same time: their bodies lie in memory.
pub const BATCHES_AT_ONCE_MAX: usize = 8;
/// How long a client may take to read a batch's answer, from the end of the batch's time, before another batch gets its
/// place.
pub const BATCH_READ_MAX: Duration = Duration::from_secs(30);
/// What a client whose batch found no place in its time is told to wait.
pub const BATCH_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Operations of one batch that are under way at the same time: enough to fill entries of every shard, and few enough
/// that single requests find room between them.
pub const BATCH_OPERATIONS_AT_ONCE: usize = 64;
/// Timers of a page of a list, unless the request says something else.
pub const LIST_LIMIT_DEFAULT: usize = 100;
/// Timers of a page of a list.
pub const LIST_LIMIT_MAX: usize = 1_000;
/// Bytes of the timers of a page, about: with large payloads a page has fewer than were asked for.
pub const LIST_BYTES_MAX: usize = 4 << 20;
/// Pages that a node reads at the same time: they lie in memory.
pub const LISTS_AT_ONCE_MAX: usize = 16;
/// What a client whose list found no place in its time is told to wait.
pub const LIST_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a client may take to send a body.
pub const BODY_READ_MAX: Duration = Duration::from_secs(30);
/// How long a request waits for the cluster.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);
/// Open connections; what comes beyond waits in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Requests of one HTTP/2 connection at the same time.
pub const STREAMS_MAX: u32 = 256;
/// How long open requests may go on after the signal to stop.
pub const DRAIN_MAX: Duration = Duration::from_secs(15);
/// Bytes of a client's own `X-Request-Id`.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Entity tags in one `If-Match`.
pub const IF_MATCH_TAGS_MAX: usize = 16;
/// Members of one JSON object in a request, duplicates counted.
pub const MEMBERS_MAX: usize = 256;
/// Faults listed in one answer; the rest is counted.
pub const FAULTS_MAX: usize = 100;
/// Bytes of a payload's `contentType`.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;
/// The largest `backoffMultiplier`, in thousandths.
pub const MULTIPLIER_MILLI_MAX: u32 = 100_000;
/// Bytes of a client's text that an error message repeats.
pub const QUOTE_BYTES_MAX: usize = 64;
