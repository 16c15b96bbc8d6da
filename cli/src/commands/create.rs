//! `timerctl create`: POST, or with `--replace` PUT.

use durable_timer::CallOptions;

use super::{client, name, options, settled};
use crate::args::{CreateArgs, GlobalArgs};
use crate::failure::Failure;
use crate::output::Output;

pub async fn run(global: &GlobalArgs, args: CreateArgs, output: &mut Output) -> Result<(), Failure> {
    let client = client(global)?;
    let options = CallOptions { if_absent: args.if_none_match, ..options(args.conditions)? };
    let result = match args.id {
        Some(id) if args.replace => {
            let input = args.definition.input(None)?;
            client.put(&name(global, id), &input, &options).await
        }
        id => {
            let input = args.definition.input(id)?;
            client.create(&global.group, &input, &options).await
        }
    };
    let answer = settled(result, &options)?;
    let done = match (answer.created, args.replace) {
        (true, _) => "created",
        (false, true) => "in force (if it was the same before, nothing changed)",
        (false, false) => "unchanged: it was there already",
    };
    output.timer(done, &answer)
}
