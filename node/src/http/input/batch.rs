//! The operations of a batch. Each becomes the request that it would be alone, so that what holds for one holds for the
//! other: what stands in a path, a query or a header there is a member here, and the other members are the body.

use std::fmt;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use timer_core::ids::TimerKey;

use super::faults::{Fault, Faults};
use super::reader::{Null, Reader, quote};
use super::sent::timer_id;
use super::values;
use crate::http::context::IDEMPOTENCY_KEY;
use crate::http::ids;
use crate::http::limits::BATCH_OPERATIONS_MAX;
use crate::http::problem::Problem;
use crate::http::query::{IF_GENERATION, IF_IN_FLIGHT, PURGE, REVEAL};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `PUT …/{id}`.
    Put,
    /// `POST …/timers`.
    Create,
    /// `GET …/{id}`.
    Get,
    /// `PATCH …/{id}`.
    Patch,
    /// `DELETE …/{id}`.
    Delete,
    /// `POST …/{id}/fire`.
    Fire,
    /// `POST …/{id}/redrive`.
    Redrive,
}

const KINDS: [(&str, Kind); 7] = [
    ("put", Kind::Put),
    ("create", Kind::Create),
    ("get", Kind::Get),
    ("patch", Kind::Patch),
    ("delete", Kind::Delete),
    ("fire", Kind::Fire),
    ("redrive", Kind::Redrive),
];

/// Members that stand in the query of the request, and the operations that have them.
const QUERY: [(&str, &[Kind]); 4] = [
    (IF_GENERATION, &[Kind::Put, Kind::Patch, Kind::Delete, Kind::Fire, Kind::Redrive]),
    (IF_IN_FLIGHT, &[Kind::Put, Kind::Patch, Kind::Delete]),
    (PURGE, &[Kind::Delete]),
    (REVEAL, &[Kind::Get]),
];

/// Members that stand in a header of the request, and the operations that have them.
const HEADERS: [(&str, HeaderName, &[Kind]); 3] = [
    ("ifMatch", header::IF_MATCH, &[Kind::Put, Kind::Patch, Kind::Delete, Kind::Fire, Kind::Redrive]),
    ("ifNoneMatch", header::IF_NONE_MATCH, &[Kind::Put, Kind::Create]),
    (
        "idempotencyKey",
        IDEMPOTENCY_KEY,
        &[Kind::Put, Kind::Create, Kind::Patch, Kind::Delete, Kind::Fire, Kind::Redrive],
    ),
];

/// One operation, read as far as it takes to make a request of it.
#[derive(Debug)]
pub struct Operation {
    /// What it does.
    pub kind: Kind,
    /// The timer, unless one is to be made without a name.
    pub id: Option<String>,
    query: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

/// The operations of a request's body, each as the bytes that were sent.
///
/// # Errors
/// When the body is not an object of `operations`, or there are too many.
pub fn operations(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Problem::invalid("body", "must be UTF-8"))?;
    let mut faults = Faults::default();
    let read = match Reader::new(text, "", &mut faults) {
        Ok(mut reader) => {
            if !reader.has("operations") {
                reader.fault("operations", Fault::schema("is needed"));
            }
            let items = reader.value("operations", Null::Refused, items);
            reader.finish();
            items
        }
        Err(fault) => {
            faults.add("body", fault);
            None
        }
    };
    let items = faults.into_result(read)?;
    Ok(items.into_iter().map(|raw| body.slice_ref(raw.get().as_bytes())).collect())
}

fn items(raw: &RawValue) -> Result<Vec<&RawValue>, Fault> {
    let too_many = || Fault::limit(format!("must not be more than {BATCH_OPERATIONS_MAX}"));
    match serde_json::from_str::<Items<'_>>(raw.get()) {
        Ok(Items { cut_off: true, .. }) => Err(too_many()),
        Ok(Items { items, .. }) => Ok(items),
        Err(error) => Err(Fault::schema(format!("must be an array of operations: {error}"))),
    }
}

/// An array's items, as many as a batch may have.
struct Items<'a> {
    items: Vec<&'a RawValue>,
    cut_off: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
                let (mut items, mut cut_off) = (Vec::new(), false);
                while let Some(item) = array.next_element::<&'de RawValue>()? {
                    if items.len() < BATCH_OPERATIONS_MAX {
                        items.push(item);
                    } else {
                        // Read to its end all the same: a broken array is a broken array.
                        cut_off = true;
                    }
                }
                Ok(Items { items, cut_off })
            }
        }
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

impl Operation {
    /// Reads one operation.
    ///
    /// # Errors
    /// The problem of all faults in what does not belong to the body.
    pub fn read(raw: &Bytes) -> Result<Self, Problem> {
        // A slice of a body that was UTF-8 as a whole, cut at JSON's own borders.
        let text = std::str::from_utf8(raw).map_err(|_| Problem::invalid("body", "must be UTF-8"))?;
        let mut faults = Faults::default();
        let read = match Reader::new(text, "", &mut faults) {
            Ok(reader) => Self::fields(reader),
            Err(fault) => {
                faults.add("operation", fault);
                None
            }
        };
        faults.into_result(read)
    }

