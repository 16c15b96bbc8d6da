//! Replays `fuzz/corpus/`: what libFuzzer once found worth keeping, and what people wrote down, holds for ever after.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use super::PROPERTIES;

/// Files of one corpus: enough for every branch, and few enough to look through.
const FILES_MAX: usize = 100;
/// Bytes of one file.
const FILE_BYTES_MAX: usize = 4096;

fn fuzz(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(name)
}

fn names(dir: &str, suffix: &str) -> BTreeSet<String> {
    let files = fs::read_dir(fuzz(dir)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(suffix).map(str::to_owned)).collect()
}

#[test]
fn every_property_holds_for_every_file_of_its_corpus() {
    let mut broken = Vec::new();
    for (name, holds) in PROPERTIES {
        let files = names(&format!("corpus/{name}"), "");
        let mut taken = 0;
        for file in &files {
            let bytes = fs::read(fuzz(&format!("corpus/{name}/{file}"))).unwrap();
            assert!(bytes.len() <= FILE_BYTES_MAX, "{name}/{file} has {} bytes", bytes.len());
            match catch_unwind(|| holds(&bytes)) {
                Ok(was_taken) => taken += usize::from(was_taken),
                Err(_) => broken.push(format!("{name}/{file}")),
            }
        }
        assert!(files.len() <= FILES_MAX, "{name} has {} files", files.len());
        assert!(taken > 0 && taken < files.len(), "{name}: {taken} of {} files are taken", files.len());
    }
    assert!(broken.is_empty(), "the property does not hold for {broken:?}");
}

#[test]
fn every_property_has_a_target_and_a_corpus() {
    let properties: BTreeSet<String> = PROPERTIES.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names("fuzz_targets", ".rs"), properties);
    assert_eq!(names("corpus", ""), properties);
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    for name in properties {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} in fuzz/Cargo.toml"
        );
    }
}
