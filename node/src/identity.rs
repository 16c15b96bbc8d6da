//! Who this data directory belongs to: minted once, checked at every start, and locked while a process uses it.
//! What the cluster decides by itself (who votes, who leads) is deliberately not here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use timer_core::ids::NodeId;

use crate::environment::Entropy;

/// The identity of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Minted for a blank directory and never used again: not 0, below 2^53.
    pub node_id: NodeId,
    /// `node.name` when the directory was made.
    pub node_name: String,
    /// The cluster, once one has formed or was joined.
    pub cluster: Option<ClusterIdentity>,
}

/// The cluster that a node belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// Minted when the cluster formed.
    pub id: String,
    /// `cluster.name`.
    pub name: String,
    /// Shards of timers, for ever.
    pub shards: u16,
    /// The members as this node knew them last, by id.
    pub members: Vec<Member>,
}

impl ClusterIdentity {
    /// Shards that a node stores: those of timers, and behind them the meta shard.
    #[must_use]
    pub const fn stored_shards(&self) -> u16 {
        self.shards + 1
    }
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its `node.name`.
    pub name: String,
    /// Where peers reach it: `host:port`.
    pub peer_address: String,
    /// Where clients reach it: a URL.
    pub http_url: String,
}

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The system refused something.
    #[error("{}: can't {action}: {source}", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's words.
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "{} is in use by process {holder}: a data directory serves one process at a time; end the other, or \
         set node.data_dir",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other's process id, as it wrote it, or "unknown".
        holder: String,
    },
    /// A later version of timerd wrote the file.
    #[error(
        "{} has format {found}, and this timerd knows up to {FORMAT}: start the version that wrote it, or a \
         later one",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u8,
    },
    /// The file is not what was written.
    #[error(
        "{} is damaged ({reason}): the disk is not to be trusted; wipe the directory and let the node join \
         as a new one",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How one can tell.
        reason: String,
    },
    /// The directory has data but no identity.
    #[error(
        "{} holds {found} but no identity: part of it was removed. A node that forgot who it is must not vote; \
         restore the file `{FILE}`, or wipe the directory and let the node join as a new one",
        dir.display()
    )]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// Something that is in it.
        found: String,
    },
    /// The directory is another node's.
    #[error(
        "{} belongs to the node {found:?}, but node.name is {configured:?}: one of node.name and node.data_dir \
         is wrong",
        path.display()
    )]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// The name in it.
        found: String,
        /// The name in the settings.
        configured: String,
    },
    /// The directory is another cluster's.
    #[error(
        "{} belongs to the cluster {found}, and not to {configured}: one of cluster.name, cluster.peers and \
         node.data_dir is wrong",
        path.display()
    )]
    OtherCluster {
        /// The file.
        path: PathBuf,
        /// The cluster in it.
        found: String,
        /// The cluster in the settings, or the one that was to be joined.
        configured: String,
    },
}

/// The file's name in the data directory.
const FILE: &str = "identity";
const TEMPORARY_FILE: &str = "identity.tmp";
const LOCK_FILE: &str = "lock";
/// What may lie in a directory that counts as blank; a mount point has the last.
const NOT_DATA: [&str; 3] = [TEMPORARY_FILE, LOCK_FILE, "lost+found"];

/// The version byte of the file. A change of [`Record`] is a new format.
const FORMAT: u8 = 1;
/// The file: magic, format, record in bincode, SHA-256 of all before.
const MAGIC: &[u8; 8] = b"timerdID";
const CHECKSUM_BYTES: usize = 32;
/// The largest file that is read: 256 members with the longest names take less.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Ids are exact in every JSON reader.
const NODE_ID_MASK: u64 = (1 << 53) - 1;

/// An identity file of an open, locked data directory. The lock is held until this is dropped.
#[derive(Debug)]
pub struct IdentityFile {
    dir: PathBuf,
    identity: Identity,
    _lock: File,
}

impl IdentityFile {
    /// Locks `dir` and reads the identity that is there.
    ///
    /// # Errors
    /// The directory is in use, damaged, or no node's; or it can't be read.
    pub fn open(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(FILE);
        // First, since a lock makes a file.
        let bytes = fs::read(&path).map_err(io_error(&path, "read the identity of a node from it"))?;
        let lock = lock(dir)?;
        Ok(Self { dir: dir.into(), identity: decode(&path, &bytes)?, _lock: lock })
    }

