//! I10, I12, I13 and I14: the cluster as a whole, and the run itself.

use crate::history::{Action, Boundary, Event, FaultBegin, PhaseName, Probe};
use crate::invariants::{i1_linearizable, i10_equal_hashes, i12_recovery, i13_boundaries, i14_not_empty};
use crate::testing::{Script, answer, create, due, put, status, token, unknown};
use crate::verdict::{Breach, Findings};

fn probe(node: u32, applied_index: u64, hash: &str) -> Event {
    Event::Probe(Probe { at_ns: 0, node, shard: 0, applied_index, hash: hash.into() })
}

#[test]
fn replicas_at_one_index_have_one_hash() {
    let script = || Script::new().event(probe(1, 7, "a")).event(probe(2, 8, "b"));
    assert!(script().event(probe(3, 7, "a")).breaches(i10_equal_hashes::check).is_empty());
    assert_eq!(script().event(probe(3, 7, "b")).breaches(i10_equal_hashes::check), [Breach::HashesDiffer]);
    let itself = script().event(probe(1, 7, "c"));
    assert_eq!(itself.breaches(i10_equal_hashes::check), [Breach::HashesDiffer], "one node that changed");
}

/// A write that is tried at `call` and succeeds at `back`.
fn write(script: Script, call: u64, back: u64) -> Script {
    script.ok(call, back, put(due(9000)), answer(201, 10, 10, 9000))
}

fn recovery(script: Script) -> Findings {
    i12_recovery::check(&script.phase(60_000, PhaseName::Final).history())
}

fn begun() -> Script {
    write(Script::new(), 0, 10)
}

#[test]
fn a_healed_shard_takes_writes_within_the_bound() {
    let healed = |back| write(begun().health(1000, false).health(5000, true), 5001, back);
    assert_eq!(recovery(healed(8000)), Findings::default());
    let slow = recovery(healed(8001));
    assert_eq!(slow.violations.iter().map(|v| v.breach).collect::<Vec<_>>(), [Breach::NotRecovered]);
}

#[test]
fn a_write_that_was_called_before_the_heal_proves_nothing() {
    let early = write(begun().health(1000, false).health(5000, true), 4999, 5500);
    let found = recovery(early.op(6000, 8001, put(due(9000)), unknown()));
    assert_eq!(found.violations.len(), 1);
}

#[test]
fn a_kill_of_a_healthy_shards_node_is_recovered_from_within_the_bound() {
    let killed = |back| write(begun().fault(5000, 6000, "kill", None), 5001, back);
    assert_eq!(recovery(write(killed(8000), 8001, 8010)), Findings::default());
    assert_eq!(recovery(write(killed(8001), 8002, 8010)).violations.len(), 1);
}

#[test]
fn a_shard_that_still_fails_when_the_bound_has_passed_did_not_recover() {
    let healed = || begun().health(1000, false).health(5000, true);
    let refusal = |status| crate::testing::refused(status, "SHARD_UNAVAILABLE", None, None);
    let tried = |call, back, outcome| {
        let found = recovery(healed().op(call, back, put(due(9000)), outcome));
        (found.violations.len(), found.doubts.len())
    };
    assert_eq!(tried(7000, 8001, unknown()), (1, 0));
    assert_eq!(tried(8500, 8501, refusal(503)), (1, 0));
    assert_eq!(tried(8500, 8501, refusal(0)), (1, 0), "no connection");
    assert_eq!(tried(5001, 7900, unknown()), (0, 1), "it may have worked right after");
    assert_eq!(tried(8500, 8501, refusal(412)), (0, 1), "the shard has decided that");
    assert_eq!(tried(4999, 8001, unknown()), (0, 1), "called before it had to work");
}

#[test]
fn a_late_success_that_nobody_had_waited_for_is_a_doubt() {
    let late = recovery(write(begun().health(1000, false).health(5000, true), 20_000, 20_010));
    assert_eq!((late.violations.len(), late.doubts.len()), (0, 1));
}

