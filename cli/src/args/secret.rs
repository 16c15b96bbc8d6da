//! `timerctl group secret`.

use clap::Subcommand;

/// What to do with the secrets that a group's callbacks are signed with.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Make a secret and print it, this once; all callbacks of the group are signed with it from now on
    Create(SecretCreateArgs),
    /// List what the group signs with, by id; the secrets are not shown
    List(SecretListArgs),
    /// Sign with a secret no more
    Delete(SecretDeleteArgs),
}

/// `timerctl group secret create`.
#[derive(Debug, clap::Args)]
pub struct SecretCreateArgs {
    /// The group's name
    pub name: String,
    /// Names the change: the command with the same key shows the same secret again, and makes no other
    #[arg(long, value_name = "KEY", help_heading = "Conditions")]
    pub idempotency_key: Option<String>,
}

/// `timerctl group secret list`.
#[derive(Debug, clap::Args)]
pub struct SecretListArgs {
    /// The group's name
    pub name: String,
}

/// `timerctl group secret delete`.
#[derive(Debug, clap::Args)]
pub struct SecretDeleteArgs {
    /// The group's name
    pub name: String,
    /// The secret's id
    pub id: String,
    /// Names the change, so that repeating the command has no second effect; without it one is made
    #[arg(long, value_name = "KEY", help_heading = "Conditions")]
    pub idempotency_key: Option<String>,
}
