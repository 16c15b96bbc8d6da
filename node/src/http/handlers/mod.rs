//! The operations of the API, one a file, and what those that change a timer have in common.

pub mod batch;
pub mod cluster;
pub mod create_signing_secret;
pub mod create_timer;
pub mod delete_group;
pub mod delete_signing_secret;
pub mod delete_timer;
pub mod dev_clock;
pub mod error_page;
pub mod fire_timer;
pub mod get_group;
pub mod get_timer;
pub mod health;
pub mod info;
pub mod list_attempts;
pub mod list_groups;
pub mod list_signing_secrets;
pub mod list_timers;
pub mod metrics;
pub mod patch_group;
pub mod patch_timer;
pub mod pause_group;
pub mod put_group;
pub mod put_timer;
pub mod redrive_timer;
pub mod routing;
pub mod test_callback;
pub mod unknown;

mod group_change;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use timer_core::command::{Command, Done, Precondition, Reply};
use timer_core::ids::TimerKey;
use timer_core::timer::{Effect, Fingerprint};

use super::HttpState;
use super::context::{self, RequestId};
use super::input::fingerprint;
use super::output::{self, Reveal};
use super::problem::{self, Problem};
use super::query::{IF_GENERATION, IF_IN_FLIGHT, Query};
use super::{conditional, ids};

/// The header that marks an answer as that of an earlier request with the same `Idempotency-Key`.
const REPLAYED: &str = "idempotency-replayed";

/// Query parameters of changes that take a definition out of force.
const CONDITIONS: [&str; 2] = [IF_GENERATION, IF_IN_FLIGHT];

/// A request to change one timer, before its body is read.
struct Change {
    key: TimerKey,
    query: Query,
    precondition: Precondition,
    idempotency_key: Option<String>,
    request_id: RequestId,
    headers: HeaderMap,
}

impl Change {
    /// Reads what stands outside of the body. `known`: the query parameters that there are.
    fn of(parts: &Parts, known: &[&str]) -> Result<Self, Problem> {
        let key = ids::timer_key(parts.uri.path())?;
        Self::of_key(parts, key, known)
    }

    /// As [`Change::of`], where the path does not name the timer.
    fn of_key(parts: &Parts, key: TimerKey, known: &[&str]) -> Result<Self, Problem> {
        let query = Query::parse(parts.uri.query(), known)?;
        Ok(Self {
            key,
            precondition: conditional::precondition(&parts.headers, &query)?,
            query,
            idempotency_key: context::idempotency_key(&parts.headers)?,
            request_id: request_id(parts),
            headers: parts.headers.clone(),
        })
    }

    /// Replicates `command`. `operation` and `body` say in the request's fingerprint what was asked for.
    async fn submit(
        self,
        state: &HttpState,
        operation: &str,
        body: Option<Fingerprint>,
        command: Command,
    ) -> Result<Answer, Problem> {
        let fingerprint = fingerprint::of_request(operation, &self.key, &self.precondition, body);
        let context =
            context::of_change(state, &self.request_id, &self.headers, self.idempotency_key, fingerprint);
        let reply = state.backend.submit(context, command).await?;
        // Now the node knows the group.
        let shard = state.backend.shard_of(&self.key);
        match reply {
            Reply::Done(done) => Ok(Answer { done: *done, shard }),
            Reply::Refused(refusal) => Err(problem::of_refusal(&refusal, shard)),
            Reply::Outcome(_)
            | Reply::SessionOpened(_)
            | Reply::Group(_)
            | Reply::GroupHeld(_)
            | Reply::Ack => Err(output::unexpected_reply()),
        }
    }
}

/// What a change did.
struct Answer {
    done: Done,
    shard: u16,
}

impl Answer {
    /// The answer that shows the timer: 201 if it was created, also when that answer is given again.
    fn response(&self) -> Result<Response, Problem> {
        let Done { effect, timer, in_flight, replayed } = &self.done;
        let created = matches!(effect, Effect::Created);
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = output::timer_response(status, timer, self.shard, *in_flight, Reveal::No)?;
        if created {
            let location = HeaderValue::from_str(&ids::location(&timer.key));
            let location = location.map_err(|error| Problem::internal(&error.to_string()))?;
            response.headers_mut().insert(header::LOCATION, location);
        }
        if *replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

/// The id that the outermost layer gave to the request.
fn request_id(parts: &Parts) -> RequestId {
    parts.extensions.get().cloned().unwrap_or_else(|| RequestId(String::new()))
}

/// A request without a body of interest, whose query must be empty.
fn no_query(request: &Request) -> Result<(), Problem> {
    Query::parse(request.uri().query(), &[]).map(drop)
}
