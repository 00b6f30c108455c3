//! `watchtower deploy`: the contracts onto a chain, read back, and written into a deployment file.
//!
//! What is there already, with the right code, is not deployed again: a run that was interrupted goes on, and a second one
//! only checks.
//!
//! **Invariant:** the file is written last, whole, and only after everything was read back from the chain. One that is there
//! is never lost: the file of another chain is refused, that of another vault is kept beside the new one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chain::account::Account;
use chain::artifact::Artifact;
use chain::deploy::{
    Asset, ChainKind, Deployment, Done, Earlier, FileError, Plan, Progress, Site, Terms,
    deploy_telling,
};
use chain::provider::{Endpoint, Rpc};
use chain::sender::Sender;
use protocol::{Address, Amount};

use crate::cli::DeployArgs;
use crate::commands::{runtime, say};
use crate::config::Config;
use crate::error::{CommandError, DeploymentError};
use crate::keys::{Password, open_account};
use crate::telemetry;

/// The window of a dispute on a development chain, in seconds.
pub(crate) const DEVELOPMENT_WINDOW_S: u64 = 120;

/// How long to wait for each transaction.
const PATIENCE: Duration = Duration::from_secs(180);

/// The allocation ratio of a development pool.
const ALLOC_RATIO: u16 = 10;

pub(crate) fn execute(config: &Config, arguments: &DeployArgs) -> Result<(), CommandError> {
    telemetry::start(&config.log)?;
    let earlier = earlier(&arguments.out)?;
    let plan = plan(arguments, earlier.as_ref())?;
    let password = Password::find(config.account.password_file.as_deref())?;
    let account = open_account(&config.keystore_path(), &password)?;
    drop(password);
    let endpoint = Endpoint::new(config.chain.rpc.as_str());
    runtime()?.block_on(async {
        let rpc = Rpc::connect(&endpoint).await.map_err(DeploymentError::from)?;
        let found = rpc.chain_id().await.map_err(DeploymentError::from)?;
        for expected in config.chain.chain_id.into_iter().chain(earlier.map(|file| file.chain_id)) {
            if expected != found {
                return Err(DeploymentError::OtherChain { expected, found }.into());
            }
        }
        say(format_args!("chain {found}, from account {}", account.address()))?;
        let deployment = bring(rpc, account, &plan, &arguments.out).await?;
        tell(&deployment, &arguments.out)?;
        say(format_args!("next: watchtower run --deployment {}", arguments.out.display()))
    })
}

/// The deployment file that is there, if one is.
fn earlier(out: &Path) -> Result<Option<Deployment>, DeploymentError> {
    match Deployment::load(out) {
        Ok(file) => Ok(Some(file)),
        Err(FileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DeploymentError::NotOurs(error)),
    }
}

/// Deploys and writes the file.
pub(crate) async fn bring(
    rpc: Rpc,
    account: Account,
    plan: &Plan,
    out: &Path,
) -> Result<Deployment, CommandError> {
    let chain_id = rpc.chain_id().await.map_err(DeploymentError::from)?;
    let sender = Sender { rpc, account, chain_id, patience: PATIENCE };
    let mut lines = |progress: Progress| {
        // Progress is for people: a closed pipe is no reason to stop half way.
        let _ = say(words(&progress));
    };
    let deployment =
        deploy_telling(&sender, plan, &mut lines).await.map_err(DeploymentError::from)?;
    if let Some(kept) = keep(out, &deployment)? {
        say(format_args!("the earlier file, of another vault, is kept as {}", kept.display()))?;
    }
    deployment.save(out).map_err(DeploymentError::from)?;
    Ok(deployment)
}

/// Moves the file of another vault aside. One of the same vault is overwritten with what was just read back.
fn keep(out: &Path, deployment: &Deployment) -> Result<Option<PathBuf>, DeploymentError> {
    let Some(file) = earlier(out)? else { return Ok(None) };
    if file.vipe.address == deployment.vipe.address {
        return Ok(None);
    }
    let name = format!("{}.{}", out.display(), file.vipe.address);
    let kept = PathBuf::from(name);
    std::fs::rename(out, &kept).map_err(|source| FileError::Io { path: out.to_owned(), source })?;
    Ok(Some(kept))
}

