//! The callback: a timer's record becomes an HTTP request, and the answer what an attempt came to.
//!
//! Deliberately absent: when to call, how many at once, and what to do with the outcome; that is
//! [`crate::shard`]'s. Signatures are absent as long as groups have no secrets.
//!
//! - [`sender`]: one attempt, from its record to its report
//! - [`request`]: the request's body and headers
//! - [`answer`]: what an answer means
//! - [`retry_after`]: when a receiver wants to be left alone
//! - [`url_check`]: what is known of a URL before its name is resolved
//! - [`guard`]: which addresses callbacks may go to
//! - [`resolver`]: names to addresses
//! - [`connector`]: connections to addresses that the guard lets through
//! - [`fault`]: why there was no answer

pub mod answer;
mod body;
pub mod connector;
pub mod fault;
pub mod guard;
pub mod limits;
pub mod request;
pub mod resolver;
pub mod retry_after;
pub mod sender;
mod stream;
mod text;
mod tls;
pub mod url_check;

pub use guard::{AddressPolicy, PolicyFault};
pub use resolver::{Resolve, SystemResolver};
pub use sender::{Attempt, Report, Sender, SenderError, SenderSettings};
pub use tls::TrustedRoots;
pub use url_check::{UrlFault, check_url};
