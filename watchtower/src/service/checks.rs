//! What must hold before a tower starts: the node is on its chain and keeps up, the contracts are those of the deployment, the
//! vault is the one that its domain says, and the account can pay.
//!
//! **Invariant:** nothing is written here: a tower that refuses to start leaves everything as it was.

use std::time::Duration;

use alloy_primitives::{B256, U256};
use chain::calls::Vipe;
use chain::deploy::Terms;
use chain::error::RpcError;
use chain::provider::startup::{self, Expectations, StartupError};
use chain::provider::{Endpoint, Rpc};
use protocol::vipe::Rules;
use protocol::{Address, Domain};

use super::StartError;
use crate::config::{Config, ConfigError, WEI_PER_GWEI};
use crate::driver::book::Vault;

/// How far the newest block may be ahead of our clock, where blocks come on their own.
pub(crate) const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);

/// What is known of the vault once it was checked.
pub(crate) struct Checked {
    pub(crate) rpc: Rpc,
    pub(crate) vipe: Vipe,
    pub(crate) vault: Vault,
    pub(crate) rules: Rules,
}

fn connect(config: &Config) -> Result<Rpc, RpcError> {
    let endpoint =
        |url| Endpoint { request_timeout: config.chain.request_timeout, ..Endpoint::new(url) };
    let endpoints: Vec<_> = config.chain.urls().map(|(_, url)| endpoint(url)).collect();
    Rpc::connect_all(&endpoints, config.chain.quorum)
}

/// What the deployment file says of the contracts, if it is the file of this vault.
fn deployed(config: &Config, vault: Address) -> Vec<(&'static str, Address, B256)> {
    let Some(deployed) = config.chain.deployed.filter(|deployed| deployed.vipe.0 == vault) else {
        return Vec::new();
    };
    [("the vault", deployed.vipe), ("the verifier", deployed.verifier)]
        .map(|(name, (address, code_hash))| (name, address, code_hash))
        .to_vec()
}

fn missing(key: &'static str) -> ConfigError {
    ConfigError::Invalid { key, reason: "is missing".to_owned() }
}

/// Reaches the node and checks everything that can be checked before anything is written.
pub(crate) async fn check_chain(config: &Config, account: Address) -> Result<Checked, StartError> {
    let needed = U256::from(config.account.balance_min_gwei) * U256::from(WEI_PER_GWEI);
    check_for(config, Some((account, needed))).await
}

/// The same for somebody who has no account.
pub(crate) async fn check_vault(config: &Config) -> Result<(Rpc, Vault, Rules), StartError> {
    let Checked { rpc, vault, rules, .. } = check_for(config, None).await?;
    Ok((rpc, vault, rules))
}

async fn check_for(
    config: &Config,
    account: Option<(Address, U256)>,
) -> Result<Checked, StartError> {
    let chain_id = config.chain.chain_id.ok_or_else(|| missing("chain.chain_id"))?;
    let address = config.chain.vipe.ok_or_else(|| missing("chain.vipe"))?;
    let rpc = connect(config).map_err(|error| StartError::Rpc { error })?;
    let expected = Expectations {
        chain_id,
        head_age_max: config.chain.head_age_max,
        clock_skew_max: config.chain.head_age_max.map(|_| CLOCK_SKEW_MAX),
        contracts: deployed(config, address),
        account,
    };
    startup::check(&rpc, &expected, crate::clock::now_s())
        .await
        .map_err(|error| StartError::Chain { error })?;
    let code = rpc.code(address).await.map_err(|error| StartError::Rpc { error })?;
    if code.is_empty() {
        let error = StartupError::NoContract { name: "the vault", address };
        return Err(StartError::Chain { error });
    }
    let vipe = Vipe::new(address);
    let no_vault = |source| StartError::NoVault { vipe: address, source };
    let found = vipe.domain(&rpc).await.map_err(no_vault)?;
    let domain = Domain::derive(chain_id, address);
    if found != domain {
        return Err(StartError::OtherDomain { vipe: address, expected: domain, found });
    }
    let rules = vipe.rules(&rpc).await.map_err(no_vault)?;
    let rules = sound(&rules, chain_id)?;
    Ok(Checked { rpc, vipe, vault: Vault { chain_id, vipe: address }, rules })
}

/// The rules of a vault whose disputes can be answered in time; nobody can help in any other, so nobody should promise to.
pub(crate) fn sound(rules: &chain::calls::Rules, chain_id: u64) -> Result<Rules, StartError> {
    let terms = Terms::of(rules)
        .ok_or_else(|| StartError::Rules(format!("a fee floor of {} wei", rules.fee_floor)))?;
    let rules = Rules {
        dispute_window: terms.dispute_window_s,
        response_extension: terms.response_extension_s,
        max_extension: terms.max_extension_s,
        fee_floor: terms.fee_floor,
        fee_gas: terms.fee_gas,
        tower_bps: terms.tower_bps,
        slash_bps: terms.slash_bps,
    };
    rules.validate().map_err(|error| StartError::Rules(error.to_string()))?;
    terms.check_standing(chain_id).map_err(|error| StartError::Rules(error.to_string()))?;
    Ok(rules)
}
