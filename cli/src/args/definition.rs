//! The options that describe a timer, and what they come to for a create and for an update.

use std::collections::BTreeMap;
use std::io::Read as _;

use clap::ValueEnum;
use durable_timer::model::input::RetryPolicyInput;
use durable_timer::model::timer::DeadOn;
use durable_timer::{RetryPolicyPatch, TimerInput, TimerPatch};
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};

/// Bytes that are read of a payload: more than the server takes, so that it is the one to say so.
const PAYLOAD_READ_BYTES_MAX: u64 = 4 << 20;

/// What a timer is.
#[derive(Debug, clap::Args)]
pub struct DefinitionArgs {
    /// When to call: RFC 3339 with an offset, as in 2026-12-01T09:00:00+01:00
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// How long from now, as in 30s or 1h30m
    #[arg(long = "in", id = "in", value_name = "DURATION")]
    pub after: Option<String>,
    /// Whom to call
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// What to send: JSON, @FILE, or - for the standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub payload: Option<String>,
    /// The payload is bytes of this media type, not JSON
    #[arg(long, value_name = "TYPE", requires = "payload")]
    pub content_type: Option<String>,
    /// A header of the callback; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = |text: &str| pair(text, ':'))]
    pub header: Vec<(String, String)>,
    /// A mark of your own; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = |text: &str| pair(text, '='))]
    pub label: Vec<(String, String)>,
    /// POST (if not given), PUT, PATCH, GET or DELETE
    #[arg(long, value_parser = ["POST", "PUT", "PATCH", "GET", "DELETE"], ignore_case = true)]
    pub method: Option<String>,
    /// The longest an attempt may take, 1s to 300s [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub callback_timeout: Option<String>,
    /// What the callback's body is [default: envelope]
    #[arg(long, value_enum)]
    pub body: Option<BodyArg>,
    /// Do not call when it is later than this
    #[arg(long, value_name = "DURATION")]
    pub skip_if_late: Option<String>,
    /// Attempts in all, 1 to 100 [default: 10]
    #[arg(long, value_name = "N", help_heading = "Retries")]
    pub max_attempts: Option<u32>,
    /// No attempt later than this after the first [default: 24h]
    #[arg(long, value_name = "DURATION", help_heading = "Retries")]
    pub max_duration: Option<String>,
    /// The wait after the first failed attempt [default: 1s]
    #[arg(long, value_name = "DURATION", help_heading = "Retries")]
    pub initial_interval: Option<String>,
    /// How much longer each wait is than the one before [default: 2]
    #[arg(long, value_name = "FACTOR", help_heading = "Retries")]
    pub backoff_multiplier: Option<f64>,
    /// The longest wait [default: 1h]
    #[arg(long, value_name = "DURATION", help_heading = "Retries")]
    pub max_interval: Option<String>,
    /// The share of a wait that is taken off at random, 0 to 1 [default: 0.2]
    #[arg(long, value_name = "SHARE", help_heading = "Retries")]
    pub jitter: Option<f64>,
    /// Status codes that end it at once, as in 400,410, or 4xx [default: 400,405,410,413,414,415,422]
    #[arg(long, value_name = "CODES", value_parser = dead_on, help_heading = "Retries")]
    pub dead_on: Option<DeadOn>,
}

/// What the callback's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BodyArg {
    /// A JSON object that names the timer and holds the payload.
    Envelope,
    /// The payload's exact bytes.
    Payload,
}

impl BodyArg {
    fn name(self) -> String {
        match self {
            Self::Envelope => "envelope".to_owned(),
            Self::Payload => "payload".to_owned(),
        }
    }
}

/// A payload as it was given.
enum Payload {
    Json(Box<RawValue>),
    Bytes(Vec<u8>, String),
}

impl DefinitionArgs {
    /// A whole definition.
    pub fn input(self, id: Option<String>) -> Result<TimerInput, Failure> {
        let payload = self.read_payload()?;
        let retry = RetryPolicyInput {
            max_attempts: self.max_attempts,
            max_duration: self.max_duration,
            initial_interval: self.initial_interval,
            backoff_multiplier: self.backoff_multiplier,
            max_interval: self.max_interval,
            jitter: self.jitter,
            dead_on: self.dead_on,
        };
        let url = self.url.ok_or_else(|| Failure::new(Exit::Usage, "--url is needed: whom to call"))?;
        let input = TimerInput {
            id,
            execute_at: self.at,
            delay: self.after,
            callback_url: url,
            callback_method: self.method.map(|method| method.to_uppercase()),
            callback_headers: unique("--header", self.header)?,
            callback_timeout: self.callback_timeout,
            callback_body: self.body.map(BodyArg::name),
            retry_policy: (retry != RetryPolicyInput::default()).then_some(retry),
            late_policy: self.skip_if_late.as_ref().map(|_| "skip".to_owned()),
            grace_window: self.skip_if_late,
            labels: unique("--label", self.label)?,
            ..TimerInput::default()
        };
        Ok(match payload {
            None => input,
            Some(Payload::Json(json)) => TimerInput { payload: Some(json), ..input },
            Some(Payload::Bytes(bytes, content_type)) => input.binary_payload(&bytes, content_type),
        })
    }

