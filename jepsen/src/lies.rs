//! What a node is told that is not so: a library that is preloaded into it (`preload/lies.c`), and a page of memory that
//! both share. What is written there takes effect at once, in a process that runs and in those that are started later.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};

use crate::shell::run;

/// The library, and a node's page.
#[derive(Clone, Debug)]
pub struct Lies {
    pub library: PathBuf,
    pub page: PathBuf,
}

/// The fields of the page, in their order: each is an i64 as the machine has it.
#[derive(Clone, Copy)]
enum Field {
    OffsetNs,
    DriftPpm,
    DriftFromNs,
    SyncDelayNs,
    SyncErrno,
    SyncsLeft,
    SyncsSpoilt,
}

const FIELDS: usize = 7;
const BYTES: u64 = 8;

/// Compiles the library into `out`, and gives its path.
pub fn compile(out: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (out.join("lies.c"), out.join("lies.so"));
    std::fs::write(&source, include_str!("../preload/lies.c"))?;
    let (library_name, source_name) = (library.to_string_lossy(), source.to_string_lossy());
    run(&["cc", "-O2", "-shared", "-fPIC", "-o", &library_name, &source_name])?;
    Ok(library)
}

impl Lies {
    /// A page at `page` that says nothing but the truth.
    pub fn make(library: PathBuf, page: PathBuf) -> anyhow::Result<Self> {
        std::fs::write(&page, [0; FIELDS * BYTES as usize])?;
        Ok(Self { library, page })
    }

    /// The wall clock is off by `offset_ms`; 0 sets it right.
    pub fn shift_clock(&self, offset_ms: i64) -> anyhow::Result<()> {
        self.set(Field::DriftPpm, 0)?;
        self.set(Field::OffsetNs, offset_ms * 1_000_000)
    }

    /// From now on the wall clock gains so many millionths of the time that passes.
    pub fn drift_clock(&self, ppm: i64) -> anyhow::Result<()> {
        let now = clock_gettime(ClockId::Monotonic);
        self.set(Field::DriftFromNs, now.tv_sec * 1_000_000_000 + now.tv_nsec)?;
        self.set(Field::DriftPpm, ppm)
    }

    /// Every sync takes so much longer; 0 ends it.
    pub fn delay_syncs(&self, ms: i64) -> anyhow::Result<()> {
        self.set(Field::SyncDelayNs, ms * 1_000_000)
    }

    /// After `left` syncs all fail with `errno`; 0 ends it.
    pub fn fail_syncs(&self, errno: i64, left: i64) -> anyhow::Result<()> {
        self.set(Field::SyncsLeft, left)?;
        self.set(Field::SyncErrno, errno)
    }

    /// How many syncs were delayed or failed so far.
    pub fn spoilt_syncs(&self) -> anyhow::Result<i64> {
        let mut bytes = [0; BYTES as usize];
        File::open(&self.page)?.read_exact_at(&mut bytes, place(Field::SyncsSpoilt))?;
        Ok(i64::from_ne_bytes(bytes))
    }

    /// The node's process has the file in its memory, so that it must not be made anew.
    fn set(&self, field: Field, value: i64) -> anyhow::Result<()> {
        let file = File::options().write(true).open(&self.page)?;
        Ok(file.write_all_at(&value.to_ne_bytes(), place(field))?)
    }
}

const fn place(field: Field) -> u64 {
    field as u64 * BYTES
}
