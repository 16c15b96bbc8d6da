//! Certificates as they lie on a disk: whole, wrong, half written, renewed, and behind links that are switched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use timer_core::time::{Millis, Span};

use super::changes::Changes;
use super::pem::PEM_BYTES_MAX;
use super::reload::Reloader;
use super::testing::{Authority, Issued};
use super::{CertificateFiles, CertificatePair, PairError};
use crate::environment::ManualClock;
use crate::observability::metrics::Metrics;

/// 2030-01-01T00:00:00Z.
const NEW_YEAR_2030: Millis = Millis(1_893_456_000_000);
const DAY: Span = Span(24 * 3600 * 1000);

/// A directory with a certificate and its key.
struct Place {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), authority: Authority::new() }
    }

    /// With a certificate that is good until this year begins.
    fn until(year: i32) -> Self {
        let place = Self::new();
        place.write(&place.issue(year));
        place
    }

    fn issue(&self, until: i32) -> Issued {
        self.authority.issue_between(&["api.test", "127.0.0.1"], (2020, 1, 1), (until, 1, 1))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn files(&self) -> CertificateFiles {
        CertificateFiles { certificate: self.path("tls.crt"), key: self.path("tls.key") }
    }

    fn write(&self, issued: &Issued) {
        fs::write(self.path("tls.crt"), &issued.certificate).unwrap();
        fs::write(self.path("tls.key"), &issued.key).unwrap();
    }

    /// What is wrong with it.
    fn fault(&self) -> String {
        CertificatePair::load(&self.files()).unwrap_err().to_string()
    }
}

/// A reloader whose clock stands at the begin of 2030, and its metrics.
fn reloader(place: &Place) -> (Reloader, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let clock = Arc::new(ManualClock::new(NEW_YEAR_2030));
    (Reloader::start(place.files(), clock, metrics.clone()).unwrap(), metrics)
}

