//! What `timerd config check` says of certificates.

use std::path::PathBuf;

use super::*;
use crate::tls::testing::{Authority, Issued};

/// 2030-01-01T00:00:00Z.
const NEW_YEAR_2030: Millis = Millis(1_893_456_000_000);
const DAY_MS: u64 = 24 * 3600 * 1000;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// What the check says of a configuration with this pair, and more lines in the section `http`.
    fn check(&self, issued: &Issued, more: &str, now: Millis) -> Output {
        let certificate = self.file("tls.crt", &issued.certificate);
        let key = self.file("tls.key", &issued.key);
        let text = format!(
            "[http]\n{more}\ntls_cert_file = \"{}\"\ntls_key_file = \"{}\"\n",
            certificate.display(),
            key.display()
        );
        check(&[self.file("timerd.toml", &text)], &[], &[], now)
    }
}

fn issue() -> Issued {
    Authority::new().issue_between(&["api.test", "127.0.0.1"], (2020, 1, 1), (2030, 1, 1))
}

#[test]
fn a_pair_that_can_be_served_is_ok() {
    let output = Place::new().check(&issue(), "", Millis(NEW_YEAR_2030.0 - 15 * DAY_MS));
    assert_eq!((output.text.as_str(), output.code), ("OK\n", 0));
}

#[test]
fn a_certificate_that_expires_soon_is_a_warning_and_one_that_has_expired_a_fault() {
    let place = Place::new();
    let soon = place.check(&issue(), "", Millis(NEW_YEAR_2030.0 - 13 * DAY_MS));
    assert_eq!(soon.code, 0);
    assert!(soon.text.starts_with("warning: http.tls_cert_file = "), "{}", soon.text);
    assert!(soon.text.contains("the certificate expires at 2030-01-01T00:00:00.000Z"), "{}", soon.text);
    let over = place.check(&issue(), "", Millis(NEW_YEAR_2030.0 + 1));
    assert_eq!(over.code, 1);
    for part in ["http.tls_cert_file = ", "http.tls_key_file = ", "has expired at 2030-01-01T00:00:00.000Z"] {
        assert!(over.text.contains(part), "{}", over.text);
    }
}

#[test]
fn a_key_of_another_certificate_is_a_fault_that_names_both() {
    let mixed = Issued { key: issue().key, ..issue() };
    let output = Place::new().check(&mixed, "", Millis(NEW_YEAR_2030.0 - 15 * DAY_MS));
    assert_eq!(output.code, 1);
    for part in ["http.tls_cert_file = ", "http.tls_key_file = ", "does not belong to the certificate"] {
        assert!(output.text.contains(part), "{}", output.text);
    }
}

#[test]
fn files_that_can_not_be_read_are_faults() {
    for (setting, section) in [("tls_cert_file", "http"), ("ca_files", "delivery")] {
        let value = if section == "http" { "\"/nowhere/a.pem\"" } else { "[\"/nowhere/a.pem\"]" };
        let key = if section == "http" { "tls_key_file = \"/nowhere/a.key\"\n" } else { "" };
        let place = Place::new();
        let file = place.file("timerd.toml", &format!("[{section}]\n{setting} = {value}\n{key}"));
        let output = check(&[file], &[], &[], NEW_YEAR_2030);
        assert_eq!(output.code, 1);
        assert!(output.text.contains(&format!("{section}.{setting} = ")), "{}", output.text);
        assert!(output.text.contains("/nowhere/a.pem: can't be read: "), "{}", output.text);
    }
}

#[test]
fn a_certificate_for_another_host_than_the_advertised_one_is_a_warning() {
    let check = |more: &str| Place::new().check(&issue(), more, Millis(NEW_YEAR_2030.0 - 15 * DAY_MS)).text;
    assert_eq!(check("advertise_url = \"https://api.test:8080\""), "OK\n");
    let other = check("advertise_url = \"https://n1.test\"");
    assert!(other.contains("is not for the host of http.advertise_url = https://n1.test"), "{other}");
    let plain = check("advertise_url = \"http://api.test\"");
    assert!(plain.contains("http.advertise_url = \"http://api.test\""), "{plain}");
}
