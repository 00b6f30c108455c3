//! `watchtower devnet`: the embedded settlement layer in the foreground, with the contracts if asked.

use chain::account::Account;
use chain::devnet::{Devnet, DevnetConfig, MNEMONIC, Mining};
use chain::provider::{Endpoint, Rpc};
use tokio::task::JoinSet;

use super::deploy::{bring, development, tell, verifier};
use crate::cli::DevnetArgs;
use crate::commands::{runtime, say};
use crate::config::Config;
use crate::error::{CommandError, DeploymentError};
use crate::{tasks, telemetry};

pub(crate) fn execute(config: &Config, arguments: &DevnetArgs) -> Result<(), CommandError> {
    telemetry::start(&config.log)?;
    runtime()?.block_on(run(arguments))
}

async fn run(arguments: &DevnetArgs) -> Result<(), CommandError> {
    let mut watchers = JoinSet::new();
    let mut signals = tasks::signals(&mut watchers).map_err(|source| CommandError::System {
        what: "cannot listen for signals".to_owned(),
        source,
    })?;
    let mining = Mining::Every { millis: arguments.block_ms };
    let config = DevnetConfig { port: arguments.port, mining, ..DevnetConfig::default() };
    let devnet = Devnet::start(config).await.map_err(DeploymentError::from)?;
    say(format_args!("rpc      {}", devnet.http_url()))?;
    say(format_args!("         {}", devnet.ws_url()))?;
    say(format_args!("chain    {}", devnet.chain_id()))?;
    say(format_args!(
        "accounts of the public mnemonic \"{MNEMONIC}\" (never send them anything of value):"
    ))?;
    for account in devnet.accounts() {
        say(format_args!("  {}  {}", account.address, account.private_key))?;
    }
    if let Some(file) = &arguments.deploy {
        let [deployer, .., operator] = devnet.accounts() else {
            return Err(DeploymentError::NoAccounts.into());
        };
        let plan = development(verifier()?, arguments.window_s, Some(operator.address))?;
        let rpc =
            Rpc::connect(&Endpoint::new(devnet.http_url())).await.map_err(DeploymentError::from)?;
        let account =
            Account::from_bytes(&deployer.private_key.0).map_err(DeploymentError::from)?;
        let deployment = bring(rpc, account, &plan, file).await?;
        tell(&deployment, file)?;
    }
    say("Ctrl-C stops it; the chain is kept in memory alone.")?;
    let _ = signals.recv().await;
    devnet.shutdown().await;
    Ok(())
}