    fn fields(mut reader: Reader<'_, '_>) -> Option<Self> {
        if !reader.has("op") {
            reader.fault("op", Fault::schema("is needed"));
        }
        let kind = reader.value("op", Null::Refused, |raw| values::choice(raw, &KINDS))?;
        if kind != Kind::Create && !reader.has("id") {
            reader.fault("id", Fault::schema("is needed"));
        }
        let id = reader.value("id", Null::Refused, timer_id);
        let mut operation = Self { kind, id, query: Vec::new(), headers: Vec::new(), body: Vec::new() };
        operation.conditions(&mut reader);
        operation.body = operation.rest(&mut reader);
        Some(operation)
    }

    /// Takes what stands in the query or in a header of the request.
    fn conditions(&mut self, reader: &mut Reader<'_, '_>) {
        for (name, kinds) in QUERY {
            if kinds.contains(&self.kind)
                && let Some(value) = reader.value(name, Null::Refused, |raw| query_value(name, raw))
            {
                self.query.push((name, value));
            }
        }
        for (name, header, kinds) in HEADERS {
            if kinds.contains(&self.kind)
                && let Some(value) = reader.value(name, Null::Refused, |raw| header_value(name, raw))
            {
                self.headers.push((header, value));
            }
        }
    }

    /// What is left is the body, which its own reader judges; where there is none, nothing may be left.
    fn rest(&self, reader: &mut Reader<'_, '_>) -> Vec<u8> {
        let members = reader.take_all();
        match self.kind {
            Kind::Create => object(self.id.as_deref(), &members),
            Kind::Put | Kind::Patch => object(None, &members),
            Kind::Get | Kind::Delete | Kind::Fire | Kind::Redrive => {
                for (name, _) in members {
                    reader.fault(&quote(&name), Fault::schema("is not a known field of this operation"));
                }
                Vec::new()
            }
        }
    }

    /// The request that it would be alone.
    ///
    /// # Errors
    /// `INTERNAL`: what was read always makes a request.
    pub fn into_request(self, group: &str) -> Result<Request, Problem> {
        let (method, action) = self.kind.request();
        let mut target = match &self.id {
            Some(id) if self.kind != Kind::Create => ids::location(&TimerKey::new(group, id.as_str())),
            Some(_) | None => format!("{}{group}/timers", ids::GROUPS_PATH),
        };
        target.push_str(action);
        for (n, (name, value)) in self.query.iter().enumerate() {
            let before = if n == 0 { '?' } else { '&' };
            target.push_str(&format!("{before}{name}={value}"));
        }
        let request = Request::builder().method(method).uri(target).body(Body::from(self.body));
        let mut request = request.map_err(|error| Problem::internal(&error.to_string()))?;
        request.headers_mut().extend(self.headers);
        Ok(request)
    }
}

impl Kind {
    /// The method, and what follows the timer's path.
    const fn request(self) -> (Method, &'static str) {
        match self {
            Self::Put => (Method::PUT, ""),
            Self::Create => (Method::POST, ""),
            Self::Get => (Method::GET, ""),
            Self::Patch => (Method::PATCH, ""),
            Self::Delete => (Method::DELETE, ""),
            Self::Fire => (Method::POST, "/fire"),
            Self::Redrive => (Method::POST, "/redrive"),
        }
    }
}

/// A value that needs no escape in a query.
fn query_value(name: &str, raw: &RawValue) -> Result<String, Fault> {
    match name {
        IF_GENERATION => values::integer(raw, 0, u64::MAX).map(|number| number.to_string()),
        IF_IN_FLIGHT => values::choice(raw, &[("refuse", "refuse")]).map(str::to_owned),
        _ => values::flag(raw).map(|flag| flag.to_string()),
    }
}

fn header_value(name: &str, raw: &RawValue) -> Result<HeaderValue, Fault> {
    let text = match name {
        "ifMatch" if !raw.get().starts_with('"') => {
            let version = values::integer(raw, 0, u64::MAX);
            let version = version.map_err(|_| Fault::schema("must be a version's number or \"*\""))?;
            format!("\"{version}\"")
        }
        "ifMatch" | "ifNoneMatch" => values::choice(raw, &[("*", "*")])?.to_owned(),
        _ => values::string(raw)?.into_owned(),
    };
    HeaderValue::from_str(&text).map_err(|_| Fault::schema("must be printable ASCII"))
}

/// An object of `members`, each value as it was sent.
fn object(id: Option<&str>, members: &[(String, &RawValue)]) -> Vec<u8> {
    let string = |text: &str| serde_json::Value::from(text).to_string();
    let id = id.map(|id| format!("\"id\":{}", string(id)));
    let members = members.iter().map(|(name, raw)| format!("{}:{}", string(name), raw.get()));
    let all: Vec<String> = id.into_iter().chain(members).collect();
    format!("{{{}}}", all.join(",")).into_bytes()
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
