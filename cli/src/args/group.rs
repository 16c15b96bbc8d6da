//! `timerctl group`.

use clap::Subcommand;

use super::secret::SecretCommand;

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a group; refused if there is one of this name
    Create(GroupChangeArgs),
    /// Show a group's settings
    Get(GroupArgs),
    /// List groups by name
    List,
    /// Change some of a group's settings
    Update(GroupChangeArgs),
    /// Delete a group that holds no timers
    Delete(GroupDeleteArgs),
    /// Make, list and delete the secrets that a group's callbacks are signed with
    #[command(subcommand)]
    Secret(SecretCommand),
}

/// `timerctl group get`.
#[derive(Debug, clap::Args)]
pub struct GroupArgs {
    /// The group's name
    pub name: String,
}

/// `timerctl group create` and `update`.
#[derive(Debug, clap::Args)]
pub struct GroupChangeArgs {
    /// The group's name: a-z, 0-9, '_' and '-'
    pub name: String,
    #[command(flatten)]
    pub settings: GroupSettingArgs,
    #[command(flatten)]
    pub conditions: GroupConditionArgs,
}

/// `timerctl group delete`.
#[derive(Debug, clap::Args)]
pub struct GroupDeleteArgs {
    /// The group's name
    pub name: String,
    #[command(flatten)]
    pub conditions: GroupConditionArgs,
}

/// A group's settings. What is not given stays, or has its default in a new group.
#[derive(Debug, clap::Args)]
pub struct GroupSettingArgs {
    /// Over how many of the cluster's shards its timers are spread; fixed when the group is made
    #[arg(long, value_name = "N")]
    pub shards: Option<u16>,
    /// How long a delivered, skipped or cancelled timer is kept, e.g. 7d
    #[arg(long, value_name = "DURATION")]
    pub retention: Option<String>,
    /// How long a dead timer is kept
    #[arg(long, value_name = "DURATION")]
    pub dead_retention: Option<String>,
    /// Whether a timer that is kept for --retention keeps its payload
    #[arg(long, value_name = "BOOL")]
    pub retain_payload: Option<bool>,
    /// How far ahead a timer may lie
    #[arg(long, value_name = "DURATION")]
    pub max_horizon: Option<String>,
    /// How many timers may be pending
    #[arg(long, value_name = "N", conflicts_with = "no_max_pending")]
    pub max_pending: Option<u64>,
    /// No bound on what is pending
    #[arg(long)]
    pub no_max_pending: bool,
}

/// What must hold for a change of a group.
#[derive(Debug, clap::Args)]
pub struct GroupConditionArgs {
    /// Only if the group is at this version
    #[arg(long, value_name = "VERSION", help_heading = "Conditions")]
    pub if_match: Option<u64>,
    /// Names the change, so that repeating the command has no second effect; without it one is made
    #[arg(long, value_name = "KEY", help_heading = "Conditions")]
    pub idempotency_key: Option<String>,
}
