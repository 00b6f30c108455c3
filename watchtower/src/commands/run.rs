//! `watchtower run`: a tower until it is told to stop.

use chain::account::Account;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::error::CommandError;
use crate::keys::{Password, open_account};
use crate::service::Tower;
use crate::{tasks, telemetry};

pub(crate) fn execute(config: &Config) -> Result<(), CommandError> {
    config.validate()?;
    telemetry::start(&config.log)?;
    let password = Password::find(config.account.password_file.as_deref())?;
    let account = open_account(&config.keystore_path(), &password)?;
    drop(password);
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(until_told(config, account));
    // A circuit that is still being built is not waited for; it is built again at the next start.
    runtime.shutdown_background();
    outcome
}

async fn until_told(config: &Config, account: Account) -> Result<(), CommandError> {
    let mut watchers = JoinSet::new();
    let mut signals = tasks::signals(&mut watchers).map_err(|source| CommandError::System {
        what: "cannot listen for signals".to_owned(),
        source,
    })?;
    let tower = tokio::select! {
        tower = Tower::start(config, account) => tower?,
        // Told to stop before everything was up: nothing was begun.
        _ = signals.recv() => return Ok(()),
    };
    tower.run(&mut signals).await?;
    Ok(())
}
