//! One flipped bit in a file of a node that is down. The outcome must be right or refused: either the node starts and
//! all is as if nothing had happened, or it says that it can't.
//!
//! A node that refuses gets its files back as they were, which is sound because it has acknowledged nothing in
//! between; one that starts and finds the damage later has acknowledged more by then, and stays away for the rest
//! of the run. Only one node of a run is ever damaged.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::Effect;
use super::processes::take;
use crate::node::Node;
use crate::plan::Planned;
use crate::random::Random;
use crate::shell::{blocking, run};
use crate::stage::Stage;

/// A node that has not refused by then has started.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(50);

/// Which files are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// Write-ahead logs and tables of the log's database.
    Log,
    /// Tables of the state's database.
    State,
    /// Manifests and what lies beside the databases: identity, mark.
    Side,
}

/// Kills the node, flips a bit, and starts it.
pub(super) async fn flip(stage: &Stage, planned: &Planned, which: Files) -> anyhow::Result<Effect> {
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first().cloned() else {
        return Ok(Effect::none("the node was not running, or was damaged before"));
    };
    stage.book.down(node.number);
    let (victim, draw) = (node.clone(), planned.draw);
    let flipped = blocking(move || {
        victim.kill()?;
        damage(&victim, draw, which)
    })
    .await;
    let what = match flipped {
        Ok(what) => what,
        Err(e) => {
            super::processes::bring_back(stage, &nodes).await?;
            return Ok(Effect::none(format!("no bit was flipped: {e:#}")));
        }
    };
    node.start(&stage.spawner)?;
    let refused = watch(stage, &node, planned.length_ms).await;
    if let Some(how) = refused {
        let said = stage.logs.last(node.number);
        let mended = node.clone();
        let back = blocking(move || restore(&mended)).await;
        super::processes::bring_back(stage, &nodes).await?;
        back?;
        return Ok(Effect::seen(format!("{what}; refused: {how}: {said}")));
    }
    node.suspect();
    stage.book.up(node.number);
    let back = stage.wait_back(&node).await;
    node.release();
    let _ = fs::remove_dir_all(backup(&node));
    let word = if back { "it started" } else { "it runs and is not ready" };
    Ok(Effect::seen(format!("{what}; {word}")))
}

/// How the node ended, if it did within the time in which it must say so.
async fn watch(stage: &Stage, node: &Node, at_least_ms: u64) -> Option<String> {
    let deadline = Instant::now() + REFUSAL_TIME_MAX.max(Duration::from_millis(at_least_ms));
    while Instant::now() < deadline && !stage.stop.is_cancelled() {
        if let Some(how) = node.end() {
            return Some(how);
        }
        tokio::time::sleep(POLL).await;
    }
    None
}

fn backup(node: &Node) -> PathBuf {
    node.disk.path().join("lost+found/backup")
}

/// Keeps a copy of the data and flips one bit; says where.
fn damage(node: &Node, draw: u64, which: Files) -> anyhow::Result<String> {
    let (data, copy) = (node.data(), backup(node));
    let _ = fs::remove_dir_all(&copy);
    run(&["cp", "-a", &data.to_string_lossy(), &copy.to_string_lossy()])?;
    let mut files = Vec::new();
    collect(&data, &mut files)?;
    let mut files: Vec<(PathBuf, u64)> =
        files.into_iter().filter(|(path, bytes)| *bytes > 0 && which.has(path)).collect();
    files.sort();
    let mut random = Random::new(draw);
    anyhow::ensure!(!files.is_empty(), "there is no such file yet");
    let (path, bytes) = random.pick(&files).clone();
    let (offset, bit) = (random.below(bytes), random.below(8));
    let file = fs::File::options().read(true).write(true).open(&path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, offset)?;
    file.sync_all()?;
    let name = path.strip_prefix(&data).unwrap_or(&path).display().to_string();
    Ok(format!("bit {bit} of byte {offset} of {bytes} in {name}"))
}

/// Puts the copy in the place of the damaged files, durably: what was never synced would be gone with the next power cut,
/// and the node would rightly refuse what is left.
fn restore(node: &Node) -> anyhow::Result<()> {
    let (data, copy) = (node.data(), backup(node));
    fs::remove_dir_all(&data)?;
    fs::rename(&copy, &data).context("the copy can't take the place of the damaged files")?;
    run(&["sync", "--file-system", &data.to_string_lossy()])?;
    Ok(())
}

fn collect(directory: &Path, files: &mut Vec<(PathBuf, u64)>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_dir() {
            collect(&entry.path(), files)?;
        } else if about.is_file() {
            files.push((entry.path(), about.len()));
        }
    }
    Ok(())
}

impl Files {
    /// Whether a file of the node's data is one of them.
    fn has(self, path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let ending = |ending: &str| path.extension().is_some_and(|e| e == ending);
        let of = |directory: &str| path.components().any(|part| part.as_os_str() == directory);
        match self {
            Self::Log => of("log") && (ending("log") || ending("sst")),
            Self::State => of("state") && ending("sst"),
            Self::Side => !of("log") && !of("state") || name.starts_with("MANIFEST") || name == "CURRENT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_of_one_class_or_of_none() {
        let all =
            |path: &str| [Files::Log, Files::State, Files::Side].map(|files| files.has(Path::new(path)));
        assert_eq!(all("/d/n1/data/log/000017.log"), [true, false, false]);
        assert_eq!(all("/d/n1/data/state/000050.sst"), [false, true, false]);
        assert_eq!(all("/d/n1/data/state/MANIFEST-000024"), [false, false, true]);
        assert_eq!(all("/d/n1/data/identity"), [false, false, true]);
        assert_eq!(all("/d/n1/data/log/LOG"), [false, false, false], "words for people");
    }
}
