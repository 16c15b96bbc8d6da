//! How fast histories are judged: 10,000 timers with 20 operations each, overlapping, 2% of the mutations with an
//! unknown outcome; prints the times of one core and fails if the verdict is not a pass. Deliberately not a test:
//! figures are for people.
//!
//! `cargo run --release -p checkers --example speed -- [SEED]`

use std::time::Instant;

use checkers::history::HistoryWriter;
use checkers::invariants::i1_linearizable;
use checkers::specimen::Specimen;
use checkers::verdict::Verdict;

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(42);
    let specimen = Specimen { seed, timers: 10_000, operations: 20, unknown_permille: 20 };
    let events = specimen.events();
    let mut writer = HistoryWriter::new(Vec::new());
    for event in &events {
        assert!(writer.write(event).is_ok(), "an event has a JSON form");
    }
    let text = writer.into_inner();
    println!("{} events, {} MiB of JSON lines", events.len(), text.len() >> 20);

    let began = Instant::now();
    let Ok(history) = checkers::read(text.as_slice()) else {
        panic!("what was written can't be read");
    };
    println!("read and indexed in {:?}", began.elapsed());

    let began = Instant::now();
    let findings = i1_linearizable::check(&history);
    println!("I1 (linearizability) in {:?}", began.elapsed());
    assert_eq!(findings.verdict(), Verdict::Pass, "{:?}", findings.violations.first());

    let began = Instant::now();
    let report = checkers::check(&history);
    println!("all invariants and the report in {:?}", began.elapsed());
    for line in report.lines(3) {
        println!("{line}");
    }
    let summary = &report.summary;
    println!(
        "{} operations ok, {} refused, {} unknown; {} acknowledged, {} fired",
        summary.operations_ok,
        summary.operations_refused,
        summary.operations_unknown,
        summary.acked,
        summary.fired
    );
    assert_eq!(report.verdict(), Verdict::Pass);
}
