//! Texts for people out of what strangers sent: bounded and without control characters.

use timer_core::limits::ERROR_BYTES_MAX;

use super::limits::SNIPPET_BYTES_MAX;

/// The beginning of a body, on one line.
pub fn snippet(body: &[u8]) -> String {
    let cut = &body[..body.len().min(SNIPPET_BYTES_MAX)];
    // A character that the cut split would show as a replacement, so it goes.
    let whole = match std::str::from_utf8(cut) {
        Err(e) if e.error_len().is_none() => &cut[..e.valid_up_to()],
        Ok(_) | Err(_) => cut,
    };
    let text = String::from_utf8_lossy(whole);
    let words: Vec<&str> =
        text.split(|c: char| c.is_control() || c == ' ').filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

/// `message` within the bound of a kept error.
pub fn bounded(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(ERROR_BYTES_MAX));
    message
}

/// An error with what is behind it, each part once.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_one_bounded_line_of_whole_characters() {
        assert_eq!(snippet(b" {\n\t\"a\": 1}\r\n"), "{ \"a\": 1}");
        assert_eq!(snippet(b"\x1b[31mred"), "[31mred");
        assert_eq!(snippet(b"a\xffb"), "a\u{fffd}b");
        let long = "é".repeat(SNIPPET_BYTES_MAX);
        assert_eq!(snippet(&long.as_bytes()[1..]).matches('é').count(), (SNIPPET_BYTES_MAX - 1) / 2);
        assert_eq!(snippet(format!("a{long}").as_bytes()).matches('é').count(), (SNIPPET_BYTES_MAX - 1) / 2);
    }

    #[test]
    fn a_message_keeps_within_its_bound() {
        assert_eq!(bounded("short".into()), "short");
        let long = bounded("€".repeat(ERROR_BYTES_MAX));
        assert_eq!(long.len(), ERROR_BYTES_MAX / 3 * 3);
    }
}
