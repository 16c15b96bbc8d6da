//! What the receivers' names lead to: a file that each node has as its `/etc/hosts`.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::network::{CLIENT_ADDRESS, OTHER_ADDRESS};
use crate::script::RECEIVERS;

/// The file. All nodes have the same.
#[derive(Debug)]
pub struct Names {
    path: PathBuf,
}

/// A receiver's name, below a top-level domain that is nobody's (RFC 6761).
pub fn receiver_name(receiver: usize) -> String {
    format!("receiver{}.test", receiver + 1)
}

/// One line; all are of one length, so that a line changes in its place and nobody ever reads half a file.
fn line(receiver: usize, address: &str) -> String {
    format!("{address} {}\n", receiver_name(receiver))
}

impl Names {
    /// Writes it: every receiver is where the clients are.
    pub fn make(path: PathBuf) -> anyhow::Result<Self> {
        assert_eq!(CLIENT_ADDRESS.len(), OTHER_ADDRESS.len(), "a line changes in its place");
        let lines: String = (0..RECEIVERS).map(|receiver| line(receiver, CLIENT_ADDRESS)).collect();
        std::fs::write(&path, lines).with_context(|| format!("can't write {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on a receiver's name leads to `address`.
    pub fn point(&self, receiver: usize, address: &str) -> anyhow::Result<()> {
        let line = line(receiver, address);
        let file = File::options().write(true).open(&self.path)?;
        Ok(file.write_all_at(line.as_bytes(), (receiver * line.len()) as u64)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_changes_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::make(dir.path().join("hosts")).unwrap();
        names.point(1, OTHER_ADDRESS).unwrap();
        let text = std::fs::read_to_string(names.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), RECEIVERS);
        assert_eq!(
            lines[..3],
            ["10.88.0.1 receiver1.test", "10.88.0.2 receiver2.test", "10.88.0.1 receiver3.test"]
        );
    }
}
