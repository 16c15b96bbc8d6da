//! The hand-made histories in `testdata/`: `good-*.jsonl` break nothing, `bad-BREACH-*.jsonl` break that and nothing
//! else. Most of the bad ones are what a known mutant of the product would leave behind.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use checkers::history::{HistoryReader, HistoryWriter};
use checkers::verdict::Breach;

fn histories() -> Vec<(String, PathBuf)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    found.sort();
    found
}

#[test]
fn each_history_breaks_what_its_name_says_and_nothing_else() {
    let (mut good, mut bad) = (0, 0);
    for (name, path) in histories() {
        let history = checkers::read(BufReader::new(File::open(path).unwrap())).unwrap();
        let report = checkers::check(&history);
        let found: BTreeSet<Breach> = report.violations.iter().map(|violation| violation.breach).collect();
        let expected: BTreeSet<Breach> = match name.split('-').collect::<Vec<_>>()[..] {
            ["good", ..] => {
                good += 1;
                BTreeSet::new()
            }
            ["bad", breach, ..] => {
                bad += 1;
                [serde_json::from_value(breach.into()).unwrap()].into()
            }
            _ => panic!("{name}: neither good nor bad"),
        };
        assert_eq!(found, expected, "{name}: {:?}", report.lines(5));
    }
    assert!(good >= 4 && bad >= 8, "{good} good and {bad} bad ones were found");
}

#[test]
fn each_history_is_written_as_it_was_read_but_for_what_is_left_out() {
    for (name, path) in histories() {
        let events: Vec<_> = HistoryReader::new(BufReader::new(File::open(path).unwrap()))
            .map(|event| event.unwrap().1)
            .collect();
        let mut writer = HistoryWriter::new(Vec::new());
        for event in &events {
            writer.write(event).unwrap();
        }
        let text = writer.into_inner();
        let again: Vec<_> = HistoryReader::new(text.as_slice()).map(|event| event.unwrap().1).collect();
        assert_eq!(again, events, "{name}");
    }
}
