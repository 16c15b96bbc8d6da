//! A failure for people, who want to know what to do, and for scripts, which have the exit code.

use durable_timer::Outcome;
use serde_json::json;

use super::table::one_line;
use crate::failure::Failure;

/// `error:`, every fault of the input, and advice.
pub fn text(failure: &Failure) -> String {
    let mut lines = vec![format!("error: {}", failure.message)];
    if let Some(problem) = &failure.problem {
        // With one fault the message says it already.
        if problem.errors.len() > 1 {
            lines.extend(problem.errors.iter().map(|fault| format!("  {}: {}", fault.field, fault.message)));
        }
        if let Some(timer) = &problem.timer {
            lines.push(format!("  the timer is {}, version {}", timer.state.as_str(), timer.version));
        } else if let Some(version) = problem.version {
            lines.push(format!("  it is at version {version}"));
        }
        if let Some(until) = &problem.attempt_in_flight_until {
            lines.push(format!("  that attempt ends at {until} at the latest"));
        }
    }
    match failure.outcome {
        Some(Outcome::Unknown) => lines.push("outcome: unknown".to_owned()),
        Some(Outcome::NotApplied) => lines.push("outcome: nothing changed".to_owned()),
        None => {}
    }
    lines.extend(failure.advice.iter().map(|advice| format!("hint: {advice}")));
    if let Some(id) = failure.problem.as_ref().and_then(|problem| problem.request_id.as_ref()) {
        lines.push(format!("request id: {id}"));
    }
    lines.iter().map(|line| format!("{}\n", one_line(line))).collect()
}

/// One line.
pub fn json(failure: &Failure) -> String {
    let problem = failure.problem.as_ref();
    let body = json!({"error": {
        "exitCode": failure.exit.code(),
        "message": failure.message,
        "advice": failure.advice,
        "outcome": failure.outcome,
        "code": problem.map(|problem| &problem.code),
        "status": problem.map(|problem| problem.status),
        "requestId": problem.and_then(|problem| problem.request_id.as_ref()),
        "errors": problem.map(|problem| &problem.errors),
        "version": problem.and_then(|problem| problem.version),
    }});
    format!("{body}\n")
}

#[cfg(test)]
mod tests {
    use durable_timer::Error;

    use super::*;

    #[test]
    fn every_fault_and_what_to_do_is_said() {
        let problem = json!({
            "status": 409, "code": "TIMER_EXISTS", "detail": "taken", "requestId": "r1", "version": 7,
            "errors": [{"field": "a", "message": "b"}, {"field": "c", "message": "d"}],
        });
        let failure = Failure::from(Error::Refused(serde_json::from_value(problem).unwrap()));
        let expected = "\
error: TIMER_EXISTS (409): taken
  a: b
  c: d
  it is at version 7
hint: `timerctl create --replace` replaces it, `timerctl update` changes some of it
request id: r1
";
        assert_eq!(text(&failure), expected);
        let json: serde_json::Value = serde_json::from_str(&json(&failure)).unwrap();
        assert_eq!((&json["error"]["exitCode"], &json["error"]["code"]), (&json!(4), &json!("TIMER_EXISTS")));
    }
}
