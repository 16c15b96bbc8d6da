//! What to send: `payload`, or `payloadBase64` with `contentType`. The bytes of a JSON payload are kept
//! exactly as they came.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use timer_core::definition::Payload;
use timer_core::limits::PAYLOAD_BYTES_MAX;

use super::Shape;
use super::faults::{Breaks, Fault};
use super::reader::{Null, Reader};
use super::values;
use crate::http::limits::CONTENT_TYPE_BYTES_MAX;
use crate::payload_depth::{PAYLOAD_DEPTH_MAX, depth};

/// Reads the three fields. `None`: none of them was sent. By merge patch a null takes the payload away; in a
/// whole definition `"payload": null` is the JSON value null.
pub fn read(reader: &mut Reader<'_, '_>, shape: Shape) -> Option<Payload> {
    let null_json = match shape {
        Shape::Whole => Null::IsAValue,
        Shape::Patch => Null::Means(Payload::None),
    };
    let null_binary = match shape {
        Shape::Whole => Null::Refused,
        Shape::Patch => Null::Means(None),
    };
    let had_json = reader.has("payload");
    let had_binary = reader.has("payloadBase64");
    let had_type = reader.has("contentType");
    let json = reader.value("payload", null_json, json_payload);
    let binary = reader.value("payloadBase64", null_binary, |raw| base64_bytes(raw).map(Some));
    let content_type = reader.value("contentType", Null::Refused, content_type);
    if had_json && had_binary {
        reader.fault("payloadBase64", Fault::schema("must not stand beside payload"));
        return None;
    }
    if had_type && !matches!(binary, Some(Some(_))) {
        if !had_binary || binary.is_some() {
            reader.fault("contentType", Fault::schema("must stand beside payloadBase64"));
        }
        return None;
    }
    match binary {
        Some(Some(_)) if !had_type => {
            reader.fault("contentType", Fault::schema("is needed beside payloadBase64"));
            None
        }
        Some(Some(bytes)) => {
            content_type.map(|content_type| Payload::Binary { bytes: bytes.into(), content_type })
        }
        Some(None) => Some(Payload::None),
        None => json,
    }
}

fn json_payload(raw: &RawValue) -> Result<Payload, Fault> {
    let text = raw.get();
    fits(text.len())?;
    if depth(text) > PAYLOAD_DEPTH_MAX {
        return Err(Fault::limit(format!("must not nest deeper than {PAYLOAD_DEPTH_MAX} levels")));
    }
    Ok(Payload::Json(text.as_bytes().into()))
}

fn base64_bytes(raw: &RawValue) -> Result<Vec<u8>, Fault> {
    let text = values::string(raw)?;
    let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| Fault::schema("must be padded base64"))?;
    fits(bytes.len())?;
    Ok(bytes)
}

fn fits(bytes: usize) -> Result<(), Fault> {
    if bytes <= PAYLOAD_BYTES_MAX {
        return Ok(());
    }
    let message = format!("must not have more than {PAYLOAD_BYTES_MAX} bytes, has {bytes}");
    Err(Fault { breaks: Breaks::PayloadSize, message })
}

fn content_type(raw: &RawValue) -> Result<String, Fault> {
    let text = values::string(raw)?;
    if text.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(Fault::limit(format!("must not be longer than {CONTENT_TYPE_BYTES_MAX} bytes")));
    }
    let essence = text.split(';').next().unwrap_or_default();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let is_type = essence.trim_end().split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if is_type && printable { Ok(text.into_owned()) } else { Err(Fault::schema("must be a media type")) }
}
