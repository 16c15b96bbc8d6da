//! `timerctl delete`: cancels, or with `--purge` erases.

use durable_timer::CallOptions;

use super::{client, name, options, settled};
use crate::args::{DeleteArgs, GlobalArgs};
use crate::failure::Failure;
use crate::output::Output;

pub async fn run(global: &GlobalArgs, args: DeleteArgs, output: &mut Output) -> Result<(), Failure> {
    let client = client(global)?;
    let options = CallOptions { purge: args.purge, ..options(args.conditions)? };
    let answer = settled(client.delete(&name(global, args.id), &options).await, &options)?;
    output.timer(if args.purge { "erased; this is what it was" } else { "cancelled" }, &answer)
}
