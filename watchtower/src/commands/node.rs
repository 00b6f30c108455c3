//! `watchtower node run` and `watchtower hub run`: builds a node's parts, names their tasks, and stops them in order.

use std::fs::Permissions;
use std::io::Write as _;
use std::num::NonZeroU32;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use chain::account::Account;
use chain::deploy::Deployment;
use chain::provider::Rpc;
use gossip::Place;
use gossip::link::LinkConfig;
use node::api::Token;
use node::keys::Keys;
use node::policy::Policy;
use node::{Node, Setup, Site};
use protocol::seed::{Seed, wallet_digest};
use protocol::vipe::Rules;
use protocol::{Address, Role};
use rand::RngCore as _;
use store::{Facts, Store};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::cli::{HubArgs, RunArgs};
use crate::config::{Config, ConfigError, WEI_PER_GWEI};
use crate::error::{CommandError, DeploymentError};
use crate::keys::{Password, new_seed, open_account, read_seed, store_seed};
use crate::service::checks::check_chain;
use crate::service::settings::{following, submitter};
use crate::tasks::{Stage, Tasks};
use crate::{tasks, telemetry};

/// The environment's variable for the account's key, where there is no encrypted file: for containers whose secrets come so.
const ACCOUNT_KEY: &str = "WATCHTOWER_ACCOUNT_KEY";
/// The seed's file in the data folder.
const SEED: &str = "seed";
/// The node's store in the data folder.
const STORE: &str = "node.redb";
/// Where the API's address stands while the node runs.
pub(crate) const API_ADDRESS: &str = "api.address";
/// Where the API's token stands.
pub(crate) const API_TOKEN: &str = "api.token";
/// Peers of a hub at a time.
const PEERS_MAX: u32 = 16_384;

pub(crate) fn run(config: &Config, arguments: &RunArgs) -> Result<(), CommandError> {
    execute(config, arguments, Role::Participant, None)
}

pub(crate) fn hub(config: &Config, arguments: &HubArgs) -> Result<(), CommandError> {
    execute(config, &arguments.node, Role::Counterparty, arguments.vip)
}

fn execute(
    config: &Config,
    arguments: &RunArgs,
    role: Role,
    vip: Option<Address>,
) -> Result<(), CommandError> {
    config.validate()?;
    telemetry::start(&config.log)?;
    let policy = read_policy(arguments.policy.as_deref())?;
    let account = account(config)?;
    empty_core_dumps();
    if !arguments.api.ip().is_loopback() {
        tracing::warn!(address = %arguments.api, "the API listens beyond this machine, without TLS: whoever reads the traffic has the token, and with it the money");
    }
    // A new folder is its owner's alone.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .map_err(system("cannot make the data folder"))?;
    let seed = seed(config, &account, arguments.seed_from_account)?;
    let keys =
        Keys::new(account, &seed, role).map_err(|error| CommandError::Node(error.to_string()))?;
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(until_told(config, arguments, (role, vip), (keys, policy)));
    // A circuit that is still being built is not waited for.
    runtime.shutdown_background();
    outcome
}

/// The keys are in memory: of no mapping is anything written, should this process dump its core.
fn empty_core_dumps() {
    if let Err(error) = std::fs::write("/proc/self/coredump_filter", "0") {
        tracing::warn!(%error, "core dumps could not be emptied: one would hold the keys");
    }
}

/// The account's key: from the environment where that has one, else from the encrypted file.
fn account(config: &Config) -> Result<Account, CommandError> {
    if let Ok(text) = std::env::var(ACCOUNT_KEY) {
        let text = Zeroizing::new(text);
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let key: Zeroizing<[u8; 32]> = alloy_primitives::hex::decode_to_array(digits)
            .map(Zeroizing::new)
            .map_err(|_not_hex| {
                CommandError::Node(format!("{ACCOUNT_KEY} holds no key: 64 hexadecimal digits"))
            })?;
        return Account::from_bytes(&key).map_err(|_no_key| {
            CommandError::Node(format!("{ACCOUNT_KEY} holds no key of an account"))
        });
    }
    let password = Password::find(config.account.password_file.as_deref())?;
    Ok(open_account(&config.keystore_path(), &password)?)
}

