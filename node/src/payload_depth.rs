//! How deep a payload nests, and how deep it may: whoever names one, a client or a receiver, is held to the same.

/// Nesting of a JSON payload, so that readers with a recursion limit can take the answers that hold it.
pub const PAYLOAD_DEPTH_MAX: usize = 100;

/// How deep arrays and objects nest in `raw`, which is valid JSON.
#[must_use]
pub fn depth(raw: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings_only() {
        assert_eq!(depth("1"), 0);
        assert_eq!(depth(r#"{"a":[1,{"b":"[[[\"{{"}]}"#), 3);
        assert_eq!(depth(r#"["\\",[]]"#), 2);
    }
}
