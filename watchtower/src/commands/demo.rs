//! `watchtower demo`: tells the story, and exits with 0 only if it ended as it must.

use crate::commands::runtime;
use crate::config::{Config, LogConfig};
use crate::demo::{DemoArgs, run};
use crate::error::CommandError;
use crate::telemetry;

/// What is logged beside the timeline unless something else was asked for.
const QUIET: &str = "warn";

pub(crate) fn execute(config: &Config, arguments: &DemoArgs) -> Result<(), CommandError> {
    let mut log = config.log.clone();
    if log.filter == LogConfig::default().filter {
        QUIET.clone_into(&mut log.filter);
    }
    telemetry::start(&log)?;
    let runtime = runtime()?;
    let told = runtime.block_on(async {
        tokio::select! {
            told = run(arguments) => told,
            // The tower is a child that dies with us; the temporary folder is removed.
            _ = tokio::signal::ctrl_c() => Err(eyre::eyre!("stopped by Ctrl-C")),
        }
    });
    runtime.shutdown_background();
    match told {
        Ok(true) => Ok(()),
        Ok(false) => Err(CommandError::BadEnd),
        Err(error) => Err(CommandError::Story(error)),
    }
}
