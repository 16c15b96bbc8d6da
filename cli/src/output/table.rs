//! Columns that line up.

/// Names and values, one a line, the values below each other; what has no value is left out.
pub fn pairs(rows: &[(&str, Option<String>)]) -> String {
    let width =
        rows.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, Option<String>)| {
        value.as_ref().map(|value| format!("{name:width$}  {}\n", one_line(value)))
    };
    rows.iter().filter_map(line).collect()
}

/// Rows under a head, each column as wide as its widest cell.
pub fn rows(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|name| name.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let head = line(&mut head.iter().copied());
    rows.iter().fold(head, |text, row| text + &line(&mut row.iter().map(String::as_str)))
}

/// Without control characters: what a server or a sender wrote must not steer the terminal.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let text = rows(&["a", "head"], &[vec!["wide".into(), "x".into()], vec!["é".into(), "y".into()]]);
        assert_eq!(text, "a     head\nwide  x\né     y\n");
        let text =
            pairs(&[("a", Some("1".into())), ("left out", None), ("bcd", Some("2\u{1b}[31m\n3".into()))]);
        assert_eq!(text, "a    1\nbcd  2 [31m 3\n");
    }
}
