//! What a run did, as one stream of lines with virtual times, hashed as it goes: two runs are equal if their
//! hashes are. Kept in a file only when asked for. Also hears of the sessions that leaders open, which no poll
//! could see all of.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry};

use crate::receiver::nanos;

/// A leader that opened its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Office {
    /// The shard.
    pub shard: u64,
    /// The Raft term.
    pub term: u64,
    /// The session.
    pub session: u64,
    /// Nanoseconds since the run began.
    pub at_ns: u64,
    /// The node.
    pub node: u32,
}

/// The trace of a run. Clones share it.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    hash: Sha256,
    lines: u64,
    file: Option<BufWriter<File>>,
    offices: Vec<Office>,
    /// When the present step began: the time of the driver.
    step: Duration,
}

/// Where turmoil's span around a host's turn comes from; a filter must let it through.
const TURMOIL: &str = "turmoil::sim";

struct HostNumber(u32);

/// Writes an event's fields in their order.
struct Fields<'a> {
    line: &'a mut String,
    message: Option<String>,
    office: Office,
}

impl Trace {
    /// A trace, kept in `file` if there is one.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn new(file: Option<&Path>) -> std::io::Result<Self> {
        let file = file.map(File::create).transpose()?.map(BufWriter::new);
        let inner = Inner { hash: Sha256::new(), lines: 0, file, offices: Vec::new(), step: Duration::ZERO };
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// Listens to this thread's events that `filter` lets through, until the guard is dropped. The filter must
    /// let through `turmoil::sim=info` and `node::shard::leadership=info`.
    pub fn listen(&self, filter: &str) -> tracing::subscriber::DefaultGuard {
        let subscriber = Registry::default().with(EnvFilter::new(filter)).with(self.clone());
        tracing::subscriber::set_default(subscriber)
    }

    /// It is the driver's turn, at this time.
    pub fn driver(&self, elapsed: Duration) {
        set_host(0);
        self.0.lock().step = elapsed;
    }

    /// The sessions that were opened since the last call.
    #[must_use]
    pub fn take_offices(&self) -> Vec<Office> {
        std::mem::take(&mut self.0.lock().offices)
    }

    /// How many lines there were, and their hash.
    #[must_use]
    pub fn finish(&self) -> (u64, String) {
        let mut inner = self.0.lock();
        if let Some(file) = &mut inner.file {
            let _ = file.flush();
        }
        let digest = inner.hash.clone().finalize();
        let hex = digest.iter().take(16).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        (inner.lines, hex)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() == TURMOIL {
            let mut name = HostName(None);
            attributes.record(&mut name);
            if let (Some(span), Some(number)) = (context.span(id), name.0) {
                span.extensions_mut().insert(HostNumber(number));
            }
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let span = context.span(id);
        let number = span.and_then(|span| span.extensions().get::<HostNumber>().map(|host| host.0));
        if let Some(number) = number {
            set_host(number);
        }
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let at_ns = nanos(turmoil::sim_elapsed().unwrap_or_else(|| self.0.lock().step));
        let metadata = event.metadata();
        let host = host();
        let mut line = String::new();
        let _ =
            write!(line, "{:>12.6} {host:>3} {} {}", at_ns as f64 / 1e9, metadata.level(), metadata.target());
        let mut fields = Fields { line: &mut line, message: None, office: Office::default() };
        event.record(&mut fields);
        let (message, office) = (fields.message.take(), fields.office);
        let _ = writeln!(line, " {}", message.as_deref().unwrap_or_default());
        let mut inner = self.0.lock();
        if message.as_deref() == Some("took office") {
            inner.offices.push(Office { at_ns, node: host, ..office });
        }
        inner.lines += 1;
        inner.hash.update(line.as_bytes());
        if let Some(file) = &mut inner.file {
            let _ = file.write_all(line.as_bytes());
        }
    }
}

thread_local! {
    /// The host that runs now, see [`number_of`]; 0: the driver.
    static HOST: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

fn host() -> u32 {
    HOST.with(std::cell::Cell::get)
}

/// Says which host runs from now on.
fn set_host(number: u32) {
    HOST.with(|host| host.set(number));
}

/// Finds the host's name in the span that turmoil opens around each turn of a host.
struct HostName(Option<u32>);

impl Visit for HostName {
    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "name" {
            self.0 = Some(number_of(value));
        }
    }
}

/// Nodes are `n1`…, receivers `r1`… and clients `c1`…; a hundred apart.
fn number_of(name: &str) -> u32 {
    let base = match name.as_bytes().first() {
        Some(b'n') => 0,
        Some(b'r') => 100,
        _ => 200,
    };
    base + name.get(1..).and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = Some(format!("{value:?}"));
        } else {
            let _ = write!(self.line, " {}={value:?}", field.name());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "shard" => self.office.shard = value,
            "term" => self.office.term = value,
            "session" => self.office.session = value,
            _ => {}
        }
        self.record_debug(field, &value);
    }
}