fn metric(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

/// The year in which what is served ends, and whether what the files hold is refused.
fn served(metrics: &Metrics) -> (u64, bool) {
    let seconds = metric(metrics, "timerd_tls_certificate_expiry_timestamp_seconds ");
    (1970 + seconds / 31_556_952, metric(metrics, "timerd_tls_certificate_refused ") == 1)
}

#[test]
fn a_certificate_and_its_key_are_read_with_their_time() {
    let place = Place::until(2030);
    let pair = CertificatePair::load(&place.files()).unwrap();
    assert_eq!(pair.expires_at, NEW_YEAR_2030);
    assert_eq!(pair.valid_from, Millis(1_577_836_800_000), "2020-01-01");
    assert!(pair.is_for("api.test") && pair.is_for("127.0.0.1"));
    assert!(!pair.is_for("other.test") && !pair.is_for("[::1]") && !pair.is_for(""));
}

#[test]
fn a_certificate_is_good_from_its_first_moment_to_its_last() {
    let place = Place::until(2030);
    let pair = CertificatePair::load(&place.files()).unwrap();
    let (begin, end) = (pair.valid_from, pair.expires_at);
    assert!(pair.check(begin).is_ok() && pair.check(end).is_ok());
    assert!(matches!(pair.check(Millis(begin.0 - 1)), Err(PairError::NotYetValid { .. })));
    let expired = pair.check(Millis(end.0 + 1)).unwrap_err().to_string();
    assert!(
        expired.ends_with("tls.crt: the certificate has expired at 2030-01-01T00:00:00.000Z"),
        "{expired}"
    );
    assert!(!pair.expires_soon(Millis(end.0 - 14 * DAY.0)));
    assert!(pair.expires_soon(Millis(end.0 - 14 * DAY.0 + 1)));
}

#[test]
fn what_is_no_pair_is_refused_with_the_file_and_the_reason() {
    let place = Place::until(2030);
    let (good, other) = (place.issue(2030), place.issue(2030));
    let (certificate, key) = (good.certificate.as_str(), good.key.as_str());
    let section = |name: &str| format!("-----BEGIN {name}-----\nMAAA\n-----END {name}-----\n");
    let (encrypted, no_key) = (section("ENCRYPTED PRIVATE KEY"), section("PRIVATE KEY"));
    let no_certificate = section("CERTIFICATE");
    for (certificate, key, parts) in [
        ("", key, ["tls.crt", "holds no certificate"]),
        (key, key, ["tls.crt", "holds no certificate"]),
        (
            &certificate[..certificate.len() / 2],
            key,
            ["tls.crt: not valid PEM", "the section CERTIFICATE has no end"],
        ),
        (&no_certificate, key, ["tls.crt", "the certificate can't be read"]),
        (certificate, "", ["tls.key", "holds no private key"]),
        (certificate, certificate, ["tls.key", "holds no private key"]),
        (certificate, &encrypted, ["tls.key", "only an encrypted one"]),
        (certificate, &no_key, ["tls.key", "the key can't be used"]),
        (certificate, &other.key, ["tls.key does not belong to the certificate in", "tls.crt"]),
    ] {
        place.write(&Issued { certificate: certificate.into(), key: key.into() });
        let fault = place.fault();
        assert!(parts.iter().all(|part| fault.contains(part)), "{fault}, but not {parts:?}");
    }
}

#[test]
fn files_that_are_missing_or_too_large_are_named() {
    let place = Place::new();
    assert!(place.fault().contains("tls.crt: can't be read: No such file"), "{}", place.fault());
    fs::File::create(place.path("tls.crt")).unwrap().set_len(PEM_BYTES_MAX + 1).unwrap();
    assert!(place.fault().contains("tls.crt: larger than 1048576 bytes"), "{}", place.fault());
}

#[test]
fn only_files_that_have_come_to_rest_are_read() {
    let place = Place::until(2030);
    let stamps = || place.files().stamps();
    let mut changes = Changes::since(stamps());
    assert!(!changes.settled(stamps()), "nothing is new");
    fs::write(place.path("tls.crt"), "half").unwrap();
    assert!(!changes.settled(stamps()), "somebody may be writing");
    fs::write(place.path("tls.key"), "the other half").unwrap();
    assert!(!changes.settled(stamps()), "somebody is writing");
    assert!(changes.settled(stamps()));
    assert!(changes.settled(stamps()), "as long as it is not read");
    changes.note(stamps());
    assert!(!changes.settled(stamps()));
    fs::remove_file(place.path("tls.key")).unwrap();
    assert!(!changes.settled(stamps()));
    assert!(changes.settled(stamps()), "a file that has gone is a change");
}

#[test]
fn a_file_with_the_size_and_time_of_the_one_before_is_another() {
    let place = Place::until(2030);
    let before = place.files().stamps();
    let modified = fs::metadata(place.path("tls.crt")).unwrap().modified().unwrap();
    let content = fs::read(place.path("tls.crt")).unwrap();
    fs::write(place.path("new"), content).unwrap();
    fs::File::options().write(true).open(place.path("new")).unwrap().set_modified(modified).unwrap();
    fs::rename(place.path("new"), place.path("tls.crt")).unwrap();
    assert_ne!(place.files().stamps(), before);
}

#[test]
fn a_renewed_certificate_is_served_after_two_looks() {
    let place = Place::until(2040);
    let (mut reloader, metrics) = reloader(&place);
    assert_eq!(served(&metrics), (2040, false));
    place.write(&place.issue(2050));
    reloader.look();
    assert_eq!(served(&metrics), (2040, false));
    reloader.look();
    assert_eq!(served(&metrics), (2050, false));
}

#[test]
fn who_asks_does_not_wait_for_a_look() {
    let place = Place::until(2040);
    let (mut reloader, metrics) = reloader(&place);
    place.write(&place.issue(2050));
    reloader.reload();
    assert_eq!(served(&metrics), (2050, false));
}

#[test]
fn a_bad_file_leaves_the_certificate_before_until_it_is_mended() {
    let place = Place::until(2040);
    let (mut reloader, metrics) = reloader(&place);
    let (new, other, old) = (place.issue(2050), place.issue(2060), place.issue(2029));
    for (certificate, key) in [
        (&*new.certificate, "no key"),
        ("no certificate", &*new.key),
        (&new.certificate, &other.key),
        (&old.certificate, &new.key),
    ] {
        place.write(&Issued { certificate: certificate.into(), key: key.into() });
        reloader.look();
        reloader.look();
        assert_eq!(served(&metrics), (2040, true), "{certificate} {key}");
    }
    place.write(&old);
    reloader.reload();
    assert_eq!(served(&metrics), (2040, true), "one that has expired is no improvement");
    place.write(&new);
    reloader.look();
    assert_eq!(served(&metrics), (2050, false), "what could not be served is tried at every look");
}

#[test]
fn a_certificate_whose_time_has_not_come_waits_for_it() {
    let place = Place::until(2040);
    let metrics = Arc::new(Metrics::new());
    let clock = ManualClock::new(NEW_YEAR_2030);
    let mut reloader = Reloader::start(place.files(), Arc::new(clock.clone()), metrics.clone()).unwrap();
    place.write(&place.authority.issue_between(&["api.test"], (2030, 1, 2), (2050, 1, 1)));
    reloader.look();
    reloader.look();
    assert_eq!(served(&metrics), (2040, true));
    clock.advance(DAY);
    reloader.look();
    assert_eq!(served(&metrics), (2050, false));
}

#[test]
fn a_node_starts_with_a_certificate_that_has_expired_and_says_so() {
    let place = Place::until(2025);
    let (mut reloader, metrics) = reloader(&place);
    assert_eq!(served(&metrics), (2025, true));
    place.write(&place.issue(2050));
    reloader.look();
    assert_eq!(served(&metrics), (2050, false));
}

#[test]
fn a_node_does_not_start_without_a_pair() {
    let place = Place::until(2040);
    fs::remove_file(place.path("tls.key")).unwrap();
    let clock = Arc::new(ManualClock::new(NEW_YEAR_2030));
    let refused = Reloader::start(place.files(), clock, Arc::default()).unwrap_err().to_string();
    assert!(refused.contains("tls.key: can't be read"), "{refused}");
}

/// A directory of files, as Kubernetes mounts a secret: `tls.crt -> ..data/tls.crt`, `..data -> ..VERSION`.
fn mount(place: &Place) {
    for file in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(file), place.path(file)).unwrap();
    }
}

/// Puts a version of the secret in place, as the kubelet does it: all files of the new version first, then one rename.
fn switch(place: &Place, version: &str, issued: &Issued) {
    let dir = place.path(version);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("tls.crt"), &issued.certificate).unwrap();
    fs::write(dir.join("tls.key"), &issued.key).unwrap();
    symlink(version, place.path("..data_tmp")).unwrap();
    fs::rename(place.path("..data_tmp"), place.path("..data")).unwrap();
}

#[test]
fn a_secret_of_kubernetes_that_is_switched_is_served() {
    let place = Place::new();
    mount(&place);
    switch(&place, "..2030_01", &place.issue(2040));
    let (mut reloader, metrics) = reloader(&place);
    assert_eq!(served(&metrics), (2040, false));
    reloader.look();
    reloader.look();
    switch(&place, "..2030_02", &place.issue(2050));
    fs::remove_dir_all(place.path("..2030_01")).unwrap();
    reloader.look();
    assert_eq!(served(&metrics), (2040, false));
    reloader.look();
    assert_eq!(served(&metrics), (2050, false));
}
