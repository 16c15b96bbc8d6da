//! What makes a run pass, fail, or say nothing.

use super::*;
use checkers::history::{Event, FaultBegin, FaultEnd};
use checkers::specimen::Specimen;

/// A valid history whose head asks for `kinds`, with one fault `kill`.
fn history(kinds: &[&str], effective: bool) -> History {
    let specimen = Specimen { seed: 5, timers: 40, operations: 8, unknown_permille: 20 };
    let mut builder = checkers::index::HistoryBuilder::new();
    for (line, event) in (1..).zip(specimen.events()) {
        let event = if let Event::Run(run) = event {
            let fault_kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            Event::Run(checkers::history::Run { fault_kinds, nodes: 1, ..run })
        } else {
            event
        };
        builder.push(line, event).unwrap();
    }
    let begin = FaultBegin {
        at_ns: 0,
        fault: 1,
        fault_kind: "kill".into(),
        nodes: vec![1],
        effective,
        established: "process gone".into(),
        clock_offset_ms: None,
    };
    builder.push(1_000_001, Event::FaultBegin(begin)).unwrap();
    builder.push(1_000_002, Event::FaultEnd(FaultEnd { at_ns: 60_000_000_000, fault: 1 })).unwrap();
    builder.finish().unwrap()
}

/// The same, judged.
pub fn judged(kinds: &[&str], effective: bool) -> Judged {
    Judged::of(history(kinds, effective), Extra::default())
}

#[test]
fn a_fault_without_effect_makes_the_verdict_unknown() {
    let judged = Judged::of(history(&["kill"], false), Extra::default());
    assert_eq!(judged.verdict, Verdict::Unknown);
    assert!(judged.report.doubts.iter().any(|doubt| doubt.contains("kill was asked for")), "{judged:?}");
    let judged = Judged::of(history(&["kill"], true), Extra::default());
    assert_eq!(judged.verdict, Verdict::Pass, "{:?}", judged.report.doubts);
}

#[test]
fn a_node_that_ends_by_itself_is_a_violation_and_an_interrupted_run_is_unknown() {
    let surprised = Extra { surprises: vec!["n1: exit code 101".into()], ..Extra::default() };
    let judged = Judged::of(history(&["kill"], true), surprised);
    assert_eq!(judged.verdict, Verdict::Violation);
    assert_eq!(judged.checks.iter().filter(|(_, holds)| !holds).count(), 1);
    let interrupted = Extra { interrupted: true, ..Extra::default() };
    assert_eq!(Judged::of(history(&["kill"], true), interrupted).verdict, Verdict::Unknown);
}

#[test]
fn a_line_has_the_documented_names() {
    let judged = Judged::of(history(&["kill"], true), Extra::default());
    let line = judged.line("smoke", "abc").unwrap();
    for name in [
        "commit",
        "date",
        "seed",
        "profile",
        "nodes",
        "shards",
        "faultSeconds",
        "faultKinds",
        "faultsEffective",
        "powerCuts",
        "bitFlips",
        "acked",
        "fired",
        "lost",
        "early",
        "ghost",
        "duplicates",
        "duplicatesAnswered",
        "zombies",
        "latenessMs",
        "verdict",
    ] {
        assert!(!line[name].is_null(), "{name}");
    }
    assert_eq!((line["verdict"].as_str(), line["profile"].as_str()), (Some("pass"), Some("smoke")));
}
