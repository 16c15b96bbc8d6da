//! `timerctl group`.

use durable_timer::{CallOptions, GroupInput};

use super::{client, secret};
use crate::args::{GlobalArgs, GroupArgs, GroupCommand, GroupConditionArgs, GroupSettingArgs};
use crate::failure::Failure;
use crate::output::Output;

/// Groups in one request.
const AT_ONCE: u16 = 1_000;

pub async fn run(global: &GlobalArgs, command: GroupCommand, output: &mut Output) -> Result<(), Failure> {
    let client = client(global)?;
    match command {
        GroupCommand::Create(args) => {
            let mut options = options(args.conditions)?;
            options.if_absent = true;
            let made = client.put_group(&args.name, &input(args.settings), &options).await;
            output.group("created", &made.map_err(|error| keyed(error, &options))?)
        }
        GroupCommand::Update(args) => {
            let options = options(args.conditions)?;
            let changed = client.patch_group(&args.name, &input(args.settings), &options).await;
            output.group("updated", &changed.map_err(|error| keyed(error, &options))?)
        }
        GroupCommand::Get(GroupArgs { name }) => {
            output.group("", &client.group(&name, &CallOptions::default()).await?)
        }
        GroupCommand::Delete(args) => {
            let options = options(args.conditions)?;
            client.delete_group(&args.name, &options).await.map_err(|error| keyed(error, &options))?;
            output.group_deleted(&args.name)
        }
        GroupCommand::Secret(command) => secret::run(&client, command, output).await,
        GroupCommand::List => {
            let (mut cursor, mut is_first) = (None::<String>, true);
            loop {
                let page = client.groups(AT_ONCE, cursor.as_deref()).await?;
                output.groups(&page, is_first)?;
                is_first = false;
                cursor = page.value.next_cursor;
                if cursor.is_none() {
                    return Ok(());
                }
            }
        }
    }
}

fn options(conditions: GroupConditionArgs) -> Result<CallOptions, Failure> {
    let mut options = CallOptions {
        idempotency_key: conditions.idempotency_key,
        if_version: conditions.if_match,
        ..CallOptions::default()
    };
    options.mint_key()?;
    Ok(options)
}

fn keyed(error: durable_timer::Error, options: &CallOptions) -> Failure {
    Failure::from(error).with_key(options.idempotency_key.as_deref().unwrap_or_default())
}

fn input(settings: GroupSettingArgs) -> GroupInput {
    GroupInput {
        shards: settings.shards,
        retention: settings.retention,
        dead_retention: settings.dead_retention,
        retain_payload: settings.retain_payload,
        max_horizon: settings.max_horizon,
        max_pending: if settings.no_max_pending { Some(None) } else { settings.max_pending.map(Some) },
    }
}