fn system(what: &str) -> impl FnOnce(std::io::Error) -> CommandError {
    let what = what.to_owned();
    move |source| CommandError::System { what, source }
}

fn read_policy(path: Option<&Path>) -> Result<Policy, CommandError> {
    let Some(path) = path else { return Ok(Policy::default()) };
    let text = std::fs::read_to_string(path).map_err(system("cannot read the policy file"))?;
    let policy: Policy = toml::from_str(&text).map_err(|error| {
        CommandError::Node(format!("the policy file {}: {error}", path.display()))
    })?;
    policy.validate().map_err(|error| CommandError::Node(error.to_string()))?;
    Ok(policy)
}

/// The seed; made at the first start, never when there is a store already.
fn seed(config: &Config, account: &Account, index: Option<u32>) -> Result<Seed, CommandError> {
    let folder = &config.data_dir;
    let path = folder.join(SEED);
    if path.exists() {
        return Ok(Seed::from_bytes(*read_seed(&path)?));
    }
    if index.is_none() && folder.join(STORE).exists() {
        return Err(CommandError::Node(format!(
            "the store {} is there and the seed {} is not: put the seed back",
            folder.join(STORE).display(),
            path.display()
        )));
    }
    let Some(index) = index else {
        new_seed(&path)?;
        super::say(format_args!(
            "a new seed is in {}: back it up, with it and the chain everything else is restored",
            path.display()
        ))?;
        return Ok(Seed::from_bytes(*read_seed(&path)?));
    };
    let seed = from_account(config, account, index)?;
    store_seed(&path, seed.as_bytes())?;
    super::say(format_args!(
        "the seed in {} comes from the account's signature with index {index}: the account's key restores it",
        path.display()
    ))?;
    Ok(seed)
}

/// The account signs twice, so that one that signs differently each time is found out.
fn from_account(config: &Config, account: &Account, index: u32) -> Result<Seed, CommandError> {
    let Some(path) = &config.chain.deployment else {
        return Err(CommandError::Node("--seed-from-account needs --deployment".to_owned()));
    };
    let deployment = Deployment::load(path).map_err(DeploymentError::from)?;
    let digest = wallet_digest(deployment.chain_id, deployment.vipe.address, index);
    let failed = |error: &dyn std::fmt::Display| CommandError::Node(error.to_string());
    let sign = || account.sign_digest(&digest).map_err(|error| failed(&error));
    Seed::from_wallet(&sign()?, &sign()?).map_err(|error| failed(&error))
}

/// Which asset and pool, from the deployment file and the flags.
fn site(
    config: &Config,
    facts: Facts,
    asset: Option<Address>,
    (role, vip): (Role, Option<Address>),
    rules: &Rules,
) -> Result<Site, CommandError> {
    let deployment = match &config.chain.deployment {
        Some(path) => Some(Deployment::load(path).map_err(DeploymentError::from)?),
        None => None,
    };
    let listed = deployment.as_ref().and_then(|file| file.assets.first().map(|cap| cap.asset));
    let asset = asset.or(listed).ok_or_else(|| {
        CommandError::Node("no asset: give --asset, or a deployment file that lists one".to_owned())
    })?;
    let pool = vip.or_else(|| deployment.and_then(|file| file.vip.map(|vip| vip.address)));
    if role == Role::Counterparty && pool.is_none() {
        return Err(CommandError::Node(
            "no pool: give --vip, or a deployment file that has one".to_owned(),
        ));
    }
    let vip = pool.filter(|_| role == Role::Counterparty);
    let (chain_id, vipe, fee_floor) = (facts.chain_id, facts.vipe, rules.fee_floor);
    Ok(Site { chain_id, vipe, asset, vip, fee_floor, fee_gas: rules.fee_gas })
}

