//! What the operations that change a group have in common.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use timer_core::command::{GroupDone, Precondition, PutGroup, Reply};
use timer_core::timer::Effect;

use super::{REPLAYED, request_id};
use crate::backend::RequestContext;
use crate::http::HttpState;
use crate::http::context::{self, RequestId};
use crate::http::input::fingerprint;
use crate::http::input::group::SentGroup;
use crate::http::problem::{self, Problem};
use crate::http::query::Query;
use crate::http::{conditional, group_output, ids, output};

/// A request to change one group, before its body is read.
pub(super) struct GroupChange {
    pub(super) name: String,
    pub(super) precondition: Precondition,
    idempotency_key: Option<String>,
    request_id: RequestId,
    headers: HeaderMap,
}

impl GroupChange {
    /// Reads what stands outside of the body.
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        let name = ids::group(parts.uri.path())?;
        let query = Query::parse(parts.uri.query(), &[])?;
        Ok(Self {
            name,
            precondition: conditional::precondition(&parts.headers, &query)?,
            idempotency_key: context::idempotency_key(&parts.headers)?,
            request_id: request_id(parts),
            headers: parts.headers.clone(),
        })
    }

    /// The same, of a change that takes no condition.
    pub(super) fn unconditional(parts: &Parts) -> Result<Self, Problem> {
        let change = Self::of(parts)?;
        if change.precondition != Precondition::default() {
            return Err(Problem::invalid(
                "If-Match",
                "and If-None-Match have no meaning for signing secrets",
            ));
        }
        Ok(change)
    }

    /// The context of the change. `operation` and `sent` say in the request's fingerprint what was asked for.
    pub(super) fn context(
        &self,
        state: &HttpState,
        operation: &str,
        sent: Option<&SentGroup>,
    ) -> RequestContext {
        let fingerprint = fingerprint::of_group_request(operation, &self.name, &self.precondition, sent);
        let key = self.idempotency_key.clone();
        context::of_change(state, &self.request_id, &self.headers, key, fingerprint)
    }

    /// Makes or changes the group, and answers with it.
    pub(super) async fn put(
        &self,
        state: &HttpState,
        context: RequestContext,
        put: PutGroup,
    ) -> Result<Response, Problem> {
        self.answer(state.backend.put_group(context, put).await?)
    }

    /// Answers with the group that `reply` is about: 201 if it was made, also when that answer is given again.
    pub(super) fn answer(&self, reply: Reply) -> Result<Response, Problem> {
        let done = done(reply)?;
        let created = matches!(done.effect, Effect::Created);
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = group_output::response(status, &done.group)?;
        if created {
            let location = HeaderValue::from_str(&ids::group_location(&self.name));
            let location = location.map_err(|error| Problem::internal(&error.to_string()))?;
            response.headers_mut().insert(header::LOCATION, location);
        }
        if done.replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

/// What became of the group, if it was changed.
pub(super) fn done(reply: Reply) -> Result<Box<GroupDone>, Problem> {
    match reply {
        Reply::Group(done) => Ok(done),
        Reply::Refused(refusal) => Err(problem::of_group_refusal(&refusal)),
        Reply::Done(_) | Reply::Outcome(_) | Reply::SessionOpened(_) | Reply::GroupHeld(_) | Reply::Ack => {
            Err(output::unexpected_reply())
        }
    }
}
