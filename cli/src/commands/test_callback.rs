//! `timerctl test-callback`.

use durable_timer::{AttemptOutcome, CallOptions};

use super::client;
use crate::args::{GlobalArgs, TestCallbackArgs};
use crate::failure::{Exit, Failure};
use crate::output::Output;

pub async fn run(global: &GlobalArgs, args: TestCallbackArgs, output: &mut Output) -> Result<(), Failure> {
    let input = args.definition.input(None)?;
    let answer = client(global)?.test_callback(&global.group, &input, &CallOptions::default()).await?;
    output.tested_callback(&answer)?;
    match answer.value.outcome {
        AttemptOutcome::Failed => Err(Failure::new(Exit::Failed, "the callback failed")),
        AttemptOutcome::Delivered
        | AttemptOutcome::Deferred
        | AttemptOutcome::Skipped
        | AttemptOutcome::Unknown => Ok(()),
    }
}
