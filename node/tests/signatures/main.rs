//! Signatures of callbacks as receivers check them: a real process calls, and what came over the wire is held against the
//! package that Standard Webhooks publishes, and against the receivers in docs/examples. One node in memory is enough: how
//! secrets get to shards is `processes/groups.rs`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../processes/client.rs"]
#[allow(dead_code, reason = "shared with other tests, which use other parts of it")]
mod client;
mod python;
mod receiver;
mod server;

mod canary;
mod examples;
mod package;
