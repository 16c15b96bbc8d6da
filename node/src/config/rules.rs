//! What must hold between settings. A fault names both keys and both values; a warning is something that works
//! but is seldom meant.

use super::defaults::KEYS;
use super::fault::{ConfigFault, Setting};
use super::layers::Values;
use super::settings::{AuthMode, Settings};
use super::show;

/// The faults and warnings of `settings`, which were made of `values`.
pub(super) fn check(values: &Values, settings: &Settings) -> (Vec<ConfigFault>, Vec<String>) {
    let mut report = Report::of(values);
    listeners(&mut report, settings);
    tls(&mut report, settings);
    members(&mut report, settings);
    raft(&mut report, settings);
    capacities(&mut report, settings);
    (report.faults, report.warnings)
}

/// What is found out about settings.
pub(super) struct Report<'a> {
    values: &'a Values,
    pub(super) faults: Vec<ConfigFault>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Report<'a> {
    /// Nothing yet of `values`.
    pub(super) fn of(values: &'a Values) -> Self {
        Self { values, faults: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn setting(&self, path: &str) -> Setting {
        let Some(key) = KEYS.iter().find(|key| key.path == path) else {
            unreachable!("{path} is in the table of settings")
        };
        let (value, origin) = self.values.get(path);
        Setting { key: key.path, value: show::value(key, value), origin: origin.clone() }
    }

    pub(super) fn conflict(&mut self, first: &str, second: &str, rule: &str) {
        let (first, second) = (self.setting(first), self.setting(second));
        self.faults.push(ConfigFault::Conflict { first, second, rule: rule.into() });
    }

    pub(super) fn inconsistent(&mut self, path: &str, rule: String) {
        let setting = self.setting(path);
        self.faults.push(ConfigFault::Inconsistent { setting, rule });
    }
}

fn listeners(report: &mut Report<'_>, settings: &Settings) {
    let (http, peer) = (settings.http.listen, settings.peer.listen);
    let same_ip = http.ip() == peer.ip() || http.ip().is_unspecified() || peer.ip().is_unspecified();
    if http.port() != 0 && http.port() == peer.port() && same_ip {
        report.conflict("http.listen", "peer.listen", "the two listeners need addresses of their own");
    }
    if settings.auth.mode == AuthMode::Tokens && !http.ip().is_loopback() {
        report.conflict(
            "http.listen",
            "auth.mode",
            "beyond loopback the API needs tokens, and none is configured: whoever means to serve without \
             authentication must write auth.mode = \"none\"",
        );
    }
    let alone = report.values.list("cluster.peers").is_empty();
    if !alone && http.ip().is_unspecified() && report.values.text("http.advertise_url").is_empty() {
        report.conflict(
            "http.listen",
            "http.advertise_url",
            "nobody can be sent to an unspecified address: set http.advertise_url",
        );
    }
}

fn tls(report: &mut Report<'_>, settings: &Settings) {
    let http = &settings.http;
    if http.tls_cert_file.is_some() != http.tls_key_file.is_some() {
        report.conflict(
            "http.tls_cert_file",
            "http.tls_key_file",
            "a certificate needs its key, and a key its certificate: set both or neither",
        );
    }
    if http.tls_cert_file.is_some() && http.advertise_url.starts_with("http:") {
        report.warnings.push(format!(
            "{} is not https, but with http.tls_cert_file the node takes nothing else",
            report.setting("http.advertise_url")
        ));
    }
}

fn members(report: &mut Report<'_>, settings: &Settings) {
    let listed = report.values.list("cluster.peers");
    if listed.is_empty() {
        if settings.peer.listen.ip().is_unspecified() && report.values.text("peer.advertise").is_empty() {
            report.warnings.push(format!(
                "{}: a node alone does not listen for peers; to form a cluster set cluster.peers",
                report.setting("peer.listen")
            ));
        }
        return;
    }
    let peers = &settings.cluster.peers;
    for (i, peer) in peers.iter().enumerate() {
        if let Some(other) = peers[..i].iter().find(|other| other.name == peer.name) {
            let rule = format!(
                "the name {} stands for both {} and {}: names must differ",
                peer.name, other.address, peer.address
            );
            report.inconsistent("cluster.peers", rule);
        }
        if let Some(other) = peers[..i].iter().find(|other| other.address == peer.address) {
            let rule = format!(
                "{} and {} both have the address {}: addresses must differ",
                other.name, peer.name, peer.address
            );
            report.inconsistent("cluster.peers", rule);
        }
    }
    match peers.iter().find(|peer| peer.name == settings.node.name) {
        None => report.conflict("node.name", "cluster.peers", "this node must be one of the members"),
        Some(own) if own.address != settings.peer.advertise => report.conflict(
            "peer.advertise",
            "cluster.peers",
            "this node's entry must have the address that it advertises",
        ),
        Some(_) => {}
    }
    if peers.len().is_multiple_of(2) {
        report.warnings.push(format!(
            "cluster.peers has {} members: an even number survives no more failures than one fewer",
            peers.len()
        ));
    }
}

fn raft(report: &mut Report<'_>, settings: &Settings) {
    let raft = &settings.raft;
    // openraft sends a heartbeat at the first tick after it is due, and ticks every 13/64 of a heartbeat: two
    // heartbeats leave room for that and for one late packet.
    if raft.election_min_ms <= 2 * raft.heartbeat_ms {
        report.conflict(
            "raft.election_min_ms",
            "raft.heartbeat_ms",
            "the shortest election time-out must be longer than two heartbeats, else one late packet \
             deposes a leader",
        );
    }
    if raft.election_max_ms <= raft.election_min_ms {
        report.conflict(
            "raft.election_max_ms",
            "raft.election_min_ms",
            "the longest election time-out must be longer than the shortest, else candidates split the votes",
        );
    }
    if raft.probe_ms < 2 * raft.election_max_ms {
        report.conflict(
            "raft.probe_ms",
            "raft.election_max_ms",
            "the silence before a probe must last the lease and the longest election time-out, which is \
             twice raft.election_max_ms",
        );
    }
    if settings.http.request_timeout_ms < 2 * raft.election_max_ms {
        report.warnings.push(format!(
            "{} is shorter than a fail-over, up to twice raft.election_max_ms = {}: requests will time out \
             in one",
            report.setting("http.request_timeout_ms"),
            raft.election_max_ms
        ));
    }
}

fn capacities(report: &mut Report<'_>, settings: &Settings) {
    let delivery = &settings.delivery;
    if delivery.concurrency_per_destination_max > delivery.concurrency_max {
        report.conflict(
            "delivery.concurrency_per_destination_max",
            "delivery.concurrency_max",
            "one destination can't have more than all together",
        );
    }
    if delivery.concurrency_per_destination_max == delivery.concurrency_max {
        report.warnings.push(format!(
            "{} equals delivery.concurrency_max: one destination that hangs takes every slot",
            report.setting("delivery.concurrency_per_destination_max")
        ));
    }
    if settings.node.data_dir.is_relative() {
        report.warnings.push(format!(
            "{} is relative: it depends on where the process is started",
            report.setting("node.data_dir")
        ));
    }
}
