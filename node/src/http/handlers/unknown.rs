//! What is answered where there is no operation.

use axum::extract::Request;

use crate::http::ids::GROUPS_PATH;
use crate::http::input::reader::quote;
use crate::http::problem::{Code, Problem};

/// Answers for a path that has no operations.
pub async fn unknown_route(request: Request) -> Problem {
    let path = quote(request.uri().path());
    // Who left out the beginning is told where to look.
    let hint = if request.uri().path().starts_with(GROUPS_PATH) {
        String::new()
    } else {
        format!("; timers are at {GROUPS_PATH}{{group}}/timers/{{id}}")
    };
    Problem::new(Code::RouteNotFound, format!("there is nothing at {path}{hint}"))
}

/// Answers for a method that a path does not have. The router adds `Allow`.
pub async fn unknown_method(request: Request) -> Problem {
    let method = quote(request.method().as_str());
    Problem::new(Code::MethodNotAllowed, format!("this path does not take {method}; see Allow"))
}