    /// Locks `dir` and reads its identity, or mints one if it is blank.
    ///
    /// # Errors
    /// The directory is in use, damaged, another node's or another cluster's, or can't be read or written.
    pub fn open_or_create(
        dir: &Path,
        node_name: &str,
        cluster_name: &str,
        entropy: &dyn Entropy,
    ) -> Result<Self, IdentityError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error(dir, "create it"))?;
        let lock = lock(dir)?;
        let path = dir.join(FILE);
        let identity = match fs::read(&path) {
            Ok(bytes) => decode(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                refuse_remains(dir)?;
                let identity =
                    Identity { node_id: mint(entropy), node_name: node_name.into(), cluster: None };
                store(dir, &identity)?;
                identity
            }
            Err(source) => return Err(IdentityError::Io { path, action: "read it", source }),
        };
        if identity.node_name != node_name {
            let (found, configured) = (identity.node_name, node_name.into());
            return Err(IdentityError::OtherNode { path, found, configured });
        }
        if let Some(cluster) = identity.cluster.as_ref().filter(|cluster| cluster.name != cluster_name) {
            let (found, configured) = (format!("{:?}", cluster.name), format!("{cluster_name:?}"));
            return Err(IdentityError::OtherCluster { path, found, configured });
        }
        Ok(Self { dir: dir.into(), identity, _lock: lock })
    }

    /// The identity.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Records the cluster that formed or was joined, or its members of today. It is durable when this returns.
    ///
    /// # Errors
    /// The node belongs to another cluster, or to one with another number of shards; or the file can't be
    /// written, and then the old identity stands.
    pub fn set_cluster(&mut self, mut cluster: ClusterIdentity) -> Result<(), IdentityError> {
        cluster.members.sort_by_key(|member| member.id);
        let same = |old: &ClusterIdentity| {
            (&old.id, &old.name, old.shards) == (&cluster.id, &cluster.name, cluster.shards)
        };
        if let Some(old) = self.identity.cluster.as_ref().filter(|old| !same(old)) {
            return Err(IdentityError::OtherCluster {
                path: self.dir.join(FILE),
                found: format!("{:?} (id {}, {} shards)", old.name, old.id, old.shards),
                configured: format!("{:?} (id {}, {} shards)", cluster.name, cluster.id, cluster.shards),
            });
        }
        let identity = Identity { cluster: Some(cluster), ..self.identity.clone() };
        if identity != self.identity {
            store(&self.dir, &identity)?;
            self.identity = identity;
        }
        Ok(())
    }
}

fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Io { path, action, source }
}

fn mint(entropy: &dyn Entropy) -> NodeId {
    loop {
        match entropy.next_u64() & NODE_ID_MASK {
            0 => {}
            id => return NodeId(id),
        }
    }
}

/// Takes the lock, which the system releases however the process ends.
fn lock(dir: &Path) -> Result<File, IdentityError> {
    let path = dir.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error(&path, "open it"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let holder = if known { holder.trim().into() } else { "unknown".into() };
            return Err(IdentityError::InUse { dir: dir.into(), holder });
        }
        Err(error) => return Err(io_error(&path, "lock it")(error.into())),
    }
    // Only a help for whoever is refused: the lock itself does not depend on it.
    let written =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(io_error(&path, "write it"))?;
    Ok(file)
}

/// A directory without an identity must be blank, else a node would forget what it voted and acknowledged.
fn refuse_remains(dir: &Path) -> Result<(), IdentityError> {
    for entry in fs::read_dir(dir).map_err(io_error(dir, "list it"))? {
        let name = entry.map_err(io_error(dir, "list it"))?.file_name();
        if !NOT_DATA.iter().any(|known| name == *known) {
            let found = name.to_string_lossy().into_owned();
            return Err(IdentityError::Missing { dir: dir.into(), found });
        }
    }
    Ok(())
}

