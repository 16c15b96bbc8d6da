//! `timerctl get`.

use durable_timer::CallOptions;

use super::{client, name};
use crate::args::{GetArgs, GlobalArgs};
use crate::failure::Failure;
use crate::output::Output;

pub async fn run(global: &GlobalArgs, args: GetArgs, output: &mut Output) -> Result<(), Failure> {
    let options = CallOptions { reveal: args.reveal, ..CallOptions::default() };
    let answer = client(global)?.get(&name(global, args.id), &options).await?;
    output.timer("", &answer)
}
