//! For services that receive callbacks: what a callback's headers say, and whether its sender is stale.
//!
//! A receiver sees each timer at least once. It does the work once by remembering `webhook-id`
//! ([`CallbackHeaders::webhook_id`]) together with the work, and refuses a leader that does not know yet that
//! it was replaced by [`FencingGuard`].

mod fencing;
mod headers;

pub use fencing::{Admission, FencingGuard};
pub use headers::{CallbackHeaders, HeaderFault};
