//! `timerctl`: the command line client. It uses the Rust SDK only, so that it can do nothing that a user's
//! program can't do as well.

mod args;
mod clock;
mod commands;
mod duration;
mod failure;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use args::Args;
use failure::Exit;
use output::Output;

#[tokio::main]
async fn main() -> ExitCode {
    // Ends by itself with code 2 when the arguments are wrong, and with 0 for --help and --version.
    let args = Args::parse();
    let mut output = Output::to_stdout(args.global.output);
    let exit = match commands::run(args, &mut output).await {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    };
    ExitCode::from(exit.code())
}
