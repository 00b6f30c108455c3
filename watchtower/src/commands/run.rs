//! `watchtower run`: a tower, and where the configuration wants one a node beside it, until it is told to stop.

use chain::account::Account;
use tokio::task::JoinSet;

use crate::config::{Config, ConfigError};
use crate::error::CommandError;
use crate::keys::{Password, open_account};
use crate::service::Tower;
use crate::virtual_node::{Both, Plan};
use crate::{tasks, telemetry};

/// The mark of a data folder that was moved away (deploy/bin/data-folder).
const MOVED: &str = "MOVED";

pub(crate) fn execute(config: &Config) -> Result<(), CommandError> {
    config.validate()?;
    telemetry::start(&config.log)?;
    refuse_moved(config)?;
    if config.account.signer.is_some() {
        let reason =
            "is for nodes: a tower signs a receipt for each backup, so its key must be here";
        return Err(
            ConfigError::Invalid { key: "account.signer", reason: reason.to_owned() }.into()
        );
    }
    let password = Password::find(config.account.password_file.as_deref())?;
    let account = open_account(&config.keystore_path(), &password)?;
    let node = Plan::beside(config, &account, &password)?;
    drop(password);
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(until_told(config, account, node));
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

async fn until_told(
    config: &Config,
    account: Account,
    node: Option<Plan>,
) -> Result<(), CommandError> {
    let mut watchers = JoinSet::new();
    let mut signals = tasks::signals(&mut watchers).map_err(|source| CommandError::System {
        what: "cannot listen for signals".to_owned(),
        source,
    })?;
    let tower = tokio::select! {
        tower = Tower::start(config, account.clone()) => tower?,
        // Told to stop before everything was up: nothing was begun.
        _ = signals.recv() => return Ok(()),
    };
    let Some(node) = node else { return Ok(tower.run(&mut signals).await?) };
    Both { tower, config: config.clone(), account, node }.run(&mut signals).await
}
