//! The commands, one a file, and what they share: a client, and the conditions of a change.

mod attempts;
mod batch;
mod cluster;
pub mod config;
mod create;
mod delete;
mod fire;
mod get;
mod group;
mod list;
pub mod listen;
mod redrive;
mod secret;
mod update;

use durable_timer::{Answer, CallOptions, Client, Error, RetrySettings, Timer, TimerName};

use crate::args::{Args, ClusterCommand, Command, ConditionArgs, ConfigCommand, GlobalArgs};
use crate::failure::Failure;
use crate::output::Output;

/// Does what `args` say.
pub async fn run(args: Args, output: &mut Output) -> Result<(), Failure> {
    let global = args.global;
    match args.command {
        Command::Create(args) => create::run(&global, *args, output).await,
        Command::Get(args) => get::run(&global, args, output).await,
        Command::Attempts(args) => attempts::run(&global, args, output).await,
        Command::List(args) => list::run(&global, args, output).await,
        Command::Update(args) => update::run(&global, *args, output).await,
        Command::Delete(args) => delete::run(&global, args, output).await,
        Command::Fire(args) => fire::run(&global, args, output).await,
        Command::Redrive(args) => redrive::run(&global, args, output).await,
        Command::Batch(args) => batch::run(&global, args, output).await,
        Command::Group(command) => group::run(&global, command, output).await,
        Command::Cluster(ClusterCommand::Status) => cluster::status(&global, output).await,
        Command::Config(ConfigCommand::Check) => config::check(&global, output).await,
        Command::Listen(args) => listen::run(args, output).await,
    }
}

/// A client of all endpoints.
fn client(global: &GlobalArgs) -> Result<Client, Failure> {
    client_of(
        global,
        &global.endpoint,
        RetrySettings { total_max: global.timeout, ..RetrySettings::default() },
    )
}

fn client_of(global: &GlobalArgs, endpoints: &[String], retry: RetrySettings) -> Result<Client, Failure> {
    let mut builder = Client::builder().retry(retry);
    for endpoint in endpoints {
        builder = builder.endpoint(endpoint);
    }
    if let Some(token) = &global.token {
        builder = builder.token(token);
    }
    if let Some(file) = &global.ca_file {
        builder = builder.ca_file(file);
    }
    Ok(builder.build()?)
}

fn name(global: &GlobalArgs, id: String) -> TimerName {
    TimerName::new(global.group.clone(), id)
}

/// What goes along with a change, with a key that can be told to whoever has to repeat it.
fn options(conditions: ConditionArgs) -> Result<CallOptions, Failure> {
    let mut options = CallOptions {
        idempotency_key: conditions.idempotency_key,
        if_version: conditions.if_match,
        if_generation: conditions.if_generation,
        refuse_in_flight: conditions.refuse_in_flight,
        ..CallOptions::default()
    };
    options.mint_key()?;
    Ok(options)
}

/// The answer of a change, or what to do about it.
fn settled(result: Result<Answer<Timer>, Error>, options: &CallOptions) -> Result<Answer<Timer>, Failure> {
    let key = options.idempotency_key.as_deref().unwrap_or_default();
    result.map_err(|error| Failure::from(error).with_key(key))
}
