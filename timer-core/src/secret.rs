//! Signing secrets of a group: what its callbacks are signed with. How they are signed, and how a secret is written for
//! people, is deliberately not here; neither is where its bytes come from, since apply has no randomness.

use core::fmt;

use crate::ids::Sequence;
use crate::limits::SECRET_BYTES;
use crate::time::Millis;

/// A secret of a group. While it is there, every callback of the group's timers has a signature made with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningSecret {
    /// Names it: the command of the meta shard that added it. Never used again.
    pub id: Sequence,
    /// What is signed with.
    pub secret: SecretBytes,
    /// When it was added.
    pub created_at: Millis,
}

/// The bytes of a secret. They are shown to nobody by accident: there is no `Display`, and `Debug` hides them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretBytes([u8; SECRET_BYTES]);

impl SecretBytes {
    /// A secret of these bytes, which are random.
    #[must_use]
    pub const fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for who signs, stores, or shows them once.
    #[must_use]
    pub const fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn what_is_written_about_a_secret_does_not_show_it() {
        let secret =
            SigningSecret { id: Sequence(7), secret: SecretBytes::new([0xab; 32]), created_at: Millis(9) };
        let text = format!("{secret:?} {:?}", secret.secret);
        assert!(text.contains("redacted") && !text.contains("171") && !text.contains("ab, "), "{text}");
    }
}
