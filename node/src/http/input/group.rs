//! A group's settings as clients send them: whole in a PUT, where what is missing has its default, in part in a PATCH.

use timer_core::group::GroupSettings;
use timer_core::limits::{GROUP_PENDING_MAX, HORIZON_MAX, RETENTION_MAX, RETENTION_MIN};
use timer_core::time::Span;

use super::Shape;
use super::faults::Faults;
use super::reader::{Null, Reader};
use super::{list, values};
use crate::http::cursor;
use crate::http::problem::Problem;
use crate::http::query::Query;

/// What was sent; none: not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentGroup {
    /// See [`GroupSettings::shards`].
    pub shards: Option<u16>,
    /// See [`GroupSettings::retention`].
    pub retention: Option<Span>,
    /// See [`GroupSettings::dead_retention`].
    pub dead_retention: Option<Span>,
    /// See [`GroupSettings::retain_payload`].
    pub retain_payload: Option<bool>,
    /// See [`GroupSettings::horizon_max`].
    pub horizon_max: Option<Span>,
    /// See [`GroupSettings::pending_max`].
    pub pending_max: Option<Option<u64>>,
}

impl SentGroup {
    /// Reads a body. A null sets a member back to its default; only in a PATCH, but for `maxPending`, whose default it is.
    ///
    /// # Errors
    /// The problem of all faults.
    pub fn read(body: &[u8], shape: Shape, cluster_shards: u16) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let text = std::str::from_utf8(body).map_err(|_| Problem::invalid("body", "must be UTF-8"))?;
        let mut reader = match Reader::new(text, "", &mut faults) {
            Ok(reader) => reader,
            Err(fault) => return Err(Problem::invalid("body", fault.message)),
        };
        let usual = GroupSettings::default();
        let kept = |raw| values::span(raw, RETENTION_MIN, RETENTION_MAX);
        let shards = |raw| {
            let most = u64::from(cluster_shards);
            values::integer(raw, 1, most).map(|number| u16::try_from(number).unwrap_or(cluster_shards))
        };
        let sent = Self {
            shards: reader.value("shards", Null::Refused, shards),
            retention: reader.value("retention", shape.null(usual.retention), kept),
            dead_retention: reader.value("deadRetention", shape.null(usual.dead_retention), kept),
            retain_payload: reader.value("retainPayload", shape.null(usual.retain_payload), values::flag),
            horizon_max: reader.value("maxHorizon", shape.null(usual.horizon_max), |raw| {
                values::span(raw, Span(1), HORIZON_MAX)
            }),
            pending_max: reader.value("maxPending", Null::Means(None), |raw| {
                values::integer(raw, 0, GROUP_PENDING_MAX).map(Some)
            }),
        };
        reader.finish();
        faults.into_result(Some(sent))
    }

    /// `settings` with what was sent.
    #[must_use]
    pub fn onto(&self, settings: GroupSettings) -> GroupSettings {
        GroupSettings {
            shards: self.shards.unwrap_or(settings.shards),
            retention: self.retention.unwrap_or(settings.retention),
            dead_retention: self.dead_retention.unwrap_or(settings.dead_retention),
            retain_payload: self.retain_payload.unwrap_or(settings.retain_payload),
            horizon_max: self.horizon_max.unwrap_or(settings.horizon_max),
            pending_max: self.pending_max.unwrap_or(settings.pending_max),
        }
    }
}

/// A page of groups that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct GroupPage {
    /// The last name of the page before.
    pub after: Option<String>,
    /// Groups at most.
    pub limit: usize,
}

/// Reads the query of a request for a page of groups.
///
/// # Errors
/// The problem of all faults; `CURSOR_INVALID` if the cursor is none of this list.
pub fn page(raw: Option<&str>) -> Result<GroupPage, Problem> {
    let given = Query::parse(raw, &[list::LIMIT, list::CURSOR])?;
    let mut faults = Faults::default();
    let limit = list::limit(&given, &mut faults);
    let limit = faults.into_result(Some(limit))?;
    let after = given.get(list::CURSOR).map(cursor::group_of).transpose()?;
    Ok(GroupPage { after, limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Code;

    fn fields(body: &str, shape: Shape) -> Vec<String> {
        let problem = SentGroup::read(body.as_bytes(), shape, 8).unwrap_err();
        problem.errors.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn what_is_sent_is_put_onto_what_is_there() {
        let body = r#"{"retention":"2h","maxPending":5,"retainPayload":true}"#;
        let sent = SentGroup::read(body.as_bytes(), Shape::Patch, 8).unwrap();
        let before = GroupSettings { shards: 4, horizon_max: Span(9), ..GroupSettings::default() };
        let after = sent.onto(before);
        let expected = GroupSettings {
            retention: Span::from_secs(7200),
            retain_payload: true,
            pending_max: Some(5),
            ..before
        };
        assert_eq!(after, expected);
        let back = SentGroup::read(br#"{"retention":null,"maxPending":null}"#, Shape::Patch, 8).unwrap();
        let retain_payload = true;
        assert_eq!(
            back.onto(after),
            GroupSettings { retain_payload, shards: 4, horizon_max: Span(9), ..GroupSettings::default() }
        );
    }

    #[test]
    fn every_fault_is_named() {
        let body = r#"{"shards":9,"retention":"1s","deadRetention":"2y","retainPayload":1,"maxHorizon":"11y","maxPending":-1,"x":1}"#;
        let all = ["shards", "retention", "deadRetention", "retainPayload", "maxHorizon", "maxPending", "x"];
        assert_eq!(fields(body, Shape::Whole), all);
        assert_eq!(fields(r#"{"retention":null}"#, Shape::Whole), ["retention"]);
        assert_eq!(fields(r#"{"shards":null}"#, Shape::Patch), ["shards"]);
        assert_eq!(SentGroup::read(b"[]", Shape::Whole, 8).unwrap_err().code, Code::InvalidArgument);
    }
}
