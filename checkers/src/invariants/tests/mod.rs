//! Hand-made histories for each promise: bad ones for each way to break it, and good ones that look bad.

mod definite;
mod ghosts;
mod lost;
mod purged;
mod retries;
mod sessions;
mod whole;