/// Replaces the file so that a crash leaves the old or the new one, whole.
fn store(dir: &Path, identity: &Identity) -> Result<(), IdentityError> {
    let (path, temporary) = (dir.join(FILE), dir.join(TEMPORARY_FILE));
    let mut file = File::create(&temporary).map_err(io_error(&temporary, "create it"))?;
    file.write_all(&encode(&path, identity)?).map_err(io_error(&temporary, "write it"))?;
    file.sync_all().map_err(io_error(&temporary, "sync it"))?;
    fs::rename(&temporary, &path).map_err(io_error(&path, "replace it"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error(dir, "sync it"))
}

/// Format 1 on disk: fields in this order, for ever.
#[derive(Serialize, Deserialize)]
struct Record {
    node_id: u64,
    node_name: String,
    cluster: Option<ClusterRecord>,
}

#[derive(Serialize, Deserialize)]
struct ClusterRecord {
    id: String,
    name: String,
    shards: u16,
    members: Vec<MemberRecord>,
}

#[derive(Serialize, Deserialize)]
struct MemberRecord {
    id: u64,
    name: String,
    peer_address: String,
    http_url: String,
}

fn encode(path: &Path, identity: &Identity) -> Result<Vec<u8>, IdentityError> {
    let mut bytes = [MAGIC.as_slice(), &[FORMAT]].concat();
    let record = bincode::serde::encode_to_vec(Record::from(identity), bincode::config::standard())
        .map_err(|error| io_error(path, "encode it")(io::Error::other(error)))?;
    bytes.extend_from_slice(&record);
    bytes.extend_from_slice(&Sha256::digest(&bytes));
    if bytes.len() > FILE_BYTES_MAX {
        let error = io::Error::other(format!("{} bytes are more than {FILE_BYTES_MAX}", bytes.len()));
        return Err(io_error(path, "encode it")(error));
    }
    Ok(bytes)
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Identity, IdentityError> {
    let damaged = |reason: &str| IdentityError::Damaged { path: path.into(), reason: reason.into() };
    if bytes.len() > FILE_BYTES_MAX {
        return Err(damaged("too long"));
    }
    // The format comes before the checksum: a later format may have another.
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not begin like an identity"))?;
    match rest.first() {
        None => return Err(damaged("too short")),
        Some(0) => return Err(damaged("there is no format 0")),
        Some(&FORMAT) => {}
        Some(&found) => return Err(IdentityError::NewerFormat { path: path.into(), found }),
    }
    let (content, checksum) =
        bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("too short"))?;
    if Sha256::digest(content).as_slice() != checksum {
        return Err(damaged("its checksum does not match"));
    }
    let record = content.get(MAGIC.len() + 1..).ok_or_else(|| damaged("too short"))?;
    let config = bincode::config::standard().with_limit::<FILE_BYTES_MAX>();
    match bincode::serde::decode_from_slice::<Record, _>(record, config) {
        Ok((decoded, length)) if length == record.len() => Ok(decoded.into()),
        Ok(_) => Err(damaged("more follows where it should end")),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

impl From<&Identity> for Record {
    fn from(identity: &Identity) -> Self {
        let cluster = identity.cluster.as_ref().map(|cluster| ClusterRecord {
            id: cluster.id.clone(),
            name: cluster.name.clone(),
            shards: cluster.shards,
            members: cluster.members.iter().map(MemberRecord::from).collect(),
        });
        Self { node_id: identity.node_id.0, node_name: identity.node_name.clone(), cluster }
    }
}

impl From<&Member> for MemberRecord {
    fn from(member: &Member) -> Self {
        let Member { id, name, peer_address, http_url } = member.clone();
        Self { id: id.0, name, peer_address, http_url }
    }
}

impl From<Record> for Identity {
    fn from(record: Record) -> Self {
        let member = |m: MemberRecord| Member {
            id: NodeId(m.id),
            name: m.name,
            peer_address: m.peer_address,
            http_url: m.http_url,
        };
        let cluster = record.cluster.map(|cluster| ClusterIdentity {
            id: cluster.id,
            name: cluster.name,
            shards: cluster.shards,
            members: cluster.members.into_iter().map(member).collect(),
        });
        Self { node_id: NodeId(record.node_id), node_name: record.node_name, cluster }
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
