//! What `config check` found, for people.

use super::table::pairs;
use crate::commands::config::Checked;

/// One block for each endpoint.
pub fn text(all: &[Checked]) -> String {
    all.iter().map(block).collect::<Vec<_>>().join("\n")
}

fn block(checked: &Checked) -> String {
    let mut rows = vec![
        ("endpoint", Some(checked.endpoint.clone())),
        ("answers", Some(if checked.ok { "yes" } else { "not as it should" }.to_owned())),
        ("version", checked.version.clone()),
        ("cluster", checked.cluster.clone()),
        ("node", checked.node.clone()),
        ("clock", checked.clock_difference_ms.map(|ms| format!("{ms:+} ms against this machine's"))),
    ];
    rows.extend(checked.faults.iter().map(|fault| ("fault", Some(fault.clone()))));
    pairs(&rows)
}
