//! One flipped bit in a file of a node that is down, or one file cut short. The outcome must be right or refused: either the
//! node starts and all is as if nothing had happened, or it says that it can't.
//!
//! A node that refuses before it has met any peer gets back all of its files as they were before, and is started again. One
//! that has met peers can have acknowledged something before it reads what is damaged, which those files would lack: then the
//! bit, or what was cut off, is put right where it is, and nothing else is touched. If the file is gone or another by then,
//! nobody knows where the damage went: a node that ends of it later stays away for the rest of the run. Only one node of a run
//! is ever damaged.

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

/// How a file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// One bit is flipped.
    Flip,
    /// It ends earlier.
    Cut,
}

/// Which files are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// Any of the following.
    Any,
    /// Write-ahead logs and tables of the log's database.
    Log,
    /// Tables of the state's database.
    State,
    /// Manifests and what lies beside the databases: identity, mark.
    Side,
}

/// A file that is not as it was.
struct Damaged {
    path: PathBuf,
    change: Change,
    /// For people.
    what: String,
}

/// What was changed.
enum Change {
    /// This bit; the byte is as it is now, with its neighbours.
    Flipped { offset: u64, bit: u64, byte: u8 },
    /// The file ends at `length`; the rest of it was this.
    Cut { length: u64, rest: Vec<u8> },
}

impl Damaged {
    /// Undoes the change; `false` if the file is not there any more, or is another.
    fn put_right(&self) -> anyhow::Result<bool> {
        let Ok(file) = fs::File::options().read(true).write(true).open(&self.path) else { return Ok(false) };
        match &self.change {
            Change::Flipped { offset, bit, byte } => {
                let mut found = [0];
                if file.read_exact_at(&mut found, *offset).is_err() || found[0] != *byte {
                    return Ok(false);
                }
                file.write_all_at(&[byte ^ 1 << bit], *offset)?;
            }
            Change::Cut { length, rest } => {
                if file.metadata()?.len() != *length {
                    return Ok(false);
                }
                file.write_all_at(rest, *length)?;
            }
        }
        file.sync_all()?;
        Ok(true)
    }
}

/// Kills the node, damages a file, and starts it.
pub(super) async fn spoil(
    stage: &Stage,
    planned: &Planned,
    which: Files,
    way: Way,
) -> anyhow::Result<Effect> {
    let nodes = take(stage, planned)?;
    let Some(node) = nodes.first().cloned() else {
        return Ok(Effect::none("the node was not running, or was damaged before"));
    };
    stage.book.down(node.number);
    let (victim, draw) = (node.clone(), planned.draw);
    let damaged = blocking(move || {
        victim.kill()?;
        victim.keep_copy()?;
        damage(&victim.data(), draw, which, way)
    })
    .await;
    let damaged = match damaged {
        Ok(damaged) => damaged,
        Err(e) => {
            super::processes::bring_back(stage, &nodes).await?;
            return Ok(Effect::none(format!("no file was damaged: {e:#}")));
        }
    };
    let lanes_before = stage.logs.lanes(node.number);
    node.start(&stage.spawner)?;
    let refused = watch(stage, &node, planned.length_ms).await;
    let said = stage.logs.last(node.number);
    let what = damaged.what.clone();
    // A cluster of one acknowledges without meeting anybody.
    let met_nobody = stage.nodes.len() > 1 && stage.logs.lanes(node.number) == lanes_before;
    let alone = refused.is_some() && met_nobody;
    let mended = node.clone();
    let right =
        blocking(move || if alone { mended.restore_copy().map(|()| true) } else { damaged.put_right() });
    let right = right.await?;
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

/// Damages one file of `data`.
fn damage(data: &Path, draw: u64, which: Files, way: Way) -> anyhow::Result<Damaged> {
    let mut files = Vec::new();
    collect(data, &mut files)?;
    let mut files: Vec<(PathBuf, u64)> =
        files.into_iter().filter(|(path, bytes)| *bytes > 0 && which.has(path)).collect();
    files.sort();
    let mut random = Random::new(draw);
    anyhow::ensure!(!files.is_empty(), "there is no such file yet");
    let (path, bytes) = random.pick(&files).clone();
    let file = fs::File::options().read(true).write(true).open(&path)?;
    let name = path.strip_prefix(data).unwrap_or(&path).display().to_string();
    let offset = random.below(bytes);
    let (change, what) = match way {
        Way::Flip => {
            let bit = random.below(8);
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset)?;
            byte[0] ^= 1 << bit;
            file.write_all_at(&byte, offset)?;
            let change = Change::Flipped { offset, bit, byte: byte[0] };
            (change, format!("bit {bit} of byte {offset} of {bytes} in {name}"))
        }
        Way::Cut => {
            let mut rest = vec![0; usize::try_from(bytes - offset)?];
            file.read_exact_at(&mut rest, offset)?;
            file.set_len(offset)?;
            (Change::Cut { length: offset, rest }, format!("{name} cut from {bytes} bytes to {offset}"))
        }
    };
    file.sync_all()?;
    Ok(Damaged { path, change, what })
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
            Self::Any => [Self::Log, Self::State, Self::Side].into_iter().any(|files| files.has(path)),
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
        fs::write(&path, [1, 2, 3, 4]).unwrap();
        let damaged = damage(dir.path(), 7, Files::Side, Way::Flip).unwrap();
        let Change::Flipped { offset, .. } = damaged.change else { panic!("a bit was to be flipped") };
        assert_ne!(fs::read(&path).unwrap(), [1, 2, 3, 4]);
        assert!(damaged.put_right().unwrap());
        assert_eq!(fs::read(&path).unwrap(), [1, 2, 3, 4]);
        let mut written = [1, 2, 3, 4];
        written[usize::try_from(offset).unwrap()] = 9;
        fs::write(&path, written).unwrap();
        assert!(!damaged.put_right().unwrap(), "another byte is there: it was written since");
        assert_eq!(fs::read(&path).unwrap(), written);
        fs::remove_file(&path).unwrap();
        assert!(!damaged.put_right().unwrap(), "the file is gone");
    }

    #[test]
    fn what_was_cut_off_comes_back_unless_the_file_was_written_since() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        fs::write(&path, [1, 2, 3, 4]).unwrap();
        let damaged = damage(dir.path(), 7, Files::Any, Way::Cut).unwrap();
        let short = fs::read(&path).unwrap();
        assert!(short.len() < 4 && [1, 2, 3, 4].starts_with(&short));
        assert!(damaged.put_right().unwrap());
        assert_eq!(fs::read(&path).unwrap(), [1, 2, 3, 4]);
        assert!(!damaged.put_right().unwrap(), "it has another length: it was written since");
        assert_eq!(fs::read(&path).unwrap(), [1, 2, 3, 4]);
    }
}
