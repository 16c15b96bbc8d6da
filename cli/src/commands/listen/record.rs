//! One request as it was received, and what it was answered.

use durable_timer::receiver::{CallbackHeaders, HeaderFault};
use time::OffsetDateTime;

use crate::clock;

/// A request.
#[derive(Debug)]
pub struct Record {
    /// When its headers were there.
    pub received_at: OffsetDateTime,
    /// What its headers say, or why they are not those of a callback.
    pub callback: Result<CallbackHeaders, HeaderFault>,
    /// Its method and path.
    pub request: String,
    /// Its body.
    pub body: Vec<u8>,
    /// The status of the answer.
    pub answered: u16,
}

impl Record {
    /// How much later than `Timer-Scheduled-At` it came, by this machine's clock, in ms.
    pub fn lateness_ms(&self) -> Option<i64> {
        let callback = self.callback.as_ref().ok()?;
        let scheduled_at = clock::parse(&callback.scheduled_at)?;
        Some(clock::millis_between(scheduled_at, self.received_at))
    }

    /// The payload: the member of an envelope, or the whole body.
    pub fn payload(&self) -> Option<serde_json::Value> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        let is_envelope = body.get("generation").is_some() && body.get("attempt").is_some();
        if !is_envelope {
            return Some(body);
        }
        body.get("payload").or_else(|| body.get("payloadBase64")).cloned()
    }
}