fn words(progress: &Progress) -> String {
    let Progress { what, address, done } = progress;
    match done {
        Done::Found => format!("{what} is at {address} already"),
        Done::Created { block, gas } => format!("{what}: {address}, block {block}, {gas} gas"),
        Done::Awaited { count } => format!("{what}: {count} under way, waiting for them"),
    }
}

/// What was deployed, for people.
pub(crate) fn tell(deployment: &Deployment, out: &Path) -> Result<(), CommandError> {
    let checked = deployment.contracts().len();
    say(format_args!(
        "read back: the code of {checked} contracts, and the vault's rules, domain and caps"
    ))?;
    say(format_args!("vault    {}", deployment.vipe.address))?;
    say(format_args!("verifier {}", deployment.verifier.address))?;
    if let Some(token) = &deployment.token {
        say(format_args!("asset    {}", token.address))?;
    }
    if let Some(vip) = &deployment.vip {
        say(format_args!("pool     {}", vip.address))?;
    }
    say(format_args!("file     {}", out.display()))
}

/// A plan for a development chain: short windows, an asset that is worth nothing.
pub(crate) fn development(
    verifier: Artifact,
    window_s: u64,
    operator: Option<Address>,
) -> Result<Plan, CommandError> {
    Ok(Plan {
        site: Site::default(),
        chain: ChainKind::Development,
        terms: Terms {
            dispute_window_s: window_s,
            response_extension_s: (window_s / 4).max(1),
            max_extension_s: window_s,
            ..Terms::L1
        },
        asset: Asset::Development {
            name: "Development Dollar".to_owned(),
            symbol: "DUSD".to_owned(),
            decimals: 6,
        },
        per_channel: units(1_000_000_000_000)?,
        total: units(1_000_000_000_000_000)?,
        verifier,
        operator: operator.map(|operator| (operator, ALLOC_RATIO)),
    })
}

fn units(value: u128) -> Result<Amount, CommandError> {
    Ok(Amount::try_from(value).map_err(DeploymentError::from)?)
}

/// The compiled verifier that this program's proofs are made for.
pub(crate) fn verifier() -> Result<Artifact, CommandError> {
    Ok(Artifact::verifier().map_err(DeploymentError::from)?)
}

fn plan(arguments: &DeployArgs, earlier: Option<&Deployment>) -> Result<Plan, CommandError> {
    let verifier = verifier()?;
    let DeployArgs { salt, factory, start_block, .. } = *arguments;
    let earlier = earlier.map(Earlier::from);
    let site = Site { salt, factory, start_block, earlier, resume: true };
    let (chain, mut terms) = match arguments.kind {
        crate::cli::Kind::L1 => (ChainKind::L1, Terms::L1),
        crate::cli::Kind::L2 => {
            let forced_inclusion_s = arguments.forced_inclusion_s;
            (ChainKind::L2 { forced_inclusion_s }, Terms::L2)
        }
        crate::cli::Kind::Development => {
            let window_s = arguments.window_s.unwrap_or(DEVELOPMENT_WINDOW_S);
            return Ok(Plan { site, ..development(verifier, window_s, arguments.operator)? });
        }
    };
    terms.dispute_window_s = arguments.window_s.unwrap_or(terms.dispute_window_s);
    let asset = arguments.asset.ok_or(DeploymentError::NoAsset)?;
    Ok(Plan {
        site,
        chain,
        terms,
        asset: Asset::Existing(asset),
        per_channel: units(arguments.cap_per_channel)?,
        total: units(arguments.cap_total)?,
        verifier,
        operator: arguments.operator.map(|operator| (operator, ALLOC_RATIO)),
    })
}
