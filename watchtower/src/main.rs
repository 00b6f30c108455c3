//! The `watchtower` binary: reads the command line, runs the command, says why it failed.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use watchtower::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match watchtower::commands::execute(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let words = watchtower::error::chain_of(&error);
            // For whoever asked for JSON, errors are JSON, too.
            let text = if std::env::args_os().any(|one| one == "--json") {
                let code = error.exit_code();
                serde_json::json!({"error": {"code": code, "message": words}}).to_string()
            } else {
                words
            };
            // Nobody is left to tell when standard error is gone too.
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::from(error.exit_code())
        }
    }
}
