//! The operations on the secrets that a group's callbacks are signed with.

use http::Method;

use super::{Answer, CallOptions, Client};
use crate::error::Error;
use crate::model::secret::{NewSigningSecret, SigningSecretList};
use crate::path::{signing_secret_path, signing_secrets_path};

impl Client {
    /// Makes a signing secret of a group; answered when every callback of the group is signed with it too. No other call shows
    /// the secret again, but this one with the same [`CallOptions::idempotency_key`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_signing_secret(
        &self,
        group: &str,
        options: &CallOptions,
    ) -> Result<Answer<NewSigningSecret>, Error> {
        self.change(Method::POST, signing_secrets_path(group), None::<&()>, options).await
    }

    /// Which secrets a group's callbacks are signed with, the oldest first; not the secrets themselves.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn signing_secrets(
        &self,
        group: &str,
        options: &CallOptions,
    ) -> Result<Answer<SigningSecretList>, Error> {
        self.read(signing_secrets_path(group), options).await
    }

    /// Deletes a signing secret; answered when no shard signs with it any more.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_signing_secret(
        &self,
        group: &str,
        id: &str,
        options: &CallOptions,
    ) -> Result<Answer<()>, Error> {
        let call = Self::change_call(Method::DELETE, signing_secret_path(group, id), None::<&()>, options)?;
        let reply = self.core.run(&call).await?;
        Ok(Self::answer_of(reply, ()))
    }
}
