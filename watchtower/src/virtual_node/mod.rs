//! A virtual node of this program: by itself (`watchtower node run`, `watchtower hub run`) or beside a tower (`watchtower run`
//! with a section `[node]`). Builds a node's parts and names their tasks.
//!
//! ```text
//!   flags --+
//!           +--> Plan --> start: chain checked, store, node, API --> Tasks (stopped in order)
//!   [node] -+                     again after a failure, if it stands beside a tower (beside.rs)
//! ```
//!
//! **Invariant:** a node has a folder, an account and a seed of its own, also beside a tower.

mod beside;
mod plan;
mod secrets;

use std::fs::Permissions;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;

use chain::account::Account;
use chain::deploy::Deployment;
use chain::provider::Rpc;
use gossip::link::LinkConfig;
use node::api::Token;
use node::keys::Keys;
use node::{Node, Setup, Site};
use protocol::Role;
use protocol::vipe::Rules;
use store::{Facts, Store};
use tokio::net::TcpListener;

pub use beside::Both;
pub use plan::Plan;
pub(crate) use secrets::{API_ADDRESS, API_TOKEN, read_token};
use secrets::{seed, token, write_private};

use crate::config::{Config, WEI_PER_GWEI};
use crate::error::{CommandError, DeploymentError};
use crate::service::checks::check_chain;
use crate::service::settings::{following, submitter};
use crate::tasks::{Stage, Tasks};

/// The node's store in its folder.
const STORE: &str = "node.redb";
/// Peers of a hub at a time.
const PEERS_MAX: u32 = 16_384;

pub(crate) fn system(what: &str) -> impl FnOnce(std::io::Error) -> CommandError {
    let what = what.to_owned();
    move |source| CommandError::System { what, source }
}

/// Which asset and pool, from the deployment file and the plan.
fn site(config: &Config, facts: Facts, plan: &Plan, rules: &Rules) -> Result<Site, CommandError> {
    let deployment = match &config.chain.deployment {
        Some(path) => Some(Deployment::load(path).map_err(DeploymentError::from)?),
        None => None,
    };
    let listed = deployment.as_ref().and_then(|file| file.assets.first().map(|cap| cap.asset));
    let asset = plan.asset.or(listed).ok_or_else(|| {
        CommandError::Node("no asset: give --asset, or a deployment file that lists one".to_owned())
    })?;
    let pool = plan.vip.or_else(|| deployment.and_then(|file| file.vip.map(|vip| vip.address)));
    if plan.role == Role::Counterparty && pool.is_none() {
        return Err(CommandError::Node(
            "no pool: give --vip, or a deployment file that has one".to_owned(),
        ));
    }
    let vip = pool.filter(|_| plan.role == Role::Counterparty);
    let (chain_id, vipe, fee_floor) = (facts.chain_id, facts.vipe, rules.fee_floor);
    Ok(Site { chain_id, vipe, asset, vip, fee_floor, fee_gas: rules.fee_gas })
}

