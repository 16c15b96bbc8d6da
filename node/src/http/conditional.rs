//! `If-Match` and `If-None-Match`: the conditions of RFC 9110 that this API keeps.

use axum::http::{HeaderMap, HeaderName, header};
use timer_core::command::Precondition;
use timer_core::ids::Sequence;

use super::limits::IF_MATCH_TAGS_MAX;
use super::problem::Problem;
use super::query::Query;

/// What the headers and the query parameters of a change require.
///
/// # Errors
/// `INVALID_ARGUMENT` when one of them can't be understood: a condition that is ignored guards nothing.
pub fn precondition(headers: &HeaderMap, query: &Query) -> Result<Precondition, Problem> {
    let mut precondition = Precondition {
        generation: query.generation()?,
        nothing_in_flight: query.refuse_in_flight()?,
        ..Precondition::default()
    };
    match tags(headers, &header::IF_MATCH)? {
        Tags::None => {}
        Tags::Any => precondition.present = true,
        Tags::These(tags) => precondition.versions = tags.iter().map(|tag| version_of(tag)).collect(),
    }
    match tags(headers, &header::IF_NONE_MATCH)? {
        Tags::None => {}
        Tags::Any => precondition.absent = true,
        Tags::These(_) => return Err(Problem::invalid("If-None-Match", "must be * with this method")),
    }
    if precondition.absent && (precondition.present || !precondition.versions.is_empty()) {
        return Err(Problem::invalid("If-None-Match", "can't hold together with If-Match"));
    }
    Ok(precondition)
}

/// Whether a read may be answered by 304: `If-None-Match` names this version.
///
/// # Errors
/// `INVALID_ARGUMENT` when the header can't be understood.
pub fn not_modified(headers: &HeaderMap, version: Sequence) -> Result<bool, Problem> {
    match tags(headers, &header::IF_NONE_MATCH)? {
        Tags::None => Ok(false),
        Tags::Any => Ok(true),
        Tags::These(tags) => Ok(tags.iter().any(|tag| version_of(tag) == version)),
    }
}

/// What a header of entity tags lists.
enum Tags {
    None,
    Any,
    These(Vec<String>),
}

/// A tag that we can't have given matches no version: 0 is none's.
fn version_of(tag: &str) -> Sequence {
    let canonical = tag.bytes().all(|b| b.is_ascii_digit()) && !tag.starts_with('0');
    Sequence(tag.parse().ok().filter(|_| canonical).unwrap_or(0))
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Tags, Problem> {
    let field = if *name == header::IF_MATCH { "If-Match" } else { "If-None-Match" };
    let fault = |message: &str| Problem::invalid(field, message);
    let mut all = Vec::new();
    let mut any = false;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| fault("must be ASCII"))?;
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (tag, after) = next_tag(rest).map_err(fault)?;
            match tag {
                None => any = true,
                Some(tag) => all.push(tag.to_owned()),
            }
            rest = after;
        }
        if all.len() > IF_MATCH_TAGS_MAX {
            return Err(fault("must not list more than 16 entity tags"));
        }
    }
    match (any, all.is_empty()) {
        (true, true) => Ok(Tags::Any),
        (true, false) => Err(fault("must be either * or a list of entity tags")),
        (false, true) if headers.contains_key(name) => Err(fault("must not be empty")),
        (false, true) => Ok(Tags::None),
        (false, false) => Ok(Tags::These(all)),
    }
}

/// The tag that `text` begins with, or None for `*`, and what follows it and its comma.
fn next_tag(text: &str) -> Result<(Option<&str>, &str), &'static str> {
    let (tag, after) = if let Some(after) = text.strip_prefix('*') {
        (None, after)
    } else if text.starts_with("W/") {
        return Err("must not have weak entity tags: they never match");
    } else {
        let quoted = text.strip_prefix('"').and_then(|inner| inner.split_once('"'));
        let (tag, after) = quoted.ok_or("must be entity tags in double quotes, as ETag gives them, or *")?;
        (Some(tag), after)
    };
    let after = after.trim_start();
    match after.strip_prefix(',') {
        Some(next) => Ok((tag, next.trim_start())),
        None if after.is_empty() => Ok((tag, "")),
        None => Err("must separate entity tags by commas"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(name: HeaderName, values: &[&'static str]) -> Result<Precondition, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        precondition(&headers, &Query::default()).map_err(|problem| problem.detail)
    }

    #[test]
    fn lists_of_versions_are_read_over_several_headers() {
        let versions = |values: &[&'static str]| read(header::IF_MATCH, values).map(|p| p.versions);
        assert_eq!(versions(&["\"5\""]), Ok(vec![Sequence(5)]));
        assert_eq!(versions(&["\"5\" , \"7\"", "\"9\""]), Ok(vec![Sequence(5), Sequence(7), Sequence(9)]));
    }

    #[test]
    fn a_tag_that_is_no_version_matches_none() {
        for tag in ["\"abc\"", "\"\"", "\"05\"", "\"+5\"", "\"99999999999999999999\""] {
            assert_eq!(read(header::IF_MATCH, &[tag]).map(|p| p.versions), Ok(vec![Sequence(0)]), "{tag}");
        }
    }

    #[test]
    fn a_star_means_present_or_absent() {
        assert!(read(header::IF_MATCH, &["*"]).is_ok_and(|p| p.present));
        assert!(read(header::IF_NONE_MATCH, &["*"]).is_ok_and(|p| p.absent));
    }

    #[test]
    fn what_guards_nothing_is_refused() {
        for value in ["", "5", "W/\"5\"", "\"5", "\"5\" \"6\"", "*, \"5\"", "\"5\";"] {
            assert!(read(header::IF_MATCH, &[value]).is_err(), "{value}");
        }
        assert!(read(header::IF_NONE_MATCH, &["\"5\""]).is_err());
    }
}
