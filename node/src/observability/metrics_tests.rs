//! The live output against what `docs/metrics.md` says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use timer_core::command::{Delete, Refusal};

use super::*;
use crate::backend::Applied;

/// What the output or the documentation says of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Described {
    kind: String,
    labels: BTreeSet<String>,
    help: String,
}

/// Metrics in which every series exists that can.
fn used() -> Metrics {
    let metrics = Metrics::new();
    metrics.command_answered(&some_command(), &Ok(Reply::Refused(Refusal::NotFound)));
    metrics.http_answered("getTimer", 200, Duration::from_millis(3));
    metrics
}

fn some_command() -> Command {
    Command::Delete(Delete {
        key: timer_core::ids::TimerKey::new("g", "a"),
        purge: false,
        precondition: Default::default(),
        fence: Default::default(),
    })
}

fn parse(text: &str) -> BTreeMap<String, Described> {
    let mut found: BTreeMap<String, Described> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            found.entry(name.into()).or_default().help = help.into();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            found.entry(name.into()).or_default().kind = kind.into();
        } else if let Some((series, labels)) = line.split_once('{') {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end));
            let name = base.filter(|base| found.contains_key(*base)).unwrap_or(series);
            let labels = labels.split_once('}').unwrap().0.split("\",").filter_map(|l| l.split_once('='));
            let names = labels.map(|(name, _)| name.to_owned()).filter(|name| name != "le");
            found.get_mut(name).unwrap().labels.extend(names);
        }
    }
    found
}

