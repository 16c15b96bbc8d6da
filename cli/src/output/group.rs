//! Groups for people.

use std::fmt::Write as _;

use durable_timer::Group;

use super::table::rows;

const HEAD: [&str; 5] = ["GROUP", "SHARDS", "RETENTION", "DEAD", "MAX PENDING"];

/// A group, and what was done with it.
pub fn text(done: &str, group: &Group, replayed: bool) -> String {
    let mut text = String::new();
    let head = match (done, replayed) {
        ("", _) => format!("group {}", group.name),
        (done, false) => format!("{done} group {}", group.name),
        (done, true) => format!("{done} group {} (by an earlier request with this key)", group.name),
    };
    let bound = bound(group);
    let _ = writeln!(text, "{head}");
    for (name, value) in [
        ("version", group.version.to_string()),
        ("shards", group.shards.to_string()),
        ("retention", group.retention.clone()),
        ("dead retention", group.dead_retention.clone()),
        ("retains payload", if group.retain_payload { "yes" } else { "no" }.to_owned()),
        ("max horizon", group.max_horizon.clone()),
        ("max pending", bound),
        ("paused", group.paused_at.as_ref().map_or_else(|| "no".to_owned(), |at| format!("since {at}"))),
        ("updated", group.updated_at.clone().unwrap_or_else(|| "never".to_owned())),
    ] {
        let _ = writeln!(text, "  {name:<16}{value}");
    }
    text
}

/// One line a group; with a head on the first page.
pub fn list(groups: &[Group], is_first: bool) -> String {
    let line = |group: &Group| {
        let (retention, dead) = (group.retention.clone(), group.dead_retention.clone());
        vec![group.name.clone(), group.shards.to_string(), retention, dead, bound(group)]
    };
    let table = rows(&HEAD, &groups.iter().map(line).collect::<Vec<_>>());
    if is_first {
        table
    } else {
        table.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_owned())
    }
}

fn bound(group: &Group) -> String {
    group.max_pending.map_or_else(|| "no bound".to_owned(), |most| most.to_string())
}
