//! Histories as streams of JSON lines. Deliberately not here: files; a harness opens, buffers and syncs.

use std::io::{self, BufRead, Write};

use super::Event;

/// Bytes of a line at most: a longer one is not an event of ours.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Reads events with their line numbers, which count from 1. Empty lines are skipped.
#[derive(Debug)]
pub struct HistoryReader<R> {
    from: R,
    line: u64,
    buffer: Vec<u8>,
}

/// Writes events, one a line.
#[derive(Debug)]
pub struct HistoryWriter<W> {
    to: W,
    line: u64,
}

/// Why a history can't be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream failed.
    #[error("line {line}: can't read: {source}")]
    Io {
        /// The line that was being read.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line is not an event.
    #[error("line {line}: not an event: {source}")]
    Event {
        /// The line.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// A line is longer than any event.
    #[error("line {line}: longer than {LINE_BYTES_MAX} bytes")]
    TooLong {
        /// The line.
        line: u64,
    },
}

/// Why an event was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The stream failed.
    #[error("line {line}: can't write: {source}")]
    Io {
        /// The line that was being written.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// The event has no JSON form.
    #[error("line {line}: can't be written as JSON: {source}")]
    Event {
        /// The line that was being written.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
}

impl<R: BufRead> HistoryReader<R> {
    /// Reads from the start of a history.
    pub const fn new(from: R) -> Self {
        Self { from, line: 0, buffer: Vec::new() }
    }

    /// The next event that is not an empty line; `None` at the end.
    fn read_event(&mut self) -> Result<Option<(u64, Event)>, ReadError> {
        loop {
            self.line += 1;
            let line = self.line;
            self.buffer.clear();
            let mut bounded = io::Read::take(&mut self.from, LINE_BYTES_MAX as u64 + 1);
            let read = bounded
                .read_until(b'\n', &mut self.buffer)
                .map_err(|source| ReadError::Io { line, source })?;
            if read == 0 {
                return Ok(None);
            }
            if read > LINE_BYTES_MAX {
                return Err(ReadError::TooLong { line });
            }
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let event =
                serde_json::from_slice(&self.buffer).map_err(|source| ReadError::Event { line, source })?;
            return Ok(Some((line, event)));
        }
    }
}

impl<R: BufRead> Iterator for HistoryReader<R> {
    type Item = Result<(u64, Event), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_event().transpose()
    }
}

impl<W: Write> HistoryWriter<W> {
    /// Writes a history from its start.
    pub const fn new(to: W) -> Self {
        Self { to, line: 0 }
    }

    /// Writes one event and gives its line number.
    ///
    /// # Errors
    /// When the stream fails: what was written last may be half a line.
    pub fn write(&mut self, event: &Event) -> Result<u64, WriteError> {
        self.line += 1;
        let line = self.line;
        let mut text = serde_json::to_vec(event).map_err(|source| WriteError::Event { line, source })?;
        text.push(b'\n');
        self.to.write_all(&text).map_err(|source| WriteError::Io { line, source })?;
        Ok(line)
    }

    /// Gives the stream back, without flushing it.
    pub fn into_inner(self) -> W {
        self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Delivery, Reply};

    fn delivery() -> Event {
        Event::Delivery(Delivery {
            at_ns: 5,
            received_ms: 1005,
            receiver: 1,
            node: Some(2),
            timer: "a/b".into(),
            generation: 4096,
            attempt: 1,
            token: u64::MAX,
            scheduled_at_ms: 1000,
            reply: Reply::Status { status: 503, retry_after_s: Some(2) },
            answered_ns: Some(6),
        })
    }

    #[test]
    fn what_is_written_is_read_with_its_line_number() {
        let mut writer = HistoryWriter::new(Vec::new());
        writer.write(&delivery()).unwrap();
        assert_eq!(writer.write(&delivery()).unwrap(), 2);
        let bytes = writer.into_inner();
        let read: Vec<_> = HistoryReader::new(bytes.as_slice()).map(Result::unwrap).collect();
        assert_eq!(read, [(1, delivery()), (2, delivery())]);
    }

    #[test]
    fn an_event_is_flat_json_in_camel_case_with_its_kind() {
        let mut writer = HistoryWriter::new(Vec::new());
        writer.write(&delivery()).unwrap();
        let text = String::from_utf8(writer.into_inner()).unwrap();
        assert_eq!(
            text,
            "{\"kind\":\"delivery\",\"atNs\":5,\"receivedMs\":1005,\"receiver\":1,\"node\":2,\"timer\":\"a/b\",\
             \"generation\":4096,\"attempt\":1,\"token\":\"18446744073709551615\",\"scheduledAtMs\":1000,\
             \"reply\":{\"do\":\"status\",\"status\":503,\"retryAfterS\":2},\"answeredNs\":6}\n"
        );
    }

    #[test]
    fn a_line_that_is_no_event_is_named_and_empty_lines_count() {
        let text = "\n  \n{\"kind\":\"surprise\"}\n";
        let read: Result<Vec<_>, _> = HistoryReader::new(text.as_bytes()).collect();
        assert!(matches!(read, Err(ReadError::Event { line: 3, .. })));
    }

    #[test]
    fn a_line_that_was_cut_off_is_named_and_those_before_it_are_read() {
        let mut writer = HistoryWriter::new(Vec::new());
        writer.write(&delivery()).unwrap();
        writer.write(&delivery()).unwrap();
        let text = writer.into_inner();
        let mut reader = HistoryReader::new(&text[..text.len() - 5]);
        assert_eq!(reader.next().unwrap().unwrap(), (1, delivery()));
        assert!(matches!(reader.next(), Some(Err(ReadError::Event { line: 2, .. }))));
        assert!(reader.next().is_none());
    }

    #[test]
    fn a_token_that_is_no_decimal_string_is_refused() {
        let mut writer = HistoryWriter::new(Vec::new());
        writer.write(&delivery()).unwrap();
        let text = String::from_utf8(writer.into_inner()).unwrap();
        for wrong in ["18446744073709551615", "\"1e3\"", "\"18446744073709551616\""] {
            let text = text.replace("\"18446744073709551615\"", wrong);
            let read: Result<Vec<_>, _> = HistoryReader::new(text.as_bytes()).collect();
            assert!(matches!(read, Err(ReadError::Event { line: 1, .. })), "{wrong}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_bound() {
        let text = vec![b' '; LINE_BYTES_MAX + 1];
        let read: Result<Vec<_>, _> = HistoryReader::new(text.as_slice()).collect();
        assert!(matches!(read, Err(ReadError::TooLong { line: 1 })));
    }
}
