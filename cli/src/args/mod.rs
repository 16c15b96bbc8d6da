//! The command line's grammar. Deliberately absent: what the commands do ([`crate::commands`]).

mod definition;
mod group;
mod listen;
mod secret;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};

pub use definition::DefinitionArgs;
pub use group::{GroupArgs, GroupCommand, GroupConditionArgs, GroupSettingArgs};
pub use listen::ListenArgs;
pub use secret::{SecretCommand, SecretCreateArgs, SecretDeleteArgs, SecretListArgs};

use crate::duration;

const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  it failed otherwise
  2  the arguments are wrong
  3  there is no such timer, group or signing secret
  4  the timer's state or version does not allow it
  5  no node answered in time; when a change may have taken effect all the same, that is said
  6  the server refused the input";

/// Creates, shows and changes durable timers.
#[derive(Debug, Parser)]
#[command(name = "timerctl", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
pub struct GlobalArgs {
    /// A node, as a URL; repeat it for several, of which the next is tried when one does not answer
    #[arg(
        long,
        env = "TIMERCTL_ENDPOINT",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        value_delimiter = ',',
        global = true,
        help_heading = "For every command"
    )]
    pub endpoint: Vec<String>,
    /// The bearer token, if the server wants one
    #[arg(
        long,
        env = "TIMERCTL_TOKEN",
        hide_env_values = true,
        global = true,
        help_heading = "For every command"
    )]
    pub token: Option<String>,
    /// A PEM file of certificate authorities to trust for https, beside those of the system
    #[arg(
        long,
        env = "TIMERCTL_CA_FILE",
        value_name = "FILE",
        global = true,
        help_heading = "For every command"
    )]
    pub ca_file: Option<PathBuf>,
    /// For people, or for scripts: the server's own JSON
    #[arg(
        long,
        env = "TIMERCTL_OUTPUT",
        value_enum,
        default_value = "human",
        global = true,
        help_heading = "For every command"
    )]
    pub output: Format,
    /// The longest to wait for an answer, repeats included
    #[arg(long, env = "TIMERCTL_TIMEOUT", value_parser = duration::parse, default_value = "30s", global = true,
        help_heading = "For every command")]
    pub timeout: Duration,
    /// The timers' group
    #[arg(
        long,
        env = "TIMERCTL_GROUP",
        default_value = "default",
        global = true,
        help_heading = "For every command"
    )]
    pub group: String,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned text.
    Human,
    /// JSON.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a timer
    ///
    /// The same timer again changes nothing; another one under an id that is taken is refused, unless
    /// --replace is given.
    Create(Box<CreateArgs>),
    /// Show a timer, pending or finished
    Get(GetArgs),
    /// Show what came of a timer's last 20 attempts, newest first
    Attempts(AttemptsArgs),
    /// List timers, by id or by time
    ///
    /// By id unless --after, --before or --order-by says otherwise; without --state all but cancelled ones.
    List(ListArgs),
    /// Change some of a pending timer
    Update(Box<UpdateArgs>),
    /// Cancel a timer, or erase a finished one
    Delete(DeleteArgs),
    /// Deliver a pending timer now
    Fire(ChangeArgs),
    /// Give a dead timer a new life
    Redrive(ChangeArgs),
    /// Do many operations: one JSON object a line, from a file or the standard input
    ///
    /// Each line is an operation as `BatchOperation` in api.yaml describes it:
    /// {"op":"put","id":"a","delay":"1h","callbackUrl":"https://…"}. Each succeeds or fails alone; what fails is printed,
    /// and what no leader could do is tried again until --timeout.
    #[command(verbatim_doc_comment)]
    Batch(BatchArgs),
    /// Make, show, change and delete groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// Look at the cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Receive callbacks, print them, and answer as told
    Listen(ListenArgs),
    /// Look at timerctl's own settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// `timerctl create`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("when").args(["at", "in"]).required(true)))]
pub struct CreateArgs {
    /// The timer's id; without it one is made
    pub id: Option<String>,
    /// Replace the timer of this id if there is one
    #[arg(long, requires = "id")]
    pub replace: bool,
    /// Refuse even the same timer if the id is taken
    #[arg(long)]
    pub if_none_match: bool,
    #[command(flatten)]
    pub definition: DefinitionArgs,
    #[command(flatten)]
    pub conditions: ConditionArgs,
}

