//! `timerctl group secret`.

use durable_timer::{CallOptions, Client};

use crate::args::{SecretCommand, SecretCreateArgs, SecretDeleteArgs, SecretListArgs};
use crate::failure::Failure;
use crate::output::Output;

pub async fn run(client: &Client, command: SecretCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        SecretCommand::Create(SecretCreateArgs { name, idempotency_key }) => {
            let options = options(idempotency_key)?;
            let made = client.create_signing_secret(&name, &options).await;
            output.secret(&name, &made.map_err(|error| keyed(error, &options))?)
        }
        SecretCommand::List(SecretListArgs { name }) => {
            output.secrets(&client.signing_secrets(&name, &CallOptions::default()).await?)
        }
        SecretCommand::Delete(SecretDeleteArgs { name, id, idempotency_key }) => {
            let options = options(idempotency_key)?;
            let deleted = client.delete_signing_secret(&name, &id, &options).await;
            deleted.map_err(|error| keyed(error, &options))?;
            output.secret_deleted(&name, &id)
        }
    }
}

fn options(idempotency_key: Option<String>) -> Result<CallOptions, Failure> {
    let mut options = CallOptions { idempotency_key, ..CallOptions::default() };
    options.mint_key()?;
    Ok(options)
}

fn keyed(error: durable_timer::Error, options: &CallOptions) -> Failure {
    Failure::from(error).with_key(options.idempotency_key.as_deref().unwrap_or_default())
}
