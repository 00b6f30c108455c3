//! `watchtower run`: a tower until it is told to stop.

use chain::account::Account;
use tokio::task::JoinSet;

use crate::config::{Config, ConfigError};
use crate::error::CommandError;
use crate::keys::{Password, open_account};
use crate::service::Tower;
use crate::{tasks, telemetry};

/// The mark of a data folder that was moved away (deploy/bin/data-folder).
const MOVED: &str = "MOVED";

pub(crate) fn execute(config: &Config) -> Result<(), CommandError> {
    config.validate()?;
    telemetry::start(&config.log)?;
    refuse_moved(config)?;
    let password = Password::find(config.account.password_file.as_deref())?;
    let account = open_account(&config.keystore_path(), &password)?;
    drop(password);
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(until_told(config, account));
    // A circuit that is still being built is not waited for; it is built again at the next start.
    runtime.shutdown_background();
    outcome
}

/// A data folder that was packed for another machine is dead here: two towers with one account spoil each other's transactions.
fn refuse_moved(config: &Config) -> Result<(), CommandError> {
    let Ok(words) = std::fs::read_to_string(config.data_dir.join(MOVED)) else { return Ok(()) };
    let reason = format!("has the file {MOVED}, which says: {}", words.trim());
    Err(ConfigError::Invalid { key: "data_dir", reason }.into())
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
