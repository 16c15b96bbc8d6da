//! The figures and the words of a report.

use super::*;
use crate::history::{Action, PhaseName, Reply};
use crate::testing::{Script, answer, create, due, put, status, token, unknown};

#[test]
fn duplicates_are_counted_by_whether_a_token_tells_them_and_whether_the_first_was_answered() {
    let script = Script::new()
        .leader(0, 1, 1)
        .leader(500, 20, 2)
        .leader(800, 30, 3)
        .ok(0, 10, create(due(100)), answer(201, 10, 10, 100))
        .delivery(150, 10, 1, token(10, 1), Reply::Hang)
        .delivery(900, 10, 1, token(30, 1), status(200))
        .delivery(950, 10, 1, token(20, 1), status(200));
    let summary = check(&script.history()).summary;
    assert_eq!((summary.acked, summary.fired), (1, 1));
    assert_eq!(summary.duplicates, 2);
    assert_eq!(summary.duplicates_answered, 1, "the first that was repeated had hung");
    assert_eq!((summary.duplicates_fenced, summary.duplicates_unfenced, summary.zombies), (1, 1, 1));
}

#[test]
fn lateness_is_counted_from_the_time_or_from_the_request_if_that_was_later() {
    let mut script = Script::new();
    for n in 1..=100 {
        script = script
            .ok(n * 100, n * 100 + 1, put(due(n * 100 + 50)), answer(200, n, n, n * 100 + 50))
            .delivery(n * 100 + 50 + n, n, 1, token(n, 1), status(200));
    }
    let summary = check(&script.history()).summary;
    assert_eq!(summary.lateness_ms, Lateness { p50: 50, p99: 99, max: 100 });
    let past = Script::new().ok(500, 510, put(due(100)), answer(201, 10, 10, 100)).delivery(
        530,
        10,
        1,
        token(10, 1),
        status(200),
    );
    assert_eq!(check(&past.history()).summary.lateness_ms.max, 30);
    assert_eq!(check(&Script::new().history()).summary.lateness_ms, Lateness::default());
}

#[test]
fn overlapping_faults_count_once_and_kinds_are_listed() {
    let script = Script::new()
        .fault(1000, 4000, "kill", None)
        .fault(2000, 6000, "powerCutAll", None)
        .fault(8000, 9000, "kill", None);
    let summary = check(&script.history()).summary;
    assert_eq!((summary.fault_seconds, summary.faults_effective, summary.power_cuts), (6, 3, 1));
    assert_eq!(summary.fault_kinds, ["kill", "powerCutAll"]);
}

#[test]
fn operations_are_counted_by_what_came_of_them() {
    let summary = check(
        &Script::new()
            .ok(0, 10, create(due(9000)), answer(201, 10, 10, 9000))
            .op(20, 30, put(due(8000)), unknown())
            .op(40, 50, Action::Get, crate::testing::refused(503, "SHARD_UNAVAILABLE", None, None))
            .history(),
    )
    .summary;
    let counts = (summary.operations_ok, summary.operations_refused, summary.operations_unknown);
    assert_eq!(counts, (1, 1, 1));
}

#[test]
fn a_lost_and_an_early_timer_make_a_violation_that_names_them() {
    let lost =
        Script::new().ok(0, 10, create(due(100)), answer(201, 10, 10, 100)).phase(20_000, PhaseName::Final);
    let report = check(&lost.history());
    assert_eq!((report.verdict(), report.summary.lost), (Verdict::Violation, 1));
    assert!(report.lines(5)[0].starts_with("VIOLATION I2 Lost timer t lines [3, 4]: generation 10:"));
    let early = Script::new().ok(0, 10, create(due(100)), answer(201, 10, 10, 100)).delivery(
        90,
        10,
        1,
        token(10, 1),
        status(200),
    );
    assert_eq!(check(&early.history()).summary.early, 1);
}

#[test]
fn many_findings_of_one_kind_are_cut_off_with_their_number() {
    let mut script = Script::new();
    for n in 1..=9 {
        script = script.delivery(100 + n, n, 1, token(n, 1), status(200));
    }
    let lines = check(&script.history()).lines(2);
    assert_eq!(lines.iter().filter(|line| line.starts_with("VIOLATION I1 Ghost")).count(), 2);
    assert!(lines.contains(&"VIOLATION Ghost: 7 more".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("UNKNOWN I14")), "{lines:?}");
}

#[test]
fn the_summary_has_the_names_of_the_results_file() {
    let report = check(&Script::new().history());
    let json = serde_json::to_value(&report.summary).unwrap();
    for name in [
        "seed",
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
        assert!(json.get(name).is_some(), "{name}");
    }
    assert_eq!(json["verdict"], "unknown");
}

#[test]
fn a_history_whose_lines_do_not_add_up_is_not_judged() {
    let refused = |text: &str| read(text.as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert!(refused("").contains("`run` line"));
    let mut head = serde_json::to_string(&crate::history::Event::Run(crate::testing::run())).unwrap();
    head.push('\n');
    let call = r#"{"kind":"call","atNs":5,"op":1,"process":1,"timer":"t","shard":0,"action":{"do":"get"}}"#;
    let back = |at: u64| {
        format!(r#"{{"kind":"return","atNs":{at},"op":1,"outcome":{{"is":"unknown","detail":"?"}}}}"#)
    };
    assert!(refused(&format!("{head}{head}")).starts_with("line 2: a second"));
    assert!(refused(&format!("{head}{call}\n{call}\n")).contains("operation 1 was called before"));
    assert!(refused(&format!("{head}{}\n", back(9))).contains("without a call"));
    assert!(refused(&format!("{head}{call}\n{}\n{}\n", back(9), back(10))).contains("second time"));
    assert!(refused(&format!("{head}{call}\n{}\n", back(4))).contains("ends before it began"));
    let moved = call.replace("\"op\":1", "\"op\":2").replace("\"shard\":0", "\"shard\":1");
    assert!(refused(&format!("{head}{call}\n{moved}\n")).contains("another shard"));
    let end = r#"{"kind":"faultEnd","atNs":9,"fault":3}"#;
    assert!(refused(&format!("{head}{end}\n")).contains("fault 3"));
    assert!(read(format!("{head}{call}\n{}\n", back(9)).as_bytes()).is_ok());
}
