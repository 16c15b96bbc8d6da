//! What the process says of itself: log lines and metrics. Nothing here decides anything.

mod labels;
pub mod log;
pub mod metrics;
mod process;
