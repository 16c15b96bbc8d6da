//! Whole runs of the harness with real processes. They need root, namespaces, loop devices and a built `timerd`.
//! Rust's test runner knows no "skipped" that is found out at run time: without them a test counts as passed, and
//! one line says that it was skipped and why.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The server, if the harness can work here.
fn timerd() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_jepsen")).with_file_name("timerd");
    let named = std::env::var_os("JEPSEN_TIMERD").map(PathBuf::from);
    let Some(timerd) = named.into_iter().chain([beside]).find(|path| path.is_file()) else {
        return skip("no timerd is built");
    };
    let probe = Command::new(env!("CARGO_BIN_EXE_jepsen")).arg("probe").output().unwrap();
    if !probe.status.success() {
        return skip(String::from_utf8_lossy(&probe.stderr).trim());
    }
    Some(timerd)
}

/// Past the test runner, which would keep it for itself when the test passes.
fn skip(reason: &str) -> Option<PathBuf> {
    let _ = writeln!(std::io::stderr(), "skipped: a run of real processes: {reason}");
    None
}

fn run(timerd: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jepsen"));
    command.args(["run", "--nodes", "3", "--shards", "2", "--rate", "40", "--seed", "7", "--timerd"]);
    command.arg(timerd).arg("--out").arg(out).args(more);
    command
}

/// What a run of process `pid` would leave on the machine if it did not clean up.
fn left_behind(pid: u32) -> Vec<PathBuf> {
    let tag = format!("dtj{pid}");
    let disks = format!("dtj-{pid}");
    ["/run/netns", "/dev/shm", "/sys/fs/cgroup/cpu"]
        .into_iter()
        .flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name == disks || name.starts_with(&format!("{tag}-"))
        })
        .collect()
}

#[test]
fn a_fault_that_is_switched_off_makes_the_verdict_unknown() {
    let Some(timerd) = timerd() else { return };
    let out = tempfile::tempdir().unwrap();
    let output = run(&timerd, out.path(), &["--time", "12", "--kinds", "kill", "--disable", "kill"]).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("the fault kill was asked for and never took effect"), "{text}");
    assert!(text.contains("verdict: UNKNOWN"), "{text}");
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let Some(timerd) = timerd() else { return };
    let out = tempfile::tempdir().unwrap();
    let mut command =
        run(&timerd, out.path(), &["--time", "60", "--kinds", "powerCut,cpuStarve,partitionMajority"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut text = String::new();
    for line in lines {
        let line = line.unwrap();
        if line.contains("phase Faults") {
            assert_ne!(left_behind(child.id()), Vec::<PathBuf>::new(), "the test looks in the right places");
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            kill_process(pid, Signal::INT).unwrap();
        }
        text.push_str(&line);
        text.push('\n');
    }
    let status = child.wait().unwrap();
    assert_eq!(left_behind(child.id()), Vec::<PathBuf>::new(), "{text}");
    // What was seen until then may already be a violation; a pass it can't be.
    assert!(matches!(status.code(), Some(1 | 2)), "{status:?}\n{text}");
}