fn document(metrics: &BTreeMap<String, Described>) -> String {
    let mut out = String::from(
        "<!-- The table is made from the live output: `UPDATE_DOCS=1 cargo test -p node metrics`. A test holds the two together. -->\n\
         # Metrics of timerd\n\n\
         `GET /metrics` gives them in Prometheus' text format. No label names a host, a node, a shard, a group or a \
         timer, so the number of series does not grow with use. Gauges of timers and shards are of the shards that \
         the node leads: sum over the nodes for the cluster.\n\n\
         | metric | type | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for (name, Described { kind, labels, help }) in metrics {
        let labels = match labels.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>() {
            none if none.is_empty() => "none".into(),
            some => some.join(", "),
        };
        out.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    out.push_str(ADVICE);
    out
}

const ADVICE: &str = "
## What to watch

- `timerd_callback_lateness_seconds`: the promise. Its 99th percentile is a few milliseconds on a healthy cluster and at most a fail-over during one.
- `timerd_timers_overdue` that does not fall: destinations that are slow, or `delivery.concurrency_max` too small.
- `timerd_raft_shards_without_leader` above 0 for more than a few seconds: a quorum is missing.
- `timerd_log_sync_stalled_seconds` above 0: the disk hangs. At `storage.sync_stall_ms` the node gives up its leaderships.
- `timerd_clock_offset_seconds` near `clock.offset_max_ms`: mend the time synchronisation before the node stops leading.
- `timerd_raft_restarts_total` that grows: a bug; the log has the reason.
- `timerd_tls_certificate_expiry_timestamp_seconds` above 0 and less than two weeks ahead, or `timerd_tls_certificate_refused` above 0: what renews the certificate does not work.
- `process_open_fds` near `process_max_fds`: raise the limit, or lower `http.connections_max` and `delivery.concurrency_max`.
";

#[test]
fn the_documentation_lists_what_the_output_has_and_nothing_else() {
    let live = parse(&used().render());
    for (name, described) in &live {
        assert!(!described.help.is_empty() && !described.kind.is_empty(), "{name} is described");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let expected = document(&live);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, expected, "run UPDATE_DOCS=1 cargo test -p node metrics, and read the difference");
}

#[test]
fn every_handle_is_registered() {
    // Each event moves exactly the series that it should: a handle that was forgotten would move none.
    let value = |text: &str, series: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(series).and_then(|rest| rest.strip_prefix(' ')));
        line.unwrap_or_else(|| panic!("{series} in {text}")).parse::<f64>().unwrap()
    };
    let metrics = used();
    metrics.attempt_started(70);
    metrics.attempt_started(70);
    metrics.attempt_started(70);
    metrics.attempt_withheld();
    metrics.attempt_finished(&AttemptResult::Delivered, 30);
    metrics.attempt_skipped();
    metrics.entry_proposed(64);
    metrics.proposal_queue(5, 600);
    metrics.office_taken();
    metrics.cursor_held();
    metrics.raft_restarted();
    metrics.shards(3, 1);
    metrics.timers_by_state(&[1, 2, 3, 4, 5, 6]);
    metrics.overdue(9);
    metrics.parked(8);
    metrics.log_sync_stalled(Duration::from_millis(1500));
    metrics.forwarded(Forwarded::NotLeader);
    metrics.snapshot(SnapshotDirection::Received, false);
    metrics.peers_connected(2);
    metrics.clock_offset(-120);
    metrics.certificate_served(Millis(1_800_000_000_999));
    metrics.certificate_refused();
    let text = metrics.render();
    for (series, expected) in [
        ("timerd_commands_total{command=\"delete\",result=\"refused\"}", 1.0),
        ("timerd_http_requests_total{operation=\"getTimer\",status=\"200\"}", 1.0),
        ("timerd_http_request_duration_seconds_count{operation=\"getTimer\"}", 1.0),
        ("timerd_callback_lateness_seconds_bucket{le=\"0.05\"}", 0.0),
        ("timerd_callback_lateness_seconds_bucket{le=\"0.1\"}", 3.0),
        ("timerd_callback_duration_seconds_sum", 0.03),
        ("timerd_callbacks_total{result=\"delivered\"}", 1.0),
        ("timerd_callbacks_total{result=\"skipped\"}", 1.0),
        ("timerd_callbacks_total{result=\"withheld\"}", 1.0),
        ("timerd_callbacks_total{result=\"failed\"}", 0.0),
        ("timerd_attempts_in_flight", 1.0),
        ("timerd_proposal_commands_sum", 64.0),
        ("timerd_proposal_queue_commands", 5.0),
        ("timerd_proposal_queue_bytes", 600.0),
        ("timerd_raft_elections_total", 1.0),
        ("timerd_cursor_held_total", 1.0),
        ("timerd_raft_restarts_total", 1.0),
        ("timerd_raft_leader_shards", 3.0),
        ("timerd_raft_shards_without_leader", 1.0),
        ("timerd_timers{state=\"scheduled\"}", 1.0),
        ("timerd_timers{state=\"dead\"}", 4.0),
        ("timerd_timers_overdue", 9.0),
        ("timerd_timers_parked", 8.0),
        ("timerd_log_sync_stalled_seconds", 1.5),
        ("timerd_forwarded_total{result=\"not_leader\"}", 1.0),
        ("timerd_snapshots_total{direction=\"received\",result=\"failed\"}", 1.0),
        ("timerd_peers_connected", 2.0),
        ("timerd_clock_offset_seconds", -0.12),
        ("timerd_tls_certificate_expiry_timestamp_seconds", 1_800_000_000.0),
        ("timerd_tls_certificate_refused", 1.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
}

#[test]
fn what_is_unknown_is_not_counted_as_refused_or_done() {
    let unknown = BackendError::TimedOut { outcome: Applied::Unknown, waited: Duration::from_secs(1) };
    let lost = BackendError::TimedOut { outcome: Applied::NotApplied, waited: Duration::from_secs(1) };
    assert_eq!(answer_name(&Err(unknown)), "unknown");
    assert_eq!(answer_name(&Err(lost)), "timed_out");
}

#[test]
fn no_label_is_one_that_grows_with_use() {
    for (name, described) in parse(&used().render()) {
        for label in described.labels {
            assert!(
                ["command", "operation", "result", "status", "state", "direction", "version"]
                    .contains(&label.as_str()),
                "{label} of {name}"
            );
        }
    }
}
