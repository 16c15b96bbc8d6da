//! `timerd`: the command line of the server.

mod command_line;

use std::process::ExitCode;

use clap::Parser as _;
use command_line::{Cli, Command, ConfigCommand};

/// RocksDB and many small requests fragment glibc's heap, and its locks show in profiles.
#[cfg(feature = "rocksdb")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Dev(arguments) => command_line::dev::run(&arguments),
        Command::Serve(arguments) => command_line::serve::run(&arguments),
        Command::Config { command } => {
            let environment = command_line::environment();
            let output = match command {
                ConfigCommand::Check(files) => node::config::check(&files.config, &environment, &[]),
                ConfigCommand::Show(files) => node::config::show(&files.config, &environment, &[]),
            };
            command_line::print(&output)
        }
    }
}
