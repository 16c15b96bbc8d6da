//! `timerctl attempts`.

use durable_timer::CallOptions;

use super::{client, name};
use crate::args::{AttemptsArgs, GlobalArgs};
use crate::failure::Failure;
use crate::output::Output;

pub async fn run(global: &GlobalArgs, args: AttemptsArgs, output: &mut Output) -> Result<(), Failure> {
    let answer = client(global)?.attempts(&name(global, args.id), &CallOptions::default()).await?;
    output.attempts(&answer)
}
