//! What a node is started with, from flags or from the tower's configuration: read and checked before anything runs.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chain::account::Account;
use gossip::Place;
use node::Spread;
use node::policy::Policy;
use protocol::{Address, Role};

use super::{secrets, system};
use crate::cli::RunArgs;
use crate::config::{Config, ConfigError, NetworkConfig, NodeConfig};
use crate::error::CommandError;
use crate::keys::Password;

/// What a node is started with.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) role: Role,
    /// Its own folder.
    pub(super) folder: PathBuf,
    pub(super) account: Account,
    pub(super) policy: Policy,
    pub(super) api: SocketAddr,
    pub(super) link: Vec<Place>,
    pub(super) announce: Vec<Place>,
    pub(super) towers: Vec<String>,
    pub(super) spread: Spread,
    pub(super) asset: Option<Address>,
    pub(super) vip: Option<Address>,
    pub(super) seed_from_account: Option<u32>,
}

impl Plan {
    /// A node that is all there is in this process.
    ///
    /// # Errors
    /// What does not fit, or cannot be read.
    pub(crate) fn alone(
        config: &Config,
        arguments: &RunArgs,
        (role, vip): (Role, Option<Address>),
    ) -> Result<Self, CommandError> {
        let elsewhere = (&config.account.signer, config.account.address);
        let account = match elsewhere_account(config, elsewhere)? {
            Some(account) => account,
            None => {
                let password = || Password::find(config.account.password_file.as_deref());
                secrets::account(&config.keystore_path(), password)?
            }
        };
        let bootstrap = places("network.bootstrap", &config.network.bootstrap)?;
        let spread = match config.network.enabled && !bootstrap.is_empty() {
            true => Spread::Gossip(bootstrap),
            false => Spread::Nowhere,
        };
        let plan = Self {
            role,
            folder: config.data_dir.clone(),
            account,
            policy: read_policy(arguments.policy.as_deref())?,
            api: arguments.api,
            link: places("--link", &arguments.link)?,
            announce: places("--announce", &arguments.announce)?,
            towers: arguments.tower.clone(),
            spread,
            asset: arguments.asset,
            vip,
            seed_from_account: arguments.seed_from_account,
        };
        plan.prepare()?;
        Ok(plan)
    }

    /// The node that the tower's configuration wants beside the tower, if it wants one.
    ///
    /// # Errors
    /// What does not fit, or cannot be read; also if it would share the tower's account.
    pub fn beside(
        config: &Config,
        tower: &Account,
        password: &Password,
    ) -> Result<Option<Self>, CommandError> {
        let NodeConfig { role, folder, keystore, password_file, .. } = &config.node;
        let Some(role) = role.role() else { return Ok(None) };
        let folder = config.data_dir.join(folder);
        let own = || match password_file {
            Some(file) => Password::find(Some(file.as_path())),
            None => Ok(password.clone()),
        };
        let elsewhere = (&config.node.signer, config.node.address);
        let account = match elsewhere_account(config, elsewhere)? {
            Some(account) => account,
            None => secrets::account(&folder.join(keystore), own)?,
        };
        if account.address() == tower.address() {
            let reason =
                "is the tower's own account: two senders with one account spoil each other's transactions; make another with `watchtower keys new`".to_owned();
            return Err(ConfigError::Invalid { key: "node.keystore", reason }.into());
        }
        let node = &config.node;
        let plan = Self {
            role,
            folder,
            account,
            policy: read_policy(node.policy.as_deref())?,
            api: node.api,
            link: places("node.link", &node.link)?,
            announce: places("node.announce", &node.announce)?,
            towers: node.towers.clone(),
            spread: Spread::Tower(nearby(config.http.listen)),
            asset: node.asset,
            vip: node.vip,
            seed_from_account: None,
        };
        plan.prepare()?;
        Ok(Some(plan))
    }

    /// The tower around it answers here.
    pub(super) fn around(mut self, tower: SocketAddr) -> Self {
        self.spread = Spread::Tower(nearby(tower));
        self
    }

    /// Before any key is used: a folder of its own.
    fn prepare(&self) -> Result<(), CommandError> {
        if !self.api.ip().is_loopback() {
            tracing::warn!(address = %self.api, "the API listens beyond this machine, without TLS: whoever reads the traffic has the token, and with it the money");
        }
        // A new folder is its owner's alone.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(system("cannot make the data folder"))
    }
}

/// The account whose key another process holds, where that is so.
fn elsewhere_account(
    config: &Config,
    (signer, address): (&Option<String>, Option<Address>),
) -> Result<Option<Account>, CommandError> {
    let (Some(url), Some(address)) = (signer, address) else { return Ok(None) };
    let account = Account::elsewhere(url, address, config.account.signer_timeout);
    account.map(Some).map_err(|error| CommandError::Node(error.to_string()))
}

/// Where the tower of this process is reached from inside.
fn nearby(listens: SocketAddr) -> String {
    let ip = match listens {
        SocketAddr::V4(_) if listens.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) if listens.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => listens.ip(),
    };
    format!("http://{}", SocketAddr::new(ip, listens.port()))
}

fn places(key: &'static str, texts: &[String]) -> Result<Vec<Place>, CommandError> {
    Ok(NetworkConfig::places(key, texts)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tower_that_listens_everywhere_is_reached_on_this_machine() {
        assert_eq!(nearby("0.0.0.0:8645".parse().unwrap()), "http://127.0.0.1:8645");
        assert_eq!(nearby("[::]:1".parse().unwrap()), "http://[::1]:1");
        assert_eq!(nearby("10.0.0.1:2".parse().unwrap()), "http://10.0.0.1:2");
    }
}
