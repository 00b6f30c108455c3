//! `watchtower devnet`: the embedded settlement layer in the foreground, with the contracts if asked.

use std::time::Duration;

use alloy_primitives::U256;
use chain::account::Account;
use chain::calls::{Erc20, Vip};
use chain::deploy::Deployment;
use chain::devnet::{DevAccount, Devnet, DevnetConfig, MNEMONIC, Mining};
use chain::provider::{Endpoint, Rpc};
use chain::sender::Sender;
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
    let (host, port) = (arguments.host, arguments.port);
    let allow_remote = !host.is_loopback();
    let config = DevnetConfig { host, port, mining, allow_remote, ..DevnetConfig::default() };
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
        let deployment = bring(rpc.clone(), account, &plan, file).await?;
        tell(&deployment, file)?;
        if arguments.endow > 0 {
            endow(&rpc, devnet.accounts(), &deployment, arguments.endow).await?;
        }
    }
    say("Ctrl-C stops it; the chain is kept in memory alone.")?;
    let _ = signals.recv().await;
    devnet.shutdown().await;
    Ok(())
}

/// Gives every account tokens, and the operator's pool ten times as many.
async fn endow(
    rpc: &Rpc,
    accounts: &[DevAccount],
    deployment: &Deployment,
    units: u64,
) -> Result<(), CommandError> {
    let (Some(token), Some(vip)) = (&deployment.token, &deployment.vip) else { return Ok(()) };
    let [deployer, .., operator] = accounts else {
        return Err(DeploymentError::NoAccounts.into());
    };
    let sender = |of: &DevAccount| -> Result<Sender, CommandError> {
        let account = Account::from_bytes(&of.private_key.0).map_err(DeploymentError::from)?;
        let patience = Duration::from_secs(60);
        Ok(Sender { rpc: rpc.clone(), account, chain_id: deployment.chain_id, patience })
    };
    let (token, pool) = (Erc20::new(token.address), Vip::new(vip.address));
    let (each, whole) = (U256::from(units), U256::from(units) * U256::from(10));
    let minter = sender(deployer)?;
    let sent = |error: chain::sender::SendError| CommandError::Node(error.to_string());
    for account in accounts {
        minter.send(&token.mint(account.address, each)).await.map_err(sent)?;
    }
    minter.send(&token.mint(operator.address, whole)).await.map_err(sent)?;
    let filler = sender(operator)?;
    filler.send(&token.approve(pool.address, whole)).await.map_err(sent)?;
    filler.send(&pool.deposit(whole, operator.address)).await.map_err(sent)?;
    say(format_args!("endowed  every account with {units} base units, the pool with {whole}"))
}
