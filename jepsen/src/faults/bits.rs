//! One flipped bit in a file of a node that is down. The outcome must be right or refused: either the node starts and
//! all is as if nothing had happened, or it says that it can't.
//!
//! The bit is put right where it is, and nothing else is touched: a node can have served for a while before it reads what is
//! damaged, so that a copy of its files of before would lack what it has acknowledged since. A node that refuses, or ends
//! when it finds the damage, is started again after that. If the file is gone by then, nobody knows where the damage went:
//! a node that ends of it later stays away for the rest of the run. Only one node of a run is ever damaged.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Effect;
use super::processes::take;
use crate::node::Node;
use crate::plan::Planned;
use crate::random::Random;
use crate::shell::blocking;
use crate::stage::Stage;

/// A node that has not refused by then has started.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(50);
/// A node that has read what is damaged has ended by then.
const FINDING_TIME_MAX_MS: u64 = 1_500;

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

/// A bit that is not as it was.
struct Flipped {
    path: PathBuf,
    offset: u64,
    bit: u64,
    /// As it is now, with its neighbours.
    byte: u8,
    /// For people.
    what: String,
}

impl Flipped {
    /// Flips the bit back; `false` if the file is not there any more, or is another.
    fn put_right(&self) -> anyhow::Result<bool> {
        let Ok(file) = fs::File::options().read(true).write(true).open(&self.path) else { return Ok(false) };
        let mut byte = [0];
        if file.read_exact_at(&mut byte, self.offset).is_err() || byte[0] != self.byte {
            return Ok(false);
        }
        file.write_all_at(&[self.byte ^ 1 << self.bit], self.offset)?;
        file.sync_all()?;
        Ok(true)
    }
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
    let flipped = match flipped {
        Ok(flipped) => flipped,
        Err(e) => {
            super::processes::bring_back(stage, &nodes).await?;
            return Ok(Effect::none(format!("no bit was flipped: {e:#}")));
        }
    };
    node.start(&stage.spawner)?;
    let refused = watch(stage, &node, planned.length_ms).await;
    let said = stage.logs.last(node.number);
    let what = flipped.what.clone();
    let right = blocking(move || flipped.put_right()).await?;
    if !right {
        node.suspect();
    }
    let word = match refused {
        Some(how) => {
            super::processes::bring_back(stage, &nodes).await?;
            format!("refused: {how}: {said}")
        }
        None => live_on(stage, &node, right).await?.to_owned(),
    };
    Ok(Effect::seen(format!("{what}; {word}")))
}

/// What becomes of a node that has started with the damage, which has been put right if the file was still there.
async fn live_on(stage: &Stage, node: &Arc<Node>, right: bool) -> anyhow::Result<&'static str> {
    // What has read the damage by now ends its node within that time.
    stage.hold(FINDING_TIME_MAX_MS).await;
    if right && node.end().is_some() {
        super::processes::bring_back(stage, std::slice::from_ref(node)).await?;
        return Ok("it started, and ended when it found that");
    }
    let back = stage.wait_back(node).await;
    stage.book.up(node.number);
    node.release();
    Ok(match (right, back) {
        (true, true) => "it started; put right",
        (true, false) => "it ran and is not ready; put right",
        (false, _) => "it started, and the file is gone",
    })
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

/// Flips one bit of the data.
fn damage(node: &Node, draw: u64, which: Files) -> anyhow::Result<Flipped> {
    let data = node.data();
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
    let what = format!("bit {bit} of byte {offset} of {bytes} in {name}");
    Ok(Flipped { path, offset, bit, byte: byte[0], what })
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

    #[test]
    fn a_bit_is_put_right_where_it_is_and_what_was_written_since_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let flipped = |byte| Flipped { path: path.clone(), offset: 1, bit: 3, byte, what: String::new() };
        fs::write(&path, [1, 2 ^ 8, 3, 4]).unwrap();
        assert!(flipped(2 ^ 8).put_right().unwrap());
        assert_eq!(fs::read(&path).unwrap(), [1, 2, 3, 4]);
        assert!(!flipped(2 ^ 8).put_right().unwrap(), "another byte is there: it was written since");
        assert_eq!(fs::read(&path).unwrap(), [1, 2, 3, 4]);
        fs::remove_file(&path).unwrap();
        assert!(!flipped(2 ^ 8).put_right().unwrap(), "the file is gone");
    }
}
