//! Seeds whose kinds of fault once found something in the product (docs/found-bugs.md): they have to pass.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::Path;
use std::process::Command;

/// With clocks beyond what is promised, retries whose outcome is heard of late, and restarts in order.
const PINNED: [u64; 5] = [4, 5, 8, 9, 12];

#[test]
fn pinned_seeds_pass() {
    for seed in PINNED {
        let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pinned-{seed}"));
        let ended = Command::new(env!("CARGO_BIN_EXE_sim"))
            .args(["one", "--seed", &seed.to_string(), "--work"])
            .arg(&work)
            .output()
            .unwrap();
        assert!(ended.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&ended.stdout));
        let _ = std::fs::remove_dir_all(work);
    }
}
