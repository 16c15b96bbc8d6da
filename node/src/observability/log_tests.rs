//! Log lines as a log collector reads them.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: LogFormat, filter: &str, events: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let settings = LogSettings { format, filter: filter.into() };
    let subscriber = subscriber(&settings, move || writer.clone(), false).unwrap();
    tracing::subscriber::with_default(subscriber, events);
    let bytes = lines.0.lock().clone();
    String::from_utf8(bytes).unwrap()
}

fn one_json(events: impl FnOnce()) -> Value {
    let text = logged(LogFormat::Json, "info", events);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_line_is_one_json_object_with_its_time_first() {
    let text = logged(LogFormat::Json, "info", || tracing::warn!(shard = 3, "lost the lead"));
    assert!(text.starts_with("{\"ts\":\"20") && text.ends_with("}\n"), "{text}");
    let line: Value = serde_json::from_str(&text).unwrap();
    let ts = line["ts"].as_str().unwrap();
    assert!(time::OffsetDateTime::parse(ts, &time::format_description::well_known::Rfc3339).is_ok());
    assert_eq!((ts.len(), ts.as_bytes()[19]), (24, b'.'));
    assert_eq!(line["level"], "warn");
    assert_eq!(line["message"], "lost the lead");
    assert_eq!(line["shard"], 3);
    assert!(line["target"].as_str().unwrap().contains("observability::log"));
}

#[test]
fn fields_of_spans_stand_beside_the_events_own_and_give_way_to_them() {
    let line = one_json(|| {
        let outer = tracing::info_span!("request", request_id = "r-1", shard = 1, node = "n1");
        let _outer = outer.enter();
        let inner = tracing::info_span!("propose", shard = 2, message = "not the line's");
        let _inner = inner.enter();
        tracing::info!(node = "n2", "done");
    });
    assert_eq!(line["request_id"], "r-1");
    assert_eq!(line["shard"], 2);
    assert_eq!(line["node"], "n2");
    assert_eq!(line["message"], "done");
}

#[test]
fn a_field_recorded_later_is_there_too() {
    let line = one_json(|| {
        let span = tracing::info_span!("request", shard = tracing::field::Empty);
        span.record("shard", 7);
        span.in_scope(|| tracing::info!("done"));
    });
    assert_eq!(line["shard"], 7);
}

#[test]
fn no_text_breaks_a_line_or_takes_a_name_of_ours() {
    let line = one_json(|| tracing::info!(level = "mine", ts = 1, "two\nlines and a \"quote\""));
    assert_eq!(line["message"], "two\nlines and a \"quote\"");
    assert_eq!(line["level"], "info");
    assert_eq!(line["level_"], "mine");
    assert_eq!(line["ts_"], 1);
}

#[test]
fn a_long_field_is_cut_at_a_character() {
    let long = "é".repeat(FIELD_BYTES_MAX);
    let line = one_json(|| tracing::info!(long, "x"));
    let kept = line["long"].as_str().unwrap();
    assert_eq!(kept.len(), FIELD_BYTES_MAX + "…".len());
    assert!(kept.ends_with("é…"));
}

#[test]
fn an_error_is_written_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("can't open the log")]
    struct Outer(#[source] io::Error);
    let error = Outer(io::Error::other("disk gone"));
    let line = one_json(|| tracing::error!(error = &error as &(dyn std::error::Error + 'static), "stop"));
    assert_eq!(line["error"], "can't open the log: disk gone");
}

#[test]
fn the_filter_decides_and_a_bad_one_is_refused() {
    let events = || {
        tracing::debug!(target: "node::delivery", "in");
        tracing::debug!(target: "node::http", "out");
    };
    let text = logged(LogFormat::Text, "info,node::delivery=debug", events);
    assert!(text.contains("in") && !text.contains("out"), "{text}");
    assert!(text.contains("DEBUG node::delivery: in"), "{text}");
    let bad = LogSettings { format: LogFormat::Text, filter: "node=loudest".into() };
    let error = subscriber(&bad, io::sink, false).err().unwrap();
    assert!(error.contains("log.filter") && error.contains("loudest"), "{error}");
}
