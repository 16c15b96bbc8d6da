//! Log lines, on stderr. JSON: one object a line with `ts`, `level`, `target`, `message`, then the event's fields
//! and those of the spans around it side by side, so that one can search by `shard` or `request_id` whatever the
//! span. An event's own field wins over a span's, an inner span's over an outer's.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, JsonFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt as subscriber_fmt};

use crate::config::settings::{LogFormat, LogSettings};
use crate::environment::{Clock as _, SystemClock};
use crate::rfc3339;

/// Bytes of one field of a line; the rest is cut off.
const FIELD_BYTES_MAX: usize = 8 * 1024;
/// Names that a line has anyway: a field of the same name gets an underscore.
const OWN_NAMES: [&str; 3] = ["ts", "level", "target"];

/// Makes every event of the process go to stderr from now on.
///
/// # Errors
/// One line: the filter can't be read, or a subscriber is there already.
pub fn init(settings: &LogSettings) -> Result<(), String> {
    let subscriber = subscriber(settings, std::io::stderr, std::io::stderr().is_terminal())?;
    subscriber.try_init().map_err(|error| error.to_string())
}

fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
    colours: bool,
) -> Result<Box<dyn Subscriber + Send + Sync>, String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&settings.filter)
        .map_err(|error| format!("log.filter = {:?}: {error}", settings.filter))?;
    let builder = subscriber_fmt().with_env_filter(filter).with_writer(writer);
    Ok(match settings.format {
        LogFormat::Text => Box::new(builder.with_timer(WallClock).with_ansi(colours).finish()),
        LogFormat::Json => {
            Box::new(builder.with_ansi(false).fmt_fields(JsonFields::new()).event_format(JsonLines).finish())
        }
    })
}

/// The time of a line: the machine's, even when timers run on a manual clock.
struct WallClock;

impl FormatTime for WallClock {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        w.write_str(&rfc3339::format(SystemClock.now()))
    }
}

struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut w: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let text = extensions.get::<FormattedFields<N>>().map(|f| f.fields.as_str()).unwrap_or_default();
            if let Ok(Value::Object(of_span)) = serde_json::from_str(text) {
                fields.extend(of_span);
            }
        }
        // A span may have a field called message; the line's message is the event's.
        fields.remove("message");
        event.record(&mut Collect(&mut fields));
        let message = fields.remove("message").unwrap_or_else(|| Value::String(String::new()));
        let metadata = event.metadata();
        write!(
            w,
            "{{\"ts\":\"{}\",\"level\":\"{}\",\"target\":{},\"message\":{message}",
            rfc3339::format(SystemClock.now()),
            metadata.level().as_str().to_ascii_lowercase(),
            Value::from(metadata.target()),
        )?;
        for (name, value) in fields {
            let underscore = if OWN_NAMES.contains(&name.as_str()) { "_" } else { "" };
            write!(w, ",{}:{value}", Value::from(format!("{name}{underscore}")))?;
        }
        w.write_str("}\n")
    }
}

/// Collects an event's fields.
struct Collect<'a>(&'a mut Map<String, Value>);

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().trim_start_matches("r#").to_owned(), value);
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        let end = text.floor_char_boundary(FIELD_BYTES_MAX);
        let cut = if end < text.len() { "…" } else { "" };
        self.put(field, Value::String(format!("{}{cut}", &text[..end])));
    }
}

impl Visit for Collect<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let _infallible = write!(text, ": {cause}");
            source = cause.source();
        }
        self.put_text(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