    /// A change: what was not given stays.
    pub fn patch(self) -> Result<TimerPatch, Failure> {
        // The SDK knows how bytes become base64, and an input has the same fields.
        let as_input = match self.read_payload()? {
            None => TimerInput::default(),
            Some(Payload::Json(json)) => TimerInput { payload: Some(json), ..TimerInput::default() },
            Some(Payload::Bytes(bytes, kind)) => TimerInput::default().binary_payload(&bytes, kind),
        };
        let retry = RetryPolicyPatch {
            max_attempts: self.max_attempts.map(Some),
            max_duration: self.max_duration.map(Some),
            initial_interval: self.initial_interval.map(Some),
            backoff_multiplier: self.backoff_multiplier.map(Some),
            max_interval: self.max_interval.map(Some),
            jitter: self.jitter.map(Some),
            dead_on: self.dead_on.map(Some),
        };
        Ok(TimerPatch {
            execute_at: self.at,
            delay: self.after,
            callback_url: self.url,
            callback_method: self.method.map(|method| Some(method.to_uppercase())),
            callback_headers: some_values(unique("--header", self.header)?),
            callback_timeout: self.callback_timeout.map(Some),
            callback_body: self.body.map(|body| Some(body.name())),
            payload: as_input.payload,
            payload_base64: as_input.payload_base64,
            content_type: as_input.content_type,
            retry_policy: (retry != RetryPolicyPatch::default()).then_some(Some(retry)),
            late_policy: self.skip_if_late.as_ref().map(|_| Some("skip".to_owned())),
            grace_window: self.skip_if_late,
            labels: some_values(unique("--label", self.label)?),
        })
    }

    fn read_payload(&self) -> Result<Option<Payload>, Failure> {
        let Some(text) = &self.payload else { return Ok(None) };
        let bytes = match text.strip_prefix('@') {
            Some(path) => {
                let file = std::fs::File::open(path);
                file.and_then(read).map_err(|error| Failure::new(Exit::Failed, format!("{path}: {error}")))?
            }
            None if text == "-" => read(std::io::stdin())?,
            None => text.as_bytes().to_vec(),
        };
        if let Some(content_type) = &self.content_type {
            return Ok(Some(Payload::Bytes(bytes, content_type.clone())));
        }
        let json = serde_json::from_slice::<Box<RawValue>>(&bytes).map_err(|error| {
            Failure::new(Exit::Refused, format!("the payload is not JSON: {error}"))
                .advise("a JSON string needs its quotes: --payload '\"text\"'")
                .advise("for other bytes name their media type: --content-type text/plain")
        })?;
        Ok(Some(Payload::Json(json)))
    }
}

fn read(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(PAYLOAD_READ_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn pair(text: &str, separator: char) -> Result<(String, String), String> {
    let (name, value) = text.split_once(separator).ok_or_else(|| format!("must be NAME{separator}VALUE"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// A map, unless a name is there twice: the last would win without a word.
fn unique(option: &str, pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Failure> {
    let mut map = BTreeMap::new();
    for (name, value) in pairs {
        if map.contains_key(&name) {
            return Err(Failure::new(Exit::Usage, format!("{option} {name} is given twice")));
        }
        map.insert(name, value);
    }
    Ok(map)
}

fn some_values(map: BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    map.into_iter().map(|(name, value)| (name, Some(value))).collect()
}

fn dead_on(text: &str) -> Result<DeadOn, String> {
    if text == "4xx" {
        return Ok(DeadOn::Class(text.to_owned()));
    }
    let codes = text.split(',').filter(|part| !part.is_empty()).map(|part| part.trim().parse::<u16>());
    codes
        .collect::<Result<_, _>>()
        .map(DeadOn::Codes)
        .map_err(|_| "must be status codes with commas, or 4xx".to_owned())
}
