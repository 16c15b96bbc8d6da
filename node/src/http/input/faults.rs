//! Collects every fault of an input and says which error code they make together.

use crate::http::problem::{Code, FieldFault, Problem};

/// What a field breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaks {
    /// The schema.
    Schema,
    /// A limit.
    Limit,
    /// The bound on the size of a payload.
    PayloadSize,
    /// The rule where callbacks may go.
    AddressPolicy,
}

/// What is wrong with one value; its field is known to who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it breaks.
    pub breaks: Breaks,
    /// For people.
    pub message: String,
}

impl Fault {
    /// It breaks the schema.
    pub fn schema(message: impl Into<String>) -> Self {
        Self { breaks: Breaks::Schema, message: message.into() }
    }

    /// It breaks a limit.
    pub fn limit(message: impl Into<String>) -> Self {
        Self { breaks: Breaks::Limit, message: message.into() }
    }
}

/// All faults of an input, in the order they were found.
#[derive(Debug, Default)]
pub struct Faults(Vec<(Breaks, FieldFault)>);

impl Faults {
    /// One more.
    pub fn add(&mut self, field: impl Into<String>, fault: Fault) {
        self.0.push((fault.breaks, FieldFault::new(field, fault.message)));
    }

    /// `value`, unless there was a fault.
    ///
    /// # Errors
    /// The problem of all faults.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            None if self.0.is_empty() => Err(Problem::internal("an input without faults has no value")),
            Some(_) | None => Err(self.into_problem()),
        }
    }

    /// The problem of all faults. A broken schema outranks a broken limit: who can't be understood has to be
    /// told that first. Then the code of the one kind of fault that there is, else `OUT_OF_RANGE`.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        let only = |kind: Breaks| self.0.iter().all(|(breaks, _)| *breaks == kind);
        let code = if self.0.iter().any(|(breaks, _)| *breaks == Breaks::Schema) {
            Code::InvalidArgument
        } else if only(Breaks::PayloadSize) {
            Code::PayloadTooLarge
        } else if only(Breaks::AddressPolicy) {
            Code::BlockedAddress
        } else {
            Code::OutOfRange
        };
        Problem::with_faults(code, self.0.into_iter().map(|(_, fault)| fault).collect())
    }
}
