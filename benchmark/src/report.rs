//! Prints what was measured: a table for people, one JSON object a line for whoever compares runs.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use crate::clock;
use crate::machine::Machine;

/// One row.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// What was measured: `creates`, `callbacks` or `lateness`.
    pub measure: &'static str,
    /// How it was set up: nodes, clients and so on.
    pub setup: Pairs,
    /// What came out.
    pub figures: Pairs,
}

/// Named values in the order in which they are shown.
#[derive(Clone, Debug, Default)]
pub struct Pairs(pub Vec<(&'static str, Value)>);

impl Pairs {
    /// The value of `name`.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    at: &'a str,
    commit: &'a str,
    measure: &'a str,
    setup: &'a Pairs,
    figures: &'a Pairs,
    machine: &'a Machine,
}

/// Appends one line for each of `rows` to the file at `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn append(path: &Path, commit: &str, machine: &Machine, rows: &[Measurement]) -> std::io::Result<()> {
    let at = clock::rfc3339(clock::now_us() / 1_000_000 * 1_000_000);
    let mut lines = Vec::new();
    for Measurement { measure, setup, figures } in rows {
        serde_json::to_writer(&mut lines, &Line { at: &at, commit, measure, setup, figures, machine })?;
        lines.push(b'\n');
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(&lines)
}

/// The machine in a few lines.
pub fn describe(machine: &Machine) -> String {
    let Machine { cpu, cores, memory_mib, kernel, file_system, fdatasync } = machine;
    format!(
        "{cpu}, {cores} cores, {memory_mib} MiB, Linux {kernel}\n{file_system}, fdatasync of 4 KiB: p50 {} ms, \
         p99 {} ms\n",
        fdatasync.p50_ms, fdatasync.p99_ms
    )
}

/// A table for each measure, in the order of `rows`.
pub fn tables(rows: &[Measurement]) -> String {
    rows.chunk_by(|a, b| a.measure == b.measure).map(table).collect::<Vec<_>>().join("\n")
}

fn table(rows: &[Measurement]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for key in rows.iter().flat_map(|row| row.setup.names().chain(row.figures.names())) {
        if !columns.contains(&key) {
            columns.push(key);
        }
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            columns
                .iter()
                .map(|&key| {
                    row.setup.get(key).or_else(|| row.figures.get(key)).map_or_else(String::new, cell)
                })
                .collect()
        })
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, name)| cells.iter().map(|row| row[i].len()).fold(name.len(), usize::max))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| -> String {
        let padded: Vec<_> = cells.zip(&widths).map(|(cell, &width)| format!("{cell:>width$}")).collect();
        format!("  {}\n", padded.join("  "))
    };
    let mut text = format!("{}\n{}", rows[0].measure, line(&mut columns.iter().copied()));
    for row in &cells {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

fn cell(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() => format!("{number:.2}"),
        _ => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(setup: &[(&'static str, Value)], figures: &[(&'static str, Value)]) -> Measurement {
        Measurement { measure: "creates", setup: Pairs(setup.to_vec()), figures: Pairs(figures.to_vec()) }
    }

    #[test]
    fn a_table_lines_up_and_leaves_blank_what_a_row_lacks() {
        let rows = [
            row(&[("clients", json!(1))], &[("p50Ms", json!(1.5))]),
            row(&[("clients", json!(256))], &[("refused", json!(3))]),
        ];
        assert_eq!(
            tables(&rows),
            "creates\n  clients  p50Ms  refused\n        1   1.50         \n      256               3\n"
        );
    }

    #[test]
    fn every_line_of_the_file_is_a_whole_object() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let machine = Machine::describe(dir.path()).unwrap();
        let rows = [row(&[("clients", json!(1))], &[("p50Ms", json!(1.5))])];
        append(&path, "abc", &machine, &rows).unwrap();
        append(&path, "def", &machine, &rows).unwrap();
        let commits: Vec<Value> = std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["commit"].clone())
            .collect();
        assert_eq!(commits, ["abc", "def"]);
    }
}
