//! Signing secrets on disk and on the wire. What prints a message there does not print the secret in it.

use std::fmt;

use bytes::Bytes;
use timer_core::command::AddSigningSecret;
use timer_core::ids::Sequence;
use timer_core::limits::SECRET_BYTES;
use timer_core::secret::{SecretBytes, SigningSecret};
use timer_core::time::Millis;

use crate::error::{DecodeError, narrow};
use crate::wire::store as wire;

impl From<&SigningSecret> for wire::SigningSecret {
    fn from(secret: &SigningSecret) -> Self {
        Self { id: secret.id.0, secret: to_wire(secret.secret), created_at_ms: secret.created_at.0 }
    }
}

impl TryFrom<wire::SigningSecret> for SigningSecret {
    type Error = DecodeError;

    fn try_from(wire: wire::SigningSecret) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Sequence(wire.id),
            secret: from_wire(&wire.secret, "SigningSecret")?,
            created_at: Millis(wire.created_at_ms),
        })
    }
}

impl From<&AddSigningSecret> for wire::AddSigningSecret {
    fn from(add: &AddSigningSecret) -> Self {
        Self { group: add.group.clone(), secret: to_wire(add.secret), shards: add.shards.into() }
    }
}

impl TryFrom<wire::AddSigningSecret> for AddSigningSecret {
    type Error = DecodeError;

    fn try_from(wire: wire::AddSigningSecret) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "AddSigningSecret";
        Ok(Self {
            secret: from_wire(&wire.secret, MESSAGE)?,
            shards: narrow(wire.shards, MESSAGE, "shards")?,
            group: wire.group,
        })
    }
}

fn to_wire(secret: SecretBytes) -> Bytes {
    Bytes::copy_from_slice(secret.expose())
}

fn from_wire(bytes: &Bytes, message: &'static str) -> Result<SecretBytes, DecodeError> {
    let fault =
        || DecodeError::Length { message, field: "secret", length: bytes.len(), expected: SECRET_BYTES };
    bytes.as_ref().try_into().map(SecretBytes::new).map_err(|_| fault())
}

impl fmt::Debug for wire::SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, secret: _, created_at_ms } = self;
        let mut shown = f.debug_struct("SigningSecret");
        shown.field("id", id).field("created_at_ms", created_at_ms).finish_non_exhaustive()
    }
}

impl fmt::Debug for wire::AddSigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, secret: _, shards } = self;
        let mut shown = f.debug_struct("AddSigningSecret");
        shown.field("group", group).field("shards", shards).finish_non_exhaustive()
    }
}
