//! Whole runs of the harness with real processes. They need root, namespaces, loop devices and a built `timerd`; without
//! them they count as ignored, and one line says why. Rust's own test runner knows nothing that is found out at run time.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal, kill_process};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let timerd = timerd();
    if let Err(reason) = &timerd {
        eprintln!("skipped: runs of real processes: {reason}");
    }
    let trial = |name: &str, test: fn(&Path)| {
        let timerd = timerd.clone();
        let ignored = timerd.is_err();
        let run = move || {
            test(&timerd?);
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(ignored)
    };
    let trials = vec![
        trial(
            "a_fault_that_is_switched_off_makes_the_verdict_unknown",
            a_fault_that_is_switched_off_makes_the_verdict_unknown,
        ),
        trial("an_interrupted_run_leaves_nothing_behind", an_interrupted_run_leaves_nothing_behind),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The server, if the harness can work here, or what is missing.
fn timerd() -> Result<PathBuf, String> {
    let beside = Path::new(env!("CARGO_BIN_EXE_jepsen")).with_file_name("timerd");
    let named = std::env::var_os("JEPSEN_TIMERD").map(PathBuf::from);
    let Some(timerd) = named.into_iter().chain([beside]).find(|path| path.is_file()) else {
        return Err("no timerd is built".to_owned());
    };
    let probe = Command::new(env!("CARGO_BIN_EXE_jepsen")).arg("probe").output().unwrap();
    if !probe.status.success() {
        return Err(String::from_utf8_lossy(&probe.stderr).trim().to_owned());
    }
    Ok(timerd)
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

fn a_fault_that_is_switched_off_makes_the_verdict_unknown(timerd: &Path) {
    let out = tempfile::tempdir().unwrap();
    let output = run(timerd, out.path(), &["--time", "12", "--kinds", "kill", "--disable", "kill"]).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("the fault kill was asked for and never took effect"), "{text}");
    assert!(text.contains("verdict: UNKNOWN"), "{text}");
}

fn an_interrupted_run_leaves_nothing_behind(timerd: &Path) {
    let out = tempfile::tempdir().unwrap();
    let mut command =
        run(timerd, out.path(), &["--time", "60", "--kinds", "powerCut,cpuStarve,partitionMajority"]);
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
