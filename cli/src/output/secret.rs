//! Signing secrets for people.

use durable_timer::{NewSigningSecret, SigningSecret};

use super::table::{pairs, rows};

/// A secret that was made, and what to do with it.
pub fn text(group: &str, made: &NewSigningSecret, replayed: bool) -> String {
    let by = if replayed { " (by an earlier request with this key)" } else { "" };
    let values = pairs(&[("id", Some(made.id.clone())), ("secret", Some(made.secret.clone()))]);
    format!(
        "made a signing secret of group {group}{by}\n{values}Give it to the receivers now: it is not shown again.\n"
    )
}

/// One line a secret.
pub fn list(secrets: &[SigningSecret]) -> String {
    let line = |secret: &SigningSecret| vec![secret.id.clone(), secret.created_at.clone()];
    rows(&["ID", "CREATED"], &secrets.iter().map(line).collect::<Vec<_>>())
}
