//! Query parameters, strictly: unknown and doubled ones are faults, so that a misspelt `ifGeneration` does
//! not silently guard nothing.

use timer_core::ids::Sequence;

use super::ids::decode;
use super::input::faults::{Fault, Faults};
use super::input::reader::quote;
use super::problem::Problem;

/// The query parameters of a request.
#[derive(Debug, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads `raw`, in which only the names in `known` may stand, each once.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with every fault.
    pub fn parse(raw: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let mut query = Self::default();
        for part in raw.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decoded = form_decode(name).and_then(|name| Ok((name, form_decode(value)?)));
            match decoded {
                Err(message) => faults.add(quote(name), Fault::schema(message)),
                Ok((name, _)) if !known.contains(&name.as_str()) => {
                    faults.add(quote(&name), Fault::schema("is not a known query parameter"));
                }
                Ok((name, _)) if query.get(&name).is_some() => {
                    faults.add(name, Fault::schema("is given twice"));
                }
                Ok(pair) => query.pairs.push(pair),
            }
        }
        faults.into_result(Some(query))
    }

    /// The parameter `name`, as it was sent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The parameter `name`, `true` or `false`; not there: false.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it is neither.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::invalid(name, "must be true or false")),
        }
    }

    /// `ifGeneration`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it is no generation's number.
    pub fn generation(&self) -> Result<Option<Sequence>, Problem> {
        let number = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| digits).map(Sequence)
        };
        match self.get(IF_GENERATION) {
            None => Ok(None),
            Some(text) => number(text)
                .map(Some)
                .ok_or_else(|| Problem::invalid(IF_GENERATION, "must be a generation's number")),
        }
    }

    /// `ifInFlight`: true for `refuse`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for any other value.
    pub fn refuse_in_flight(&self) -> Result<bool, Problem> {
        match self.get(IF_IN_FLIGHT) {
            None => Ok(false),
            Some("refuse") => Ok(true),
            Some(_) => Err(Problem::invalid(IF_IN_FLIGHT, "must be \"refuse\"")),
        }
    }
}

/// Holds a request to one generation.
pub const IF_GENERATION: &str = "ifGeneration";
/// Refuses a request while an attempt is or may be on its way.
pub const IF_IN_FLIGHT: &str = "ifInFlight";
/// Erases a finished timer.
pub const PURGE: &str = "purge";
/// Shows the values of callback headers.
pub const REVEAL: &str = "reveal";

/// A plus is a space in a query, as HTML forms write it.
fn form_decode(text: &str) -> Result<String, &'static str> {
    decode(&text.replace('+', " "))
}
