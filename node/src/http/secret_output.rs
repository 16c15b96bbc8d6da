//! Signing secrets as the API shows them: the secret itself once, when it is made; later only that it is there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use timer_core::secret::{SecretBytes, SigningSecret};

use super::ids;
use crate::rfc3339;

/// What a secret begins with, by Standard Webhooks.
const PREFIX: &str = "whsec_";

/// A secret's members in their order on the wire. No `Debug`: it may hold the secret.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_debug_implementations, reason = "it may hold the secret")]
pub struct SecretBody {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    created_at: String,
}

/// `secret` for the wire, without what has to stay secret.
#[must_use]
pub fn listed(secret: &SigningSecret) -> SecretBody {
    SecretBody {
        id: ids::signing_secret_id(secret.id),
        secret: None,
        created_at: rfc3339::format(secret.created_at),
    }
}

/// `secret` for the wire, as who asked for it sees it once.
#[must_use]
pub fn made(secret: &SigningSecret) -> SecretBody {
    SecretBody { secret: Some(text(&secret.secret)), ..listed(secret) }
}

fn text(secret: &SecretBytes) -> String {
    format!("{PREFIX}{}", STANDARD.encode(secret.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_as_standard_webhooks_wants_it() {
        let text = text(&SecretBytes::new([0xfb; 32]));
        assert_eq!(text, "whsec_+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=");
    }
}
