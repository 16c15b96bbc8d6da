//! `timerctl cluster status`.

use super::client;
use crate::args::GlobalArgs;
use crate::failure::Failure;
use crate::output::Output;

pub async fn status(global: &GlobalArgs, output: &mut Output) -> Result<(), Failure> {
    let answer = client(global)?.cluster().await?;
    output.cluster(&answer)
}
