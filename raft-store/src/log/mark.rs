//! The high-water mark: how far each shard's log had got when it was last acknowledged.
//!
//! It is synced after the log and before the acknowledgement, so it never claims more than was synced: a log
//! that is found below it has lost synced data. (Synced at the same time as the log it could claim what a
//! power cut of all nodes took, and every node would refuse to start.) It is lowered before a truncation.
//!
//! Layout: two slots that are written in turn. A slot: magic (8 bytes), format and shard count (u16),
//! sequence (u64), per shard term, index + 1 (0: nothing), vote's term, node and kind (u64 each), and the
//! XXH3-64 of it all. The slot with the higher sequence counts; a torn one leaves the other.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::StoreError;
use crate::keys::int;
use crate::limits::SHARDS_MAX;
use crate::type_config::Vote;

const MAGIC: [u8; 8] = *b"dt-mark\n";
/// 1: without the meta shard, the last one.
const FORMAT: u16 = 2;
const HEAD: usize = 20;
const PLACE: usize = 40;
/// A multiple of every sector size, so that a torn slot can't touch the other.
const SLOT: usize = 44 * 1024;

const _: () = assert!(HEAD + PLACE * SHARDS_MAX as usize + 8 <= SLOT, "a slot holds all shards");

/// The file, or what stands for it.
pub trait MarkFile: Send {
    /// Its whole content, or none if it does not exist.
    ///
    /// # Errors
    /// When it can't be read.
    fn read(&mut self) -> Result<Option<Vec<u8>>, StoreError>;
    /// Makes it durably, with this content.
    ///
    /// # Errors
    /// When it may not exist afterwards.
    fn create(&mut self, content: &[u8]) -> Result<(), StoreError>;
    /// Overwrites a part.
    ///
    /// # Errors
    /// When it may not be written.
    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError>;
    /// Makes it durable.
    ///
    /// # Errors
    /// When it may not be durable.
    fn sync(&mut self) -> Result<(), StoreError>;
}

/// How far a shard's log had got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Term and index of the last entry, or none.
    pub log: Option<(u64, u64)>,
    /// Term, node and whether it was committed, of the last vote.
    pub vote: Option<(u64, u64, bool)>,
}

impl Place {
    /// A vote as it stands here.
    #[must_use]
    pub fn of_vote(vote: &Vote) -> (u64, u64, bool) {
        (vote.leader_id.term, vote.leader_id.node_id, vote.committed)
    }
}

/// The mark of a node.
pub struct Mark {
    file: Box<dyn MarkFile>,
    places: Vec<Place>,
    sequence: u64,
    next_slot: usize,
}

impl std::fmt::Debug for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mark").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

/// What [`Mark::load`] found.
pub enum Found {
    /// The mark.
    Mark(Mark),
    /// No file: here is the handle to make one.
    Nothing(Box<dyn MarkFile>),
}

impl Mark {
    /// Reads the mark, if there is one.
    ///
    /// # Errors
    /// When it can't be read, neither slot is whole, or it is of another number of shards.
    pub fn load(mut file: Box<dyn MarkFile>, shards: u16) -> Result<Found, StoreError> {
        let Some(content) = file.read()? else { return Ok(Found::Nothing(file)) };
        let mut found: Option<(usize, u64, Vec<Place>)> = None;
        let asked = usize::from(shards);
        let mut fault = String::new();
        for slot in 0..2 {
            let bytes = content.get(slot * SLOT..(slot + 1) * SLOT).unwrap_or_default();
            match decode(bytes) {
                Ok((format, sequence, mut places))
                    if found.as_ref().is_none_or(|(_, best, _)| sequence > *best) =>
                {
                    if format < FORMAT && places.len() + 1 == asked {
                        places.push(Place::default());
                    }
                    found = Some((slot, sequence, places));
                }
                Ok(_) => {}
                Err(SlotFault::Newer(found)) => {
                    let known = FORMAT.into();
                    return Err(StoreError::NewerFormat { what: "the high-water mark", found, known });
                }
                Err(SlotFault::Damaged(why)) => fault = format!("{fault} slot {slot}: {why};"),
            }
        }
        let Some((slot, sequence, places)) = found else {
            return Err(StoreError::corrupted("the high-water mark (file `mark`)", fault.trim()));
        };
        if places.len() != asked {
            let stored = u16::try_from(places.len()).unwrap_or(u16::MAX);
            return Err(StoreError::ShardCount { stored, asked: shards });
        }
        Ok(Found::Mark(Self { file, places, sequence, next_slot: 1 - slot }))
    }

