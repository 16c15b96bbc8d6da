//! The meta test: a seed run twice gives the same trace, byte for byte, with everything that turmoil, openraft, h2,
//! hyper and our own code have to say at the level TRACE.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a seed and gives the hash of its trace; with `keep`, the trace's file too.
fn run(name: &str, seed: u64, filter: &str, keep: bool) -> (String, PathBuf) {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.args(["one", "--filter", filter, "--seed", &seed.to_string(), "--work"]).arg(&work);
    let ended = if keep { command.arg("--trace") } else { &mut command }.output().unwrap();
    let outcome = std::fs::read(work.join("outcome.json")).unwrap_or_default();
    let outcome: serde_json::Value = serde_json::from_slice(&outcome).unwrap_or_default();
    let hash = outcome["trace"].as_str().unwrap_or_default().to_owned();
    assert!(!hash.is_empty(), "seed {seed}: {}", String::from_utf8_lossy(&ended.stderr));
    (hash, work.join("trace.log"))
}

/// The first lines that differ, for a person who is to find out why.
fn difference(a: &Path, b: &Path) -> String {
    use std::io::{BufRead as _, BufReader};
    let lines = |path: &Path| BufReader::new(std::fs::File::open(path).unwrap()).lines();
    for (number, (a, b)) in (1..).zip(lines(a).zip(lines(b))) {
        let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
        if a != b {
            return format!("line {number}:\n{a}\n{b}");
        }
    }
    "one is longer".to_owned()
}

fn assert_repeats(seed: u64, filter: &str) {
    let name = |which: &str| format!("{which}-{seed}");
    let hash = |which: &str| run(&name(which), seed, filter, false).0;
    if hash("first") == hash("second") {
        return;
    }
    let (_, first) = run(&name("first"), seed, filter, true);
    let (_, second) = run(&name("second"), seed, filter, true);
    panic!("seed {seed} does not repeat: {}", difference(&first, &second));
}

#[test]
fn a_seed_run_twice_gives_the_same_trace_of_everything() {
    // One line of hyper-util's prints an address.
    assert_repeats(1, "trace,hyper_util::client::legacy::connect=info");
}

#[test]
fn many_seeds_run_twice_give_the_same_trace_of_what_the_product_logs() {
    for seed in 100..104 {
        assert_repeats(seed, "sim=info,turmoil::sim=info,node=debug,raft_store=debug");
    }
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(run("one", 2, "info", false).0, run("other", 3, "info", false).0);
}
