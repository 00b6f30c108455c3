//! The `watchtower` binary: reads the command line, runs the command, says why it failed.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use watchtower::cli::Cli;

fn main() -> ExitCode {
    match watchtower::commands::execute(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is gone too.
            let _ = writeln!(std::io::stderr(), "{}", watchtower::error::chain_of(&error));
            ExitCode::from(error.exit_code())
        }
    }
}
