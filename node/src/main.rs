//! `timerd`: the command line of the server.

mod command_line;

use std::process::ExitCode;

use clap::Parser as _;
use command_line::{Cli, Command, ConfigCommand};
use node::environment::{Clock as _, SystemClock};

/// RocksDB and many small requests fragment glibc's heap, and its locks show in profiles.
#[cfg(feature = "rocksdb")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Named in the environment, and in no release: see `timer_core::mutant`.
#[cfg(feature = "mutants")]
fn put_mutant_back() {
    use std::io::Write as _;
    let Some(name) = std::env::var_os("DURABLE_TIMER_MUTANT") else { return };
    let name = name.to_string_lossy();
    let said = match timer_core::mutant::Mutant::of_name(&name) {
        Some(mutant) => {
            mutant.put_back();
            format!("this build has a known bug on purpose: {name}")
        }
        None => format!("there is no mutant {name}"),
    };
    let _ = writeln!(std::io::stderr(), "{said}");
}

fn main() -> ExitCode {
    #[cfg(feature = "mutants")]
    put_mutant_back();
    match Cli::parse().command {
        Command::Dev(arguments) => command_line::dev::run(&arguments),
        Command::Serve(arguments) => command_line::serve::run(&arguments),
        Command::Check(arguments) => command_line::check::run(&arguments),
        Command::Config { command } => {
            let environment = command_line::environment();
            let output = match command {
                ConfigCommand::Check(files) => {
                    node::config::check(&files.config, &environment, &[], SystemClock.now())
                }
                ConfigCommand::Show(files) => node::config::show(&files.config, &environment, &[]),
            };
            command_line::print(&output)
        }
    }
}
