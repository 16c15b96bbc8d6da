//! An asynchronous client of the durable-timer REST API, and helpers for services that receive its callbacks.
//! The contract is `api.yaml`; nothing here does more than it says.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use durable_timer::{CallOptions, Client, TimerInput, TimerName};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder()
//!     .endpoint("http://timers-1:8080")
//!     .endpoint("http://timers-2:8080")
//!     .build()?;
//! let name = TimerName::new("default", "invoice/4711");
//! let input = TimerInput::after(Duration::from_secs(3600), "https://billing.example.com/remind")
//!     .json_payload(&serde_json::json!({"invoice": 4711}))?;
//! let answer = client.put(&name, &input, &CallOptions::default()).await?;
//! println!("due at {}", answer.value.execute_at);
//! # Ok(())
//! # }
//! ```
//!
//! # Repeats
//! Every change carries an `Idempotency-Key`, minted once per call, so that the client may repeat it: when no
//! connection can be made or one is lost, and after 429, 502, 503 and 504. Repeats go to the next endpoint,
//! wait longer each time, honour `Retry-After`, and end with the bounds of [`RetrySettings`]. What then comes
//! back says whether the change may have taken effect: [`Error::outcome`].
//!
//! # Receiving
//! [`receiver`] reads a callback's headers and refuses stale senders. Deliberately absent: verification of
//! signatures, which any Standard Webhooks library does on `webhook-id`, `webhook-timestamp`,
//! `webhook-signature` and the body's raw bytes with the secrets of [`Client::create_signing_secret`].

pub mod client;
pub mod duration;
pub mod error;
pub mod limits;
pub mod model;
pub mod path;
pub mod receiver;

pub use client::builder::ClientBuilder;
pub use client::retry::RetrySettings;
pub use client::{Answer, CallOptions, Client};
pub use error::{BuildError, Error, Failure, Outcome, Problem, TlsFault};
pub use model::attempt::{Attempt, AttemptError, AttemptList, AttemptOutcome, Trigger};
pub use model::batch::{BatchOperation, BatchResult, BatchResults};
pub use model::cluster::{Clock, ClusterView, Info, NodeView, Routing, ShardLeader, ShardView};
pub use model::group::{Group, GroupInput, GroupPage};
pub use model::input::{RetryPolicyInput, TimerInput};
pub use model::list::{ListOptions, ListOrder, TimerPage};
pub use model::patch::{RetryPolicyPatch, TimerPatch};
pub use model::secret::{NewSigningSecret, SigningSecret, SigningSecretList};
pub use model::timer::{InFlight, LastError, RetryPolicy, State, Timer};
pub use path::TimerName;
