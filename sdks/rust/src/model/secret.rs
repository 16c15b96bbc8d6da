//! Signing secrets of a group: what is listed, and the one answer that shows a secret.

use std::fmt;

use serde::Deserialize;

/// A signing secret that is there. The secret itself is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningSecret {
    /// Names it.
    pub id: String,
    /// When it was made.
    pub created_at: String,
}

/// The secrets of a group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningSecretList {
    /// The oldest first.
    pub signing_secrets: Vec<SigningSecret>,
}

/// A signing secret that was just made. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSigningSecret {
    /// Names it.
    pub id: String,
    /// `whsec_` and base64, as libraries for Standard Webhooks take it.
    pub secret: String,
    /// When it was made.
    pub created_at: String,
}

impl fmt::Debug for NewSigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, secret: _, created_at } = self;
        let mut shown = f.debug_struct("NewSigningSecret");
        shown.field("id", id).field("created_at", created_at).finish_non_exhaustive()
    }
}
