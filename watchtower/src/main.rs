//! The `watchtower` binary: reads the command line, runs the command, says why it failed.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use watchtower::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Err(error) = watchtower::dumps::forbid() {
        let told = "warning: the kernel may write keys into a core dump of this process";
        let _ = writeln!(std::io::stderr(), "{told}: {error}");
    }
    match watchtower::commands::execute(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let words = watchtower::error::chain_of(&error);
            // For whoever asked for JSON, errors are JSON, too.
            let text = if std::env::args_os().any(|one| one == "--json") {
                let (code, message) = (error.exit_code(), words.trim_start_matches("error: "));
                serde_json::json!({"error": {"code": code, "message": message}}).to_string()
            } else {
                words
            };
            // Nobody is left to tell when standard error is gone too.
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::from(error.exit_code())
        }
    }
}