#[test]
fn a_shard_that_could_not_work_is_not_judged() {
    let fallen = begun().health(1000, false).health(5000, true).health(6000, false);
    assert_eq!(recovery(fallen), Findings::default());
    let ineffective = begun().event(Event::FaultBegin(FaultBegin {
        at_ns: 5_000_000_000,
        fault: 77,
        fault_kind: "kill".into(),
        nodes: vec![1],
        effective: false,
        established: "still there".into(),
        clock_offset_ms: None,
    }));
    assert_eq!(recovery(ineffective), Findings::default());
}

#[test]
fn a_recovery_that_nobody_tried_is_a_doubt() {
    let found = recovery(begun().health(1000, false).health(5000, true));
    assert_eq!((found.violations.len(), found.doubts.len()), (0, 1));
}

fn boundary(status: u16, sent: &str, kept: Option<&str>) -> Script {
    Script::new().event(Event::Boundary(Boundary {
        called_ns: 20_000_000_000,
        at_ns: 21_000_000_000,
        case: "an edge".into(),
        timer: "t".into(),
        status,
        sent: sent.into(),
        kept: kept.map(str::to_owned),
    }))
}

#[test]
fn what_is_accepted_is_kept_and_what_is_refused_is_not() {
    let judged = |status, kept| boundary(status, "x", kept).breaches(i13_boundaries::check);
    assert!(judged(201, Some("x")).is_empty());
    assert!(judged(422, None).is_empty());
    assert_eq!(judged(201, Some("y")), [Breach::KeptOtherwise]);
    assert_eq!(judged(201, None), [Breach::AcceptedAndGone]);
    assert_eq!(judged(400, Some("x")), [Breach::KeptOtherwise]);
    assert_eq!(judged(500, None), [Breach::NotRefusedProperly]);
    assert_eq!(judged(0, None), [Breach::NotRefusedProperly], "no answer at all");
    let breaches = |(begin_ms, end_ms)| {
        let faulty = boundary(503, "x", None).with_run(|run| run.grace_ms = 5_000);
        faulty.fault(begin_ms, end_ms, "kill", None).breaches(i13_boundaries::check)
    };
    assert!(breaches((20_500, 20_900)).is_empty(), "that says nothing about the input");
    assert!(breaches((15_100, 15_200)).is_empty(), "nor that, within the grace time");
    assert_eq!(breaches((14_800, 14_900)), [Breach::NotRefusedProperly]);
    assert_eq!(breaches((21_100, 22_000)), [Breach::NotRefusedProperly]);
}

/// A run in which everything happened, with a kill that was asked for.
fn full() -> Script {
    begun()
        .with_run(|run| run.fault_kinds = vec!["kill".into()])
        .leader(0, 1, 1)
        .leader(600, 20, 2)
        .fault(500, 700, "kill", None)
        .delivery(600, 10, 1, token(20, 1), status(200))
        .event(probe(1, 7, "a"))
        .event(probe(2, 7, "a"))
        .phase(20_000, PhaseName::Final)
        .ok(20_001, 20_002, Action::Get, answer(200, 10, 10, 9000))
}

fn doubts(script: Script) -> Vec<String> {
    let found = i14_not_empty::check(&script.history());
    assert!(found.violations.is_empty());
    found.doubts
}

#[track_caller]
fn one_doubt(script: Script, about: &str) {
    let doubts = doubts(script);
    assert!(doubts.len() == 1 && doubts[0].contains(about), "{doubts:?}");
}

/// The events of [`full`] without those that `drop` picks.
fn without(drop: impl Fn(&Event) -> bool) -> Script {
    let mut script = full();
    script.events.retain(|event| !drop(event));
    script
}

#[test]
fn a_run_in_which_everything_happened_leaves_no_doubt() {
    assert!(doubts(full()).is_empty());
}

