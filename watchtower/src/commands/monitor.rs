//! `watchtower monitor`: an independent watch until it is told to stop.

use tokio::task::JoinSet;

use crate::cli::MonitorArgs;
use crate::config::Config;
use crate::error::CommandError;
use crate::monitor::{self, MonitorError, Options};
use crate::{tasks, telemetry};

pub(crate) fn execute(config: &Config, arguments: &MonitorArgs) -> Result<(), CommandError> {
    config.validate()?;
    telemetry::start(&config.log)?;
    let options = Options { towers: arguments.tower.clone(), webhook: arguments.webhook.clone() };
    super::runtime()?.block_on(until_told(config, &options))
}

async fn until_told(config: &Config, options: &Options) -> Result<(), CommandError> {
    let mut watchers = JoinSet::new();
    let mut signals = tasks::signals(&mut watchers).map_err(|source| CommandError::System {
        what: "cannot listen for signals".to_owned(),
        source,
    })?;
    match monitor::run(config, options, &mut signals).await {
        Ok(()) => Ok(()),
        Err(MonitorError::Start(error)) => Err(error.into()),
        Err(MonitorError::Task(error)) => Err(error.into()),
    }
}
