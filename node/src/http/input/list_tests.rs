//! Which lists there are, and what is said of those that there are not.

use timer_core::list::Place;

use super::*;
use crate::http::problem::Code;

fn read(raw: &str) -> Result<Page, Problem> {
    page("default".into(), Some(raw))
}

fn fault(raw: &str) -> (Code, String) {
    let problem = read(raw).unwrap_err();
    let fault = problem.errors.first().map(|fault| format!("{} {}", fault.field, fault.message));
    (problem.code, fault.unwrap_or_default())
}

#[test]
fn without_parameters_a_hundred_by_id_of_all_states_but_cancelled() {
    let page = read("").unwrap();
    assert_eq!((page.limit, page.query.order, page.reveal), (100, ListOrder::Id, false));
    assert_eq!(page.query.states, &State::ALL[..5]);
    assert_eq!((page.query.execute_after, page.query.execute_before), (Millis(0), Millis::MAX));
}

#[test]
fn states_come_in_any_order_and_a_filter_by_time_chooses_its_own() {
    assert_eq!(read("state=retrying,scheduled").unwrap().query.states, &State::ALL[..2]);
    let page = read("executeAfter=1970-01-01T00:00:01Z&executeBefore=1970-01-01T00:00:02Z").unwrap();
    let query = page.query;
    assert_eq!(query.order, ListOrder::ExecuteAt);
    assert_eq!((query.execute_after, query.execute_before), (Millis(1_000), Millis(2_000)));
}

#[test]
fn what_has_no_index_or_no_sense_is_refused_by_name() {
    for (raw, said) in [
        ("orderBy=id&executeAfter=2030-01-01T00:00:00Z", "executeAfter needs orderBy=executeAt"),
        ("idPrefix=a&executeBefore=2030-01-01T00:00:00Z", "idPrefix needs orderBy=id"),
        ("orderBy=executeAt&idPrefix=a", "idPrefix needs orderBy=id"),
        ("orderBy=createdAt", "orderBy must be id or executeAt"),
        ("state=done", "state must be of scheduled, retrying"),
        ("state=", "state must be of scheduled, retrying"),
        ("state=dead,dead", "state names dead twice"),
        ("executeAfter=yesterday", "executeAfter "),
        ("limit=ten", "limit must be a whole number"),
        ("limit=-1", "limit must be a whole number"),
        ("status=dead", "status is not a known query parameter"),
    ] {
        let (code, fault) = fault(raw);
        assert!(code == Code::InvalidArgument && fault.starts_with(said), "{raw}: {fault}");
    }
    for raw in ["limit=0", "limit=1001", "limit=99999999999999999999"] {
        assert_eq!(fault(raw), (Code::OutOfRange, "limit must be 1 to 1000".to_owned()), "{raw}");
    }
    assert_eq!(read("limit=1000").unwrap().limit, 1_000);
}

#[test]
fn a_cursor_is_of_its_list_and_of_no_other() {
    let by_time = read("state=scheduled&orderBy=executeAt").unwrap().query;
    let last = Place { execute_at: Millis(77), id: "é/1".into() };
    let cursor = cursor::encode(&by_time, &last);
    let again = read(&format!("orderBy=executeAt&state=scheduled&limit=7&cursor={cursor}")).unwrap();
    assert_eq!((again.query.after, again.limit), (Some(last.clone()), 7));
    let by_id = read("").unwrap().query;
    let of_ids = cursor::encode(&by_id, &last);
    let place = read(&format!("cursor={of_ids}")).unwrap().query.after.unwrap();
    assert_eq!(place, Place { execute_at: Millis(0), id: "é/1".into() });
    for (raw, cursor) in [
        ("state=dead&orderBy=executeAt", cursor.as_str()),
        ("state=scheduled", cursor.as_str()),
        ("", "AAAA"),
        ("", "not base64!"),
        ("", &of_ids[1..]),
        ("", &of_ids[..of_ids.len() - 2]),
        ("idPrefix=a", of_ids.as_str()),
    ] {
        let problem = read(&format!("{raw}&cursor={cursor}")).unwrap_err();
        assert_eq!(problem.code, Code::CursorInvalid, "{raw} {cursor}");
    }
}
