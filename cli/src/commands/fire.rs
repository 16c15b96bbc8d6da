//! `timerctl fire`: delivers now.

use super::{client, name, options, settled};
use crate::args::{ChangeArgs, GlobalArgs};
use crate::failure::Failure;
use crate::output::Output;

pub async fn run(global: &GlobalArgs, args: ChangeArgs, output: &mut Output) -> Result<(), Failure> {
    let client = client(global)?;
    let options = options(args.conditions)?;
    let answer = settled(client.fire(&name(global, args.id), &options).await, &options)?;
    output.timer("due now", &answer)
}
