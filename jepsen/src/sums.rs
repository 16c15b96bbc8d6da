//! The sums of `results.jsonl`, which are the only figures of fault tests that a document may quote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

use crate::recovery::{self, Recoveries};

/// What is added up, with the name in the file.
const ADDED: [(&str, &str); 16] = [
    ("faultSeconds", "seconds under faults"),
    ("faultsEffective", "faults that took effect"),
    ("powerCuts", "power cuts"),
    ("bitFlips", "bit flips"),
    ("operationsOk", "operations answered"),
    ("operationsUnknown", "operations of unknown outcome"),
    ("acked", "timers acknowledged"),
    ("fired", "timers fired"),
    ("lost", "lost"),
    ("late", "late"),
    ("early", "early"),
    ("ghost", "ghosts"),
    ("duplicates", "duplicates"),
    // Not in lines from before 2026-12-01.
    ("duplicatesAnswered", "of these, of attempts that had been answered"),
    ("zombies", "zombies"),
    ("boundaries", "inputs at the edge of what is allowed"),
];

/// Adds up the lines of a results file.
///
/// # Errors
/// A line is not JSON.
pub fn of(text: &str) -> anyhow::Result<String> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    let mut verdicts: BTreeMap<String, u64> = BTreeMap::new();
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    let mut recovery_ms = 0;
    let mut found = recovery::NAMES.map(|name| (name, Recoveries::new()));
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Value = serde_json::from_str(line).with_context(|| format!("line {}", number + 1))?;
        for (name, _) in ADDED {
            *sums.entry(name).or_default() += line[name].as_u64().unwrap_or(0);
        }
        *verdicts.entry(line["verdict"].as_str().unwrap_or("none").to_owned()).or_default() += 1;
        let of_run = line["faultKinds"].as_array().into_iter().flatten();
        kinds.extend(of_run.filter_map(|kind| kind.as_str().map(str::to_owned)));
        for (name, recoveries) in &mut found {
            for (kind, times) in recovery::of_line(&line, name) {
                recoveries.entry(kind).or_default().extend(times);
            }
        }
        recovery_ms = recovery_ms.max(line["recoveryMsMax"].as_u64().unwrap_or(0));
    }
    let mut told = String::new();
    let runs: u64 = verdicts.values().sum();
    let verdicts: Vec<String> = verdicts.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    let _ = writeln!(told, "{runs:>10}  runs: {}", verdicts.join(", "));
    let _ = writeln!(told, "{:>10}  kinds of fault", kinds.len());
    for (name, words) in ADDED {
        let _ = writeln!(told, "{:>10}  {words}", sums.get(name).copied().unwrap_or(0));
    }
    let _ = writeln!(told, "{recovery_ms:>10}  ms: the longest recovery of a shard");
    let [(_, all), (_, alone)] = found;
    told.push_str(&recovery::text(&all, &alone));
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_added_up_and_kinds_counted_once() {
        let text = "{\"acked\":3,\"lost\":0,\"verdict\":\"pass\",\"faultKinds\":[\"kill\"],\"recoveryMsMax\":70,\
                    \"recoveriesMs\":{\"kill\":[40,70]}}\n\n\
                    {\"acked\":4,\"lost\":1,\"verdict\":\"violation\",\"faultKinds\":[\"kill\",\"pause\"]}\n";
        let told = of(text).unwrap();
        for line in [
            "2  runs: 1 pass, 1 violation",
            "2  kinds of fault",
            "7  timers ack",
            "1  lost",
            "70  ms",
            "p50 40 ms",
        ] {
            assert!(told.contains(line), "{line} in\n{told}");
        }
        assert!(of("half a line").is_err());
    }
}
