//! What a start does with the data directories that it may find.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Bytes that repeat, so that ids are known.
#[derive(Debug)]
struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

fn open(dir: &Path) -> Result<IdentityFile, IdentityError> {
    IdentityFile::open_or_create(dir, "n1", "timers", &Fixed(0x11))
}

fn cluster() -> ClusterIdentity {
    ClusterIdentity {
        id: "c-1".into(),
        name: "timers".into(),
        shards: 8,
        members: vec![Member {
            id: NodeId(7),
            name: "n1".into(),
            peer_address: "n1:7080".into(),
            http_url: "http://n1:8080".into(),
        }],
    }
}

#[test]
fn a_blank_directory_gets_an_id_that_stays() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("made/on/the/way");
    let minted = open(&dir).unwrap().identity().clone();
    assert_eq!(minted.node_id, NodeId(0x0011_1111_1111_1111));
    assert_eq!(minted.cluster, None);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let again = IdentityFile::open_or_create(&dir, "n1", "timers", &Fixed(0x22)).unwrap();
    assert_eq!(*again.identity(), minted);
}

#[test]
fn an_id_of_zero_is_never_minted() {
    #[derive(Debug)]
    struct ZeroThenOne(std::sync::atomic::AtomicU8);
    impl Entropy for ZeroThenOne {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }
    assert_eq!(mint(&ZeroThenOne(0.into())), NodeId(0x0001_0101_0101_0101));
}

#[test]
fn the_cluster_is_recorded_and_can_not_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = open(dir.path()).unwrap();
    file.set_cluster(cluster()).unwrap();
    drop(file);

    let mut file = open(dir.path()).unwrap();
    assert_eq!(file.identity().cluster, Some(cluster()));
    let moved = ClusterIdentity { members: Vec::new(), ..cluster() };
    file.set_cluster(moved.clone()).unwrap();
    for other in [
        ClusterIdentity { id: "c-2".into(), ..cluster() },
        ClusterIdentity { shards: 9, ..cluster() },
        ClusterIdentity { name: "others".into(), ..cluster() },
    ] {
        assert!(matches!(file.set_cluster(other), Err(IdentityError::OtherCluster { .. })));
    }
    drop(file);
    assert_eq!(open(dir.path()).unwrap().identity().cluster, Some(moved));
}

#[test]
fn the_directory_of_another_node_or_cluster_is_refused_with_both_names() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap().set_cluster(cluster()).unwrap();

    let error = IdentityFile::open_or_create(dir.path(), "n2", "timers", &Fixed(1)).unwrap_err();
    assert!(
        matches!(&error, IdentityError::OtherNode { found, configured, .. } if found == "n1" && configured == "n2")
    );
    let error = IdentityFile::open_or_create(dir.path(), "n1", "others", &Fixed(1)).unwrap_err().to_string();
    assert!(error.contains("\"timers\"") && error.contains("\"others\""), "{error}");
}

#[test]
fn a_second_process_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(
        matches!(&error, IdentityError::InUse { holder, .. } if *holder == std::process::id().to_string()),
        "{error}"
    );
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn a_newer_format_says_so_and_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let path = dir.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[MAGIC.len()] = FORMAT + 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(open(dir.path()), Err(IdentityError::NewerFormat { found: 2, .. })));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let path = Path::new("identity");
    let identity = Identity { node_id: NodeId(7), node_name: "n1".into(), cluster: Some(cluster()) };
    let bytes = encode(path, &identity).unwrap();
    assert_eq!(decode(path, &bytes).unwrap(), identity);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            assert!(decode(path, &bad).is_err(), "bit {bit} of byte {at}");
        }
        assert!(decode(path, &bytes[..at]).is_err(), "cut at {at}");
    }
    assert!(decode(path, &[bytes.as_slice(), &[0]].concat()).is_err(), "one byte more");
}

#[test]
fn format_1_is_what_it_always_was() {
    let identity = Identity { node_id: NodeId(7), node_name: "n1".into(), cluster: Some(cluster()) };
    let bytes = encode(Path::new("identity"), &identity).unwrap();
    let record = &bytes[MAGIC.len() + 1..bytes.len() - CHECKSUM_BYTES];
    let golden = b"\x07\x02n1\x01\x03c-1\x06timers\x08\x01\x07\x02n1\x07n1:7080\x0ehttp://n1:8080";
    assert_eq!(record, golden);
    assert!(bytes.starts_with(b"timerdID\x01"));
}

#[test]
fn data_without_an_identity_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    fs::write(dir.path().join(TEMPORARY_FILE), "half").unwrap();
    drop(open(dir.path()).unwrap());
    fs::remove_file(dir.path().join(FILE)).unwrap();
    drop(open(dir.path()).unwrap());

    fs::remove_file(dir.path().join(FILE)).unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    assert!(matches!(open(dir.path()), Err(IdentityError::Missing { found, .. }) if found == "log"));
    assert!(!dir.path().join(FILE).exists());
}
