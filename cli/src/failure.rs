//! What a command failed with: for people what to do, for scripts an exit code.

use std::io;

use durable_timer::{BuildError, Error, Failure as TryFailure, Outcome, Problem, TlsFault};

/// The exit codes, which `docs/cli.md` documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It worked.
    Ok,
    /// Anything without a code of its own.
    Failed,
    /// The arguments are wrong; clap uses the same.
    Usage,
    /// There is no such timer or group.
    NotFound,
    /// The timer is not in a state, or not at a version, that allows it.
    Conflict,
    /// No node answered in time, or none could.
    Unavailable,
    /// The server refused the input.
    Refused,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Unavailable => 5,
            Self::Refused => 6,
        }
    }
}

/// Why a command did not work.
#[derive(Debug)]
pub struct Failure {
    /// For scripts.
    pub exit: Exit,
    /// What happened.
    pub message: String,
    /// What to do, one advice a line.
    pub advice: Vec<String>,
    /// What the server said.
    pub problem: Option<Box<Problem>>,
    /// What is known of the effect, where that is a question.
    pub outcome: Option<Outcome>,
}

impl Failure {
    /// A failure without anything from a server.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), advice: Vec::new(), problem: None, outcome: None }
    }

    /// With one more advice.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(advice.into());
        self
    }

    /// Says how to learn what became of a change whose outcome is unknown. `key` is what it was sent with.
    pub fn with_key(self, key: &str) -> Self {
        if self.outcome != Some(Outcome::Unknown) {
            return self;
        }
        self.advise(format!(
            "it may or may not have taken effect: repeat the same command with --idempotency-key {key} to learn which"
        ))
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let exit = match error {
            BuildError::Certificates(_) => Exit::Failed,
            BuildError::NoEndpoint
            | BuildError::TooManyEndpoints { .. }
            | BuildError::Endpoint { .. }
            | BuildError::Authority { .. }
            | BuildError::Token => Exit::Usage,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let outcome = error.outcome();
        match error {
            Error::Refused(problem) => Self {
                outcome: (problem.status >= 500).then_some(outcome),
                advice: advice_for(&problem),
                ..Self::new(exit_of(&problem), message)
            }
            .and_problem(problem),
            Error::GaveUp { last, .. } => {
                let failure = Self { outcome: Some(outcome), ..Self::new(Exit::Unavailable, message) };
                match last {
                    TryFailure::Connect(_) => failure.advise(
                        "is a node running there? `timerd dev` starts one; --endpoint or TIMERCTL_ENDPOINT names another",
                    ),
                    TryFailure::Tls { fault, .. } => match fault {
                        TlsFault::UnknownCa => failure.advise(
                            "--ca-file or TIMERCTL_CA_FILE names the file of an authority of your own",
                        ),
                        TlsFault::WrongHost(_) => {
                            failure.advise("is --endpoint written as the certificate has the name?")
                        }
                        TlsFault::Expired | TlsFault::NotTls | TlsFault::Other(_) => failure,
                    },
                    TryFailure::Lost(_) | TryFailure::Slow(_) => failure.advise("raise --timeout, or try again"),
                    TryFailure::Busy(problem) => failure.advise("try again later").and_problem(problem),
                }
            }
            Error::Answer { .. } => Self { outcome: Some(outcome), ..Self::new(Exit::Failed, message) }
                .advise(
                    "is --endpoint a durable-timer node? `timerctl config check` says what answers there",
                ),
            Error::Request(_) => Self::new(Exit::Refused, message),
        }
    }
}

impl Failure {
    fn and_problem(self, problem: Box<Problem>) -> Self {
        Self { problem: Some(problem), ..self }
    }
}

fn exit_of(problem: &Problem) -> Exit {
    match (problem.status, problem.code.as_str()) {
        (404, "ROUTE_NOT_FOUND") => Exit::Failed,
        (404, _) => Exit::NotFound,
        (409 | 412, _) => Exit::Conflict,
        (507, _) => Exit::Unavailable,
        (400 | 413 | 415 | 422, _) => Exit::Refused,
        _ => Exit::Failed,
    }
}

fn advice_for(problem: &Problem) -> Vec<String> {
    let advice = match problem.code.as_str() {
        "TIMER_NOT_FOUND" => "a finished timer is kept for its retention only; is the --group right?",
        "SIGNING_SECRET_NOT_FOUND" => "`timerctl group secret list NAME` shows those that there are",
        "GROUP_NOT_FOUND" => "`timerctl group list` shows those that there are",
        "TIMER_EXISTS" => "`timerctl create --replace` replaces it, `timerctl update` changes some of it",
        "TIMER_FINISHED" => {
            "`timerctl create --replace` with the same id starts it anew; a dead one: `timerctl redrive`"
        }
        "TIMER_NOT_FINISHED" => "`timerctl delete` without --purge cancels it",
        "ATTEMPT_IN_FLIGHT" => "wait until that attempt has ended, or leave out --refuse-in-flight",
        "VERSION_MISMATCH" => "read it again and decide on what it is now",
        "BLOCKED_ADDRESS" => {
            "callbacks to loopback and private addresses need an exception in `delivery.allow`; `timerd dev` allows them"
        }
        "IDEMPOTENCY_KEY_REUSED" => "each new request needs a new key: leave out --idempotency-key",
        "ROUTE_NOT_FOUND" => "is --endpoint a durable-timer node, and of a version that can do this?",
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => "set TIMERCTL_TOKEN to a token that may do this",
        "DISK_FULL" => "make room on the nodes' disks; deletes and callbacks go on meanwhile",
        "INTERNAL" => "the server's log has more under the request id",
        _ => return Vec::new(),
    };
    vec![advice.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, code: &str) -> Failure {
        let json = serde_json::json!({"status": status, "code": code});
        Error::Refused(serde_json::from_value(json).unwrap()).into()
    }

    #[test]
    fn each_kind_of_refusal_has_its_exit_code() {
        for (status, code, exit) in [
            (404, "TIMER_NOT_FOUND", 3),
            (404, "GROUP_NOT_FOUND", 3),
            (404, "ROUTE_NOT_FOUND", 1),
            (409, "TIMER_EXISTS", 4),
            (412, "VERSION_MISMATCH", 4),
            (400, "INVALID_ARGUMENT", 6),
            (413, "PAYLOAD_TOO_LARGE", 6),
            (422, "OUT_OF_RANGE", 6),
            (401, "UNAUTHENTICATED", 1),
            (500, "INTERNAL", 1),
            (507, "DISK_FULL", 5),
        ] {
            assert_eq!(problem(status, code).exit.code(), exit, "{code}");
        }
    }

    #[test]
    fn only_an_open_outcome_is_worth_a_repeat_with_the_key() {
        assert!(
            problem(404, "TIMER_NOT_FOUND")
                .with_key("k")
                .advice
                .iter()
                .all(|line| !line.contains("--idempotency-key k"))
        );
        let open = Failure { outcome: Some(Outcome::Unknown), ..Failure::new(Exit::Unavailable, "") };
        assert!(open.with_key("k").advice[0].contains("--idempotency-key k"));
    }
}
