//! Bounds of callbacks that are this node's alone, in one place. What replicas must agree on lies in
//! [`timer_core::limits`].

use std::time::Duration;

/// Bytes of an answer's body that are read; a longer one is cut off there, and its connection closed.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an answer's status line and headers.
pub const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an answer's body that an error message repeats.
pub const SNIPPET_BYTES_MAX: usize = 512;
/// Addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 16;
/// How long one address may take to accept a connection.
pub const CONNECT_MAX: Duration = Duration::from_secs(5);
/// After so long without a connection the next address is tried beside the ones before.
pub const CONNECT_STAGGER: Duration = Duration::from_millis(250);
/// How long a name may take to resolve.
pub const RESOLVE_MAX: Duration = Duration::from_secs(10);
/// How long a connection may take with everything: name, address and TLS.
pub const CONNECTED_MAX: Duration = Duration::from_secs(30);
/// Names that are resolved at the same time. Each occupies a thread, and the runtime has 512.
pub const LOOKUPS_MAX: usize = 64;
/// No connection is used later than this after its name was resolved.
pub const RESOLUTION_AGE_MAX: Duration = Duration::from_secs(30);
/// How long a connection may idle before it is closed.
pub const IDLE_MAX: Duration = Duration::from_secs(10);
/// An answer from a connection older than this is its last. With [`IDLE_MAX`] it stays below
/// [`RESOLUTION_AGE_MAX`].
pub const CONNECTION_AGE_MAX: Duration = Duration::from_secs(15);
/// Idle connections kept for one destination.
pub const IDLE_CONNECTIONS_MAX: usize = 128;
/// A peer that had closed a pooled connection says so within a round trip; one that breaks it later than this
/// had the request.
pub const STALE_NOTICE_MAX: Duration = Duration::from_secs(1);
