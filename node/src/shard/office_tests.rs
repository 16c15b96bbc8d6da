//! What an office forgets, and what it must not.

use super::*;

const NOW: Millis = Millis(1_000_000);
const LEADER: LeaderId = LeaderId { term: 1, node_id: 1 };

fn due(position: u64) -> Due {
    let position = Millis(NOW.0 + position);
    Due { key: TimerKey::new("default", "a"), generation: Sequence(7), position }
}

/// An office at `NOW` that has read ahead and in which `due` is ready.
fn office(due: &Due, awaited: &[OpenAttempt]) -> Office {
    let office = Office::new(3, LEADER, NOW, Millis(0), awaited);
    let bounds = LookAhead { span: Span(60_000), timers_max: 10, bytes_max: 1 << 20 };
    assert!(office.begin_load(NOW + Span(60_000), &bounds).is_some());
    office.end_load(vec![due.clone()], None);
    office
}

/// Collects what is due at `at` and gives it.
fn collect(office: &Office, at: Millis) -> Option<Due> {
    office.collect_due(at);
    office.pop_ready()
}

#[test]
fn a_retry_that_is_due_before_the_attempt_before_it_is_over_is_not_forgotten() {
    let first = due(100);
    let office = office(&first, &[]);
    let at = NOW + Span(100);
    assert_eq!(collect(&office, at), Some(first.clone()));
    assert_eq!(office.admit(&first, at), Admission::Admitted);
    // The outcome is applied and noticed, but whoever proposed it has not heard yet.
    let retry = due(200);
    let (key, position) = (retry.key.clone(), retry.position);
    office.notice([Notice::Scheduled { key, position, generation: retry.generation }]);
    let at = NOW + Span(200);
    assert_eq!(collect(&office, at), Some(retry.clone()));
    assert_eq!(office.admit(&retry, at), Admission::Kept);
    office.finish(&first);
    let later = at + UNDER_WAY_HOLD;
    assert_eq!(collect(&office, later), Some(retry.clone()));
    assert_eq!(office.admit(&retry, later), Admission::Admitted);
}

#[test]
fn the_cursor_does_not_overtake_what_was_deferred() {
    let due = due(100);
    let office = office(&due, &[]);
    let at = NOW + Span(100);
    assert_eq!(collect(&office, at), Some(due.clone()));
    assert_eq!(office.admit(&due, at), Admission::Admitted);
    office.retreat(due.clone(), at + Span(50));
    assert_eq!(office.settled_below(), due.position);
    assert_eq!(collect(&office, at + Span(50)), Some(due.clone()));
    assert_eq!(office.admit(&due, at + Span(50)), Admission::Admitted);
    office.finish(&due);
    assert_eq!(office.settled_below(), NOW + Span(60_000), "only the frontier is left");
}

#[test]
fn the_cursor_does_not_overtake_what_a_predecessor_may_still_answer() {
    let due = due(100);
    let until = NOW + Span(5_000);
    let (key, generation) = (due.key.clone(), due.generation);
    let office = office(&due, &[OpenAttempt { key, generation, attempt: 1, until }]);
    let at = NOW + Span(100);
    assert_eq!(collect(&office, at), Some(due.clone()));
    assert_eq!(office.admit(&due, at), Admission::Kept);
    assert_eq!(office.settled_below(), due.position);
}

#[test]
fn an_attempt_under_way_is_sent_by_who_leads_or_if_its_successor_waits_for_it() {
    let (now, until) = (NOW, NOW + Span(1));
    let fresh = || office(&due(100), &[]);
    let leads = fresh();
    assert!(leads.may_send(true, now, until) && !leads.may_send(false, now, until));
    // Named to the successor, and not committed yet: this node leads as long as it may start.
    assert_eq!(leads.close(), []);
    assert!(leads.may_send(true, now, until) && !leads.may_send(false, now, until));
    leads.hand_over();
    assert_eq!(leads.leave(), 0);
    assert!(leads.may_send(false, now, until));
    assert!(!leads.may_send(true, until, until), "nobody waits for it any more");
    // It leads again, with another office: this one's tokens are older.
    let lost = fresh();
    assert_eq!(lost.leave(), 0);
    assert!(!lost.may_send(true, now, until));
}

#[test]
fn what_is_to_be_parked_holds_the_cursor_back_until_it_is() {
    let due = due(100);
    let office = office(&due, &[]);
    let at = NOW + Span(100);
    assert_eq!(collect(&office, at), Some(due.clone()));
    assert_eq!(office.admit(&due, at), Admission::Admitted);
    office.park(due.clone());
    let sizes = office.sizes();
    assert_eq!((sizes.under_way, sizes.unsettled), (0, 1));
    let taken = office.take_to_park(5);
    assert_eq!((&taken, office.take_to_park(5).len()), (&vec![due.clone()], 0));
    assert_eq!(office.settled_below(), due.position, "its command is under way");
    office.parked(&taken);
    assert_eq!((office.settled_below(), office.sizes().unsettled), (NOW + Span(60_000), 0));
}

#[test]
fn what_is_ready_counts_against_the_bound_of_what_is_read_ahead() {
    let due = due(0);
    let office = office(&due, &[]);
    let bounds = LookAhead { span: Span(60_000), timers_max: 1, bytes_max: 1 << 20 };
    office.collect_due(NOW);
    assert_eq!(office.begin_load(NOW + Span(90_000), &bounds), None);
    assert_eq!(office.pop_ready(), Some(due));
    assert!(office.begin_load(NOW + Span(90_000), &bounds).is_some());
}
