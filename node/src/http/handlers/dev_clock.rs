//! `GET` and `POST /dev/clock`: reads and advances the clock of `timerd dev --clock manual`, so that a test of
//! "in 30 days" takes a second. With any other clock the route does not exist.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use timer_core::time::{Millis, Span};

use super::no_query;
use crate::environment::{Clock as _, ManualClock};
use crate::http::HttpState;
use crate::http::body::{self, Media};
use crate::http::input::faults::{Fault, Faults};
use crate::http::input::reader::{Null, Reader};
use crate::http::input::values;
use crate::http::output;
use crate::http::problem::{Code, FieldFault, Problem};
use crate::rfc3339;

#[derive(Serialize)]
struct Now {
    now: String,
}

fn answer(now: Millis) -> Result<Response, Problem> {
    output::json_response(StatusCode::OK, &Now { now: rfc3339::format(now) })
}

fn clock(state: &HttpState) -> Result<ManualClock, Problem> {
    state.backend.manual_clock().ok_or_else(|| Problem::new(Code::RouteNotFound, "the clock runs by itself"))
}

/// Handles `GET /dev/clock`.
///
/// # Errors
/// The problem that is answered.
pub async fn read(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    no_query(&request)?;
    answer(clock(&state)?.now())
}

/// Handles `POST /dev/clock`.
///
/// # Errors
/// The problem that is answered.
pub async fn advance(State(state): State<HttpState>, request: Request) -> Result<Response, Problem> {
    no_query(&request)?;
    let (parts, body) = request.into_parts();
    let bytes = body::read(&state, &parts.headers, body, Media::Json).await?;
    let clock = clock(&state)?;
    match step(&bytes)? {
        // A clock that went less far than it was told to would hide that the rest never came.
        Step::By(span) if clock.now().0.saturating_add(span.0) > Millis::MAX.0 => {
            Err(out_of_range("by", format!("must not lead beyond {}", rfc3339::format(Millis::MAX))))
        }
        Step::By(span) => answer(clock.advance(span)),
        Step::To(to) => clock.advance_to(to).map_or_else(
            |now| {
                let now = rfc3339::format(now);
                Err(out_of_range("to", format!("must not lie before {now}: time does not go back")))
            },
            answer,
        ),
    }
}

fn out_of_range(field: &str, message: String) -> Problem {
    Problem::with_faults(Code::OutOfRange, vec![FieldFault::new(field, message)])
}

/// How far the clock is to go.
enum Step {
    By(Span),
    To(Millis),
}

fn step(bytes: &[u8]) -> Result<Step, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::invalid("body", "must be UTF-8"))?;
    let mut faults = Faults::default();
    let step = match Reader::new(text, "", &mut faults) {
        Ok(reader) => fields(reader),
        Err(fault) => {
            faults.add("body", fault);
            None
        }
    };
    faults.into_result(step)
}

fn fields(mut reader: Reader<'_, '_>) -> Option<Step> {
    let both = reader.has("by") == reader.has("to");
    let by = reader.value("by", Null::Refused, |raw| values::span(raw, Span(0), Span(Millis::MAX.0)));
    let to = reader.value("to", Null::Refused, values::instant);
    if both {
        reader.fault("by", Fault::schema("is needed, or to, but not both"));
    }
    reader.finish();
    by.map(Step::By).or(to.map(Step::To))
}