/// `timerctl get`.
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// The timer's id
    pub id: String,
    /// Show the values of callback headers
    #[arg(long)]
    pub reveal: bool,
}

/// `timerctl attempts`.
#[derive(Debug, clap::Args)]
pub struct AttemptsArgs {
    /// The timer's id
    pub id: String,
}

/// `timerctl list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only in these states; repeat it, or put commas between them
    #[arg(long, value_enum, value_delimiter = ',')]
    pub state: Vec<StateArg>,
    /// Only ids that begin so
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["after", "before"])]
    pub id_prefix: Option<String>,
    /// Only timers for this time or later, as RFC 3339
    #[arg(long, value_name = "TIME")]
    pub after: Option<String>,
    /// Only timers for before this time, as RFC 3339
    #[arg(long, value_name = "TIME")]
    pub before: Option<String>,
    /// By what they are ordered
    #[arg(long, value_enum)]
    pub order_by: Option<OrderArg>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all",
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// All that there are, page by page
    #[arg(long)]
    pub all: bool,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// Show the values of callback headers, with --output json
    #[arg(long)]
    pub reveal: bool,
}

/// Where a timer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateArg {
    /// Waits for its time.
    Scheduled,
    /// Waits for its next attempt.
    Retrying,
    /// A receiver took it.
    Delivered,
    /// No receiver took it and no attempt is left.
    Dead,
    /// Its time had passed by more than the grace window.
    Skipped,
    /// A user cancelled it.
    Cancelled,
}

/// By what timers are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    /// The id, by its bytes.
    Id,
    /// The time.
    Time,
}

/// `timerctl update`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("when").args(["at", "in"])))]
pub struct UpdateArgs {
    /// The timer's id
    pub id: String,
    #[command(flatten)]
    pub definition: DefinitionArgs,
    /// Remove this callback header; repeatable
    #[arg(long, value_name = "NAME")]
    pub remove_header: Vec<String>,
    /// Remove this label; repeatable
    #[arg(long, value_name = "KEY")]
    pub remove_label: Vec<String>,
    /// Remove the payload
    #[arg(long, conflicts_with_all = ["payload", "content_type"])]
    pub remove_payload: bool,
    #[command(flatten)]
    pub conditions: ConditionArgs,
}

/// `timerctl delete`.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The timer's id
    pub id: String,
    /// Erase a finished timer instead of cancelling a pending one
    #[arg(long)]
    pub purge: bool,
    #[command(flatten)]
    pub conditions: ConditionArgs,
}

/// `timerctl fire` and `redrive`.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// The timer's id
    pub id: String,
    #[command(flatten)]
    pub conditions: ConditionArgs,
}

/// `timerctl batch`.
#[derive(Debug, clap::Args)]
pub struct BatchArgs {
    /// The file, or - for the standard input
    pub file: PathBuf,
    /// Operations in one request
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub at_once: u16,
    /// Names the whole, so that repeating the command with the same file has no second effect; without it one is made
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// What must hold for a change.
#[derive(Debug, clap::Args)]
pub struct ConditionArgs {
    /// Only if the timer is at this version
    #[arg(long, value_name = "VERSION", help_heading = "Conditions")]
    pub if_match: Option<u64>,
    /// Only if this generation is in force
    #[arg(long, value_name = "GENERATION", help_heading = "Conditions")]
    pub if_generation: Option<u64>,
    /// Only if no attempt is or may be on its way
    #[arg(long, help_heading = "Conditions")]
    pub refuse_in_flight: bool,
    /// Names the change, so that repeating the command has no second effect; without it one is made
    #[arg(long, value_name = "KEY", help_heading = "Conditions")]
    pub idempotency_key: Option<String>,
}

/// `timerctl cluster`.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Nodes, shards and their leaders, as one node sees them
    Status,
}

/// `timerctl config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check timerctl's own settings: each endpoint's answer, version, cluster and clock
    ///
    /// Not a server's settings file: `timerd config check FILE` does that.
    Check,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_does_not_contradict_itself() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_timer_has_one_time() {
        let parse = |more: &[&str]| {
            let base = ["timerctl", "create", "a", "--url", "http://h/"];
            Args::try_parse_from(base.iter().chain(more)).is_ok()
        };
        assert!(parse(&["--in", "5s"]) && parse(&["--at", "2031-01-01T00:00:00Z"]));
        assert!(!parse(&[]) && !parse(&["--in", "5s", "--at", "2031-01-01T00:00:00Z"]));
    }
}