    /// Makes a blank mark.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn create(mut file: Box<dyn MarkFile>, shards: u16) -> Result<Self, StoreError> {
        let places = vec![Place::default(); usize::from(shards)];
        let mut content = vec![0; 2 * SLOT];
        for (slot, sequence) in [(0, 1), (1, 2)] {
            let bytes = encode(sequence, &places);
            content[slot * SLOT..slot * SLOT + bytes.len()].copy_from_slice(&bytes);
        }
        file.create(&content)?;
        Ok(Self { file, places, sequence: 2, next_slot: 0 })
    }

    /// Where each shard is, by number.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Changes a shard's place; takes effect with [`Self::save`].
    pub fn place(&mut self, shard: u16) -> &mut Place {
        &mut self.places[usize::from(shard)]
    }

    /// Makes the places durable: one write, one sync.
    ///
    /// # Errors
    /// When they may not be durable; the mark must not be used any more then.
    pub fn save(&mut self) -> Result<(), StoreError> {
        self.sequence += 1;
        let bytes = encode(self.sequence, &self.places);
        self.file.write(self.next_slot * SLOT, &bytes)?;
        self.file.sync()?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

fn encode(sequence: u64, places: &[Place]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + PLACE * places.len() + 8);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(places.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    for place in places {
        let (term, end) = place.log.map_or((0, 0), |(term, index)| (term, index + 1));
        let (vote_term, node, kind) = place.vote.map_or((0, 0, 0), |(t, n, c)| (t, n, 1 + u64::from(c)));
        for part in [term, end, vote_term, node, kind] {
            bytes.extend_from_slice(&part.to_be_bytes());
        }
    }
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

enum SlotFault {
    Newer(u32),
    Damaged(&'static str),
}

fn decode(bytes: &[u8]) -> Result<(u16, u64, Vec<Place>), SlotFault> {
    let short = SlotFault::Damaged("too short");
    let head = || Some((int::<2>(bytes, 8)?, int::<2>(bytes, 10)?, int::<8>(bytes, 12)?));
    let Some((format, shards, sequence)) = head() else { return Err(short) };
    if bytes[..8] != MAGIC {
        return Err(SlotFault::Damaged("not a high-water mark"));
    }
    let shards = u16::from_be_bytes(shards);
    let end = HEAD + PLACE * usize::from(shards);
    let Some(sum) = int::<8>(bytes, end) else { return Err(short) };
    if xxh3_64(&bytes[..end]) != u64::from_be_bytes(sum) {
        return Err(SlotFault::Damaged("the checksum does not match"));
    }
    let format = u16::from_be_bytes(format);
    if format > FORMAT {
        return Err(SlotFault::Newer(format.into()));
    }
    let places = bytes[HEAD..end].chunks_exact(PLACE).map(|place| {
        let part = |n: usize| int(place, 8 * n).map_or(0, u64::from_be_bytes);
        Place {
            log: part(1).checked_sub(1).map(|index| (part(0), index)),
            vote: (part(4) > 0).then(|| (part(2), part(3), part(4) == 2)),
        }
    });
    Ok((format, u64::from_be_bytes(sequence), places.collect()))
}

/// Makes of a mark's content what a version without a meta shard would have written.
#[cfg(test)]
pub(crate) fn as_format_1(content: &mut [u8]) {
    for slot in content.chunks_mut(SLOT) {
        let Ok((_, sequence, mut places)) = decode(slot) else { continue };
        places.pop();
        let mut bytes = encode(sequence, &places);
        set_format(&mut bytes, 1);
        slot[..bytes.len()].copy_from_slice(&bytes);
    }
}

#[cfg(test)]
fn set_format(bytes: &mut [u8], format: u16) {
    let end = bytes.len() - 8;
    bytes[8..10].copy_from_slice(&format.to_be_bytes());
    let sum = xxh3_64(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_be_bytes());
}

/// The mark as a file.
#[derive(Debug)]
pub struct DiskMark {
    path: PathBuf,
    file: Option<File>,
}

impl DiskMark {
    /// The file at `path`; nothing is opened yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None }
    }

    fn error(&self, error: &io::Error) -> StoreError {
        StoreError::io(format!("the high-water mark {}", self.path.display()), error)
    }

    fn file(&self) -> Result<&File, StoreError> {
        self.file.as_ref().ok_or(StoreError::Closed)
    }
}

impl MarkFile for DiskMark {
    fn read(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let file = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.error(&e)),
        };
        let content = fs::read(&self.path).map_err(|e| self.error(&e))?;
        self.file = Some(file);
        Ok(Some(content))
    }

    /// Written under another name and renamed, so that it is there whole or not at all.
    fn create(&mut self, content: &[u8]) -> Result<(), StoreError> {
        let make = || {
            let fresh = self.path.with_extension("new");
            let file = OpenOptions::new().create(true).write(true).truncate(true).open(&fresh)?;
            file.write_all_at(content, 0)?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)?;
            if let Some(dir) = self.path.parent() {
                File::open(dir)?.sync_all()?;
            }
            Ok(file)
        };
        let file = make().map_err(|e: io::Error| self.error(&e))?;
        self.file = Some(file);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.file()?.write_all_at(bytes, offset as u64).map_err(|e| self.error(&e))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.file()?.sync_data().map_err(|e| self.error(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &tempfile::TempDir) -> Box<dyn MarkFile> {
        Box::new(DiskMark::new(&dir.path().join("mark")))
    }

    fn load(dir: &tempfile::TempDir, shards: u16) -> Result<Option<Mark>, StoreError> {
        Mark::load(file(dir), shards).map(|found| match found {
            Found::Mark(mark) => Some(mark),
            Found::Nothing(_) => None,
        })
    }

    #[test]
    fn what_was_saved_last_is_found_and_a_torn_slot_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(&dir, 3).unwrap().is_none());
        let mut mark = Mark::create(file(&dir), 3).unwrap();
        for index in 1..=3 {
            *mark.place(1) = Place { log: Some((7, index)), vote: Some((7, 2, true)) };
            mark.save().unwrap();
        }
        let place = |dir| load(dir, 3).unwrap().unwrap().places()[1];
        assert_eq!(place(&dir), Place { log: Some((7, 3)), vote: Some((7, 2, true)) });
        let path = dir.path().join("mark");
        let mut bytes = fs::read(&path).unwrap();
        bytes[HEAD + 50] ^= 1; // sequence 5 is in slot 0
        fs::write(&path, &bytes).unwrap();
        assert_eq!(place(&dir).log, Some((7, 2)));
        bytes[SLOT + HEAD + 50] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = load(&dir, 3).unwrap_err();
        assert!(error.to_string().contains("high-water mark"), "{error}");
    }

    #[test]
    fn another_number_of_shards_or_a_newer_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Mark::create(file(&dir), 3).unwrap());
        assert_eq!(load(&dir, 4).unwrap_err(), StoreError::ShardCount { stored: 3, asked: 4 });
        let path = dir.path().join("mark");
        let mut bytes = fs::read(&path).unwrap();
        let end = HEAD + 3 * PLACE;
        set_format(&mut bytes[..end + 8], FORMAT + 1);
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(load(&dir, 3), Err(StoreError::NewerFormat { found: 3, .. })));
    }
}
