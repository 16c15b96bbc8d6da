//! Histories of attempts between nodes.

use proto::record;
use timer_core::attempt::Attempt;

use super::frame as wire;
use super::reply_codec::ReplyError;

/// To the wire; none if there is no such timer.
#[must_use]
pub fn history_out(attempts: Option<&[Attempt]>) -> wire::History {
    wire::History {
        found: attempts.is_some(),
        attempts: attempts.unwrap_or_default().iter().map(record::encode_attempt).collect(),
    }
}

/// From the wire.
///
/// # Errors
/// See [`ReplyError`].
pub fn history_in(history: &wire::History) -> Result<Option<Vec<Attempt>>, ReplyError> {
    if !history.found {
        return Ok(None);
    }
    let attempts = history.attempts.iter().map(|bytes| record::decode_attempt(bytes));
    Ok(Some(attempts.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use timer_core::attempt::{Answer, Details, Trigger};
    use timer_core::command::AttemptResult;
    use timer_core::ids::Sequence;
    use timer_core::time::Millis;

    use super::*;

    #[test]
    fn a_history_comes_back_as_it_was_sent_and_an_empty_one_is_not_none() {
        let attempt = |number| Attempt {
            recorded: Sequence(7),
            generation: Sequence(6),
            number,
            session: 5,
            counted: number == 1,
            started_at: Millis(3),
            finished_at: Millis(4),
            result: AttemptResult::Delivered,
            details: Details {
                scheduled_at: Millis(2),
                trigger: Trigger::Schedule,
                answer: Some(Answer::new(204, b"", false)),
            },
        };
        for history in [None, Some(vec![]), Some(vec![attempt(2), attempt(1)])] {
            assert_eq!(history_in(&history_out(history.as_deref())).unwrap(), history);
        }
        let damaged = wire::History { found: true, attempts: vec![bytes::Bytes::from_static(b"\xff")] };
        assert!(matches!(history_in(&damaged), Err(ReplyError::Record(_))));
    }
}