/// Builds everything and starts its tasks. The API answers when this returns.
///
/// # Errors
/// What keeps the node from starting; nothing keeps running then.
pub(crate) async fn start(config: &Config, plan: Plan) -> Result<Tasks, CommandError> {
    tracing::warn!(
        "nodes for users are new and not audited: for trials alone, not for money that matters"
    );
    let seed = seed(config, &plan.folder, (&plan.account, plan.seed_from_account)).await?;
    let keys = Keys::new(plan.account.clone(), &seed, plan.role)
        .map_err(|error| CommandError::Node(error.to_string()))?;
    if let Err(error) = plan.account.probe().await {
        // What needs a signature waits for it; everything else goes on.
        tracing::error!(%error, "the account's signer is not there yet");
    }
    let checked = check_chain(config, keys.account.address()).await?;
    let account = keys.account.address();
    let facts = Facts { chain_id: checked.vault.chain_id, vipe: checked.vault.vipe, account };
    let site = site(config, facts, &plan, &checked.rules)?;
    let store = Store::open(plan.folder.join(STORE), facts)?;
    // Payments and signed states are nobody else's business, whatever the folder's permissions.
    std::fs::set_permissions(plan.folder.join(STORE), Permissions::from_mode(0o600))
        .map_err(system("cannot protect the store"))?;
    let setup = setup(config, (&plan, site), (keys, store.clone(), checked.rpc)).await?;
    let node = Node::start(setup).await.map_err(|error| CommandError::Node(error.to_string()))?;
    let listener = node::api::listen(plan.api)
        .await
        .map_err(system("cannot listen for the API: choose another address (--api, node.api)"))?;
    let address = listener.local_addr().map_err(system("the listener has no address"))?;
    let token = token(&plan.folder)?;
    write_private(&plan.folder.join(API_ADDRESS), &address.to_string())?;
    tracing::info!(%address, %account, role = %plan.role, vipe = %facts.vipe, "the node runs");
    let mut all = Tasks::default();
    spawn(&mut all, node, (listener, token), store);
    Ok(all)
}

async fn setup(
    config: &Config,
    (plan, site): (&Plan, Site),
    (keys, store, rpc): (Keys, Store, Rpc),
) -> Result<Setup, CommandError> {
    let follow = following(config, site.vipe);
    let account: &Account = &keys.account;
    let submitter = submitter(config, account, &rpc, (site.chain_id, follow.finality)).await?;
    let (listen, announce) = (plan.link.clone(), plan.announce.clone());
    let peers_max = NonZeroU32::new(PEERS_MAX).unwrap_or(NonZeroU32::MIN);
    Ok(Setup {
        role: plan.role,
        site,
        policy: plan.policy.clone(),
        store,
        rpc,
        follow,
        submitter,
        interval: config.chain.poll_interval,
        gas_price_max: u128::from(config.fees.gas_price_max_gwei) * u128::from(WEI_PER_GWEI),
        link: LinkConfig { listen, announce, peers_max, ..LinkConfig::default() },
        towers: plan.towers.clone(),
        spread: plan.spread.clone(),
        circuit: config.artifacts_path(),
        keys,
    })
}

fn spawn(tasks: &mut Tasks, node: Node, (listener, token): (TcpListener, Token), store: Store) {
    let (driver, rest) = node.tasks();
    let (requests, figures) = (rest.requests.clone(), rest.metrics.clone());
    tasks.spawn(Stage::Http, "api", |stop| async move {
        Ok(node::api::run(stop, listener, (requests, figures), token).await?)
    });
    tasks.spawn(Stage::Watch, "chain-watch", |stop| async move { Ok(rest.watch.run(stop).await?) });
    tasks.spawn(Stage::Node, "node", |stop| async move { Ok(driver.run(stop).await?) });
    tasks.spawn(Stage::Prover, "prover", |stop| async move {
        rest.prover.run(stop).await;
        Ok(())
    });
    tasks.spawn(Stage::Prover, "notary", |stop| async move {
        rest.notary.run(stop).await;
        Ok(())
    });
    // After the driver: what it sent last still leaves.
    tasks.spawn(Stage::Submitter, "link", |stop| async move {
        rest.link.run(stop).await;
        Ok(())
    });
    for worker in rest.workers {
        tasks.spawn(Stage::Prover, "tower", |stop| async move {
            worker.run(stop).await;
            Ok(())
        });
    }
    if let Some(herald) = rest.herald {
        // Best effort by its nature: the node goes on without it.
        tasks.spawn_apart(Stage::Prover, "herald", |stop| async move {
            Box::pin(herald.run(stop)).await;
            Ok(())
        });
    }
    tasks.spawn(Stage::Submitter, "sender", |stop| async move { Ok(rest.sender.run(stop).await?) });
    tasks.spawn(Stage::Store, "store", |stop| async move {
        stop.cancelled().await;
        drop(store);
        Ok(())
    });
}