#[test]
fn a_fault_kind_that_was_asked_for_and_never_took_effect_is_a_doubt() {
    one_doubt(full().with_run(|run| run.fault_kinds.push("powerCut".into())), "powerCut");
    let mut failed = full();
    for event in &mut failed.events {
        if let Event::FaultBegin(begin) = event {
            begin.effective = false;
        }
    }
    assert_eq!(doubts(failed).len(), 2, "nor did anything fire during it");
}

#[test]
fn whatever_did_not_happen_is_a_doubt() {
    let fired_later = full().delivery(900, 11, 1, token(21, 1), status(200));
    assert!(doubts(fired_later).is_empty(), "one during the fault is enough");
    assert_eq!(doubts(without(|event| matches!(event, Event::Delivery(_)))).len(), 2);
    one_doubt(without(|event| matches!(event, Event::Leader(leader) if leader.session == 20)), "leader");
    one_doubt(without(|event| matches!(event, Event::Probe(probe) if probe.node == 2)), "replicas");
    one_doubt(without(|event| matches!(event, Event::Phase(_))), "final phase");
}

#[test]
fn a_harness_that_says_that_it_sees_no_replicas_is_not_asked_for_them() {
    let unseen = || without(|event| matches!(event, Event::Probe(_)));
    one_doubt(unseen(), "replicas");
    assert!(doubts(unseen().with_run(|run| run.replicas_seen = false)).is_empty());
}

#[test]
fn an_empty_run_passes_nothing() {
    let empty = doubts(Script::new());
    assert!(empty.iter().any(|doubt| doubt.contains("acknowledged")), "{empty:?}");
    assert!(empty.iter().any(|doubt| doubt.contains("no read")), "{empty:?}");
    assert!(empty.iter().any(|doubt| doubt.contains("fired")), "{empty:?}");
}

#[test]
fn answers_that_no_order_explains_are_a_violation_with_every_line_of_the_timer() {
    let script = Script::new().ok(0, 10, create(due(9000)), answer(201, 10, 10, 9000)).op(
        20,
        30,
        Action::Get,
        crate::testing::refused(404, "TIMER_NOT_FOUND", None, None),
    );
    let found = i1_linearizable::check(&script.history());
    let violation = &found.violations[0];
    assert_eq!((violation.breach, violation.timer.as_deref()), (Breach::NotLinearizable, Some("t")));
    assert_eq!(violation.lines, [3, 4, 5, 6]);
    assert!(violation.sentence.contains("line 6"), "{violation}");
}

#[test]
fn a_timer_with_too_many_operations_is_a_doubt() {
    let mut script = begun();
    for n in 0..100 {
        script = script.ok(20 + n, 21 + n, Action::Get, answer(200, 10, 10, 9000));
    }
    let found = i1_linearizable::check(&script.history());
    assert_eq!((found.violations.len(), found.doubts.len()), (0, 1));
}

#[test]
fn a_fault_while_the_shard_was_unable_starts_no_recovery_of_its_own() {
    let down = || begun().health(1000, false).fault(2000, 2500, "kill", None);
    assert_eq!(recovery(write(down().health(9000, true), 9001, 9010)), Findings::default());
    let before_any = Script::new().fault(0, 1, "kill", None);
    let mut unhealthy = before_any;
    unhealthy.events.retain(|event| !matches!(event, Event::Health(_)));
    assert_eq!(recovery(unhealthy), Findings::default());
}

#[test]
fn a_shard_that_fell_before_the_bound_but_after_its_first_write_did_recover() {
    let healed = begun().health(1000, false).health(5000, true).health(6000, false);
    let history = write(healed, 5001, 5500).phase(60_000, PhaseName::Final).history();
    let written: Vec<_> = i12_recovery::recoveries(&history).iter().map(|one| one.written_ns).collect();
    assert!(written.contains(&Some(5_500_000_000)), "{written:?}");
}
