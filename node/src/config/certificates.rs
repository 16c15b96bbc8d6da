//! What `timerd config check` says of files of certificates: whether they can be read and used, now and for some time to
//! come. Deliberately not a part of loading: a node that is started again with a certificate that has expired meanwhile
//! must still fire its timers.

use timer_core::time::Millis;

use super::Loaded;
use super::fault::ConfigFault;
use super::rules::Report;
use crate::rfc3339;
use crate::tls::{CertificatePair, roots};

/// The faults and warnings of the files that `loaded` names.
pub(super) fn check(loaded: &Loaded, now: Millis) -> (Vec<ConfigFault>, Vec<String>) {
    let mut report = Report::of(&loaded.values);
    if let Some(files) = loaded.settings.http.certificate_files() {
        match CertificatePair::load(&files).and_then(|pair| pair.check(now).map(|()| pair)) {
            Ok(pair) => usable(&mut report, loaded, &pair, now),
            Err(error) => report.conflict("http.tls_cert_file", "http.tls_key_file", &error.to_string()),
        }
    }
    if let Err(error) = roots::authorities(&loaded.settings.delivery.ca_files) {
        report.inconsistent("delivery.ca_files", error.to_string());
    }
    (report.faults, report.warnings)
}

fn usable(report: &mut Report<'_>, loaded: &Loaded, pair: &CertificatePair, now: Millis) {
    if pair.expires_soon(now) {
        report.warnings.push(format!(
            "{}: the certificate expires at {}",
            report.setting("http.tls_cert_file"),
            rfc3339::format(pair.expires_at)
        ));
    }
    let advertised = &loaded.settings.http.advertise_url;
    let host = url::Url::parse(advertised).ok().and_then(|url| url.host_str().map(str::to_owned));
    if advertised.starts_with("https:") && !host.is_some_and(|host| pair.is_for(&host)) {
        report.warnings.push(format!(
            "{}: the certificate is not for the host of http.advertise_url = {advertised}",
            report.setting("http.tls_cert_file")
        ));
    }
}