async fn until_told(
    config: &Config,
    arguments: &RunArgs,
    (role, vip): (Role, Option<Address>),
    (keys, policy): (Keys, Policy),
) -> Result<(), CommandError> {
    tracing::warn!(
        "nodes for users are new and not audited: for trials alone, not for money that matters"
    );
    let mut watchers = JoinSet::new();
    let mut signals = tasks::signals(&mut watchers).map_err(system("cannot listen for signals"))?;
    let checked = check_chain(config, keys.account.address()).await?;
    let account = keys.account.clone();
    let facts = Facts {
        chain_id: checked.vault.chain_id,
        vipe: checked.vault.vipe,
        account: account.address(),
    };
    let site = site(config, facts, arguments.asset, (role, vip), &checked.rules)?;
    let store = Store::open(config.data_dir.join(STORE), facts)?;
    // Payments and signed states are nobody else's business, whatever the folder's permissions.
    std::fs::set_permissions(config.data_dir.join(STORE), Permissions::from_mode(0o600))
        .map_err(system("cannot protect the store"))?;
    let setup =
        setup(config, arguments, (role, site, policy), (keys, store.clone(), checked.rpc)).await?;
    let node = Node::start(setup).await.map_err(|error| CommandError::Node(error.to_string()))?;
    let listener = node::api::listen(arguments.api)
        .await
        .map_err(system("cannot listen for the API: choose another --api"))?;
    let address = listener.local_addr().map_err(system("the listener has no address"))?;
    let token = token(&config.data_dir)?;
    write_private(&config.data_dir.join(API_ADDRESS), &address.to_string())?;
    tracing::info!(%address, account = %account.address(), %role, vipe = %facts.vipe, "the node runs");
    let mut all = Tasks::default();
    spawn(&mut all, node, (listener, token), store);
    all.run(&mut signals, config.shutdown.grace).await?;
    tracing::info!("the node has stopped");
    Ok(())
}

async fn setup(
    config: &Config,
    arguments: &RunArgs,
    (role, site, policy): (Role, Site, Policy),
    (keys, store, rpc): (Keys, Store, Rpc),
) -> Result<Setup, CommandError> {
    let follow = following(config, site.vipe);
    let account: &Account = &keys.account;
    let submitter = submitter(config, account, &rpc, (site.chain_id, follow.finality)).await?;
    let listen: Result<Vec<Place>, _> =
        arguments.link.iter().map(|place| place.parse::<Place>()).collect();
    let listen = listen.map_err(|error| {
        CommandError::Config(ConfigError::Invalid { key: "--link", reason: error.to_string() })
    })?;
    let announce: Result<Vec<Place>, _> =
        arguments.announce.iter().map(|place| place.parse::<Place>()).collect();
    let announce = announce.map_err(|error| {
        CommandError::Config(ConfigError::Invalid { key: "--announce", reason: error.to_string() })
    })?;
    let peers_max = NonZeroU32::new(PEERS_MAX).unwrap_or(NonZeroU32::MIN);
    Ok(Setup {
        role,
        site,
        policy,
        store,
        rpc,
        follow,
        submitter,
        interval: config.chain.poll_interval,
        gas_price_max: u128::from(config.fees.gas_price_max_gwei) * u128::from(WEI_PER_GWEI),
        link: LinkConfig { listen, announce, peers_max, ..LinkConfig::default() },
        towers: arguments.tower.clone(),
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
    tasks.spawn(Stage::Submitter, "sender", |stop| async move { Ok(rest.sender.run(stop).await?) });
    tasks.spawn(Stage::Store, "store", |stop| async move {
        stop.cancelled().await;
        drop(store);
        Ok(())
    });
}

/// The API's token; made at the first start.
fn token(folder: &Path) -> Result<Token, CommandError> {
    let path = folder.join(API_TOKEN);
    if !path.exists() {
        let mut secret = Zeroizing::new([0; 32]);
        rand::rngs::OsRng.fill_bytes(&mut *secret);
        write_private(&path, &Zeroizing::new(alloy_primitives::hex::encode(*secret)))?;
    }
    Ok(Token::new(read_token(&path)?))
}

/// Reads a token from a file that nobody else can read.
pub(crate) fn read_token(path: &Path) -> Result<Zeroizing<String>, CommandError> {
    let secret = read_seed(path)?;
    Ok(Zeroizing::new(alloy_primitives::hex::encode(*secret)))
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), CommandError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let write = || -> std::io::Result<()> {
        // One that a crash left behind may have other permissions than ours.
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().map_err(system(&format!("cannot write {}", path.display())))
}
