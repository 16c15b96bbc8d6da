//! The REST API held against its contract, on the real rules of timers and a cluster that is a map.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends by a panic")]

mod attempts;
mod batch;
mod conditions;
mod contract;
mod contract_check;
mod coverage;
mod errors;
mod groups;
mod ids;
mod input;
mod list;
mod operations;
mod repetition;
mod schema;
mod server;
mod signing_secrets;
mod support;
mod times;
