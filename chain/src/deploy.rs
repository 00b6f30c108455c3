//! Deploys the contracts to any chain, looks at what came of it, and writes it down.
//!
//! ```text
//! Plan --check--> verifier, asset, vault, pool --compare code, rules, domain, caps--> Deployment (a file)
//! ```
//!
//! **Invariant:** a [`Deployment`] that [`deploy`] returned was read back from the chain: code, rules, domain and caps.

mod file;

use alloy_primitives::{Address, B256, U256, aliases::U112, keccak256};
use alloy_sol_types::SolValue as _;
use protocol::ids::{Amount, Domain};

pub use self::file::{AssetCap, Contract, DEPLOYMENT_VERSION, Deployment, FileError};
use crate::{
    artifact::{Artifact, ArtifactError},
    bindings::IVipe,
    calls::{ReadError, Rules, Vipe},
    error::RpcError,
    sender::{SendError, Sender},
};

/// What kind of chain the contracts go to; decides how long a dispute must last at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Ethereum itself.
    L1,
    /// A chain with a sequencer that may halt or censor.
    L2 {
        /// Seconds after which a transaction gets in without the sequencer.
        forced_inclusion_s: u64,
    },
    /// A development chain, where windows may be seconds.
    Development,
}

/// Seconds in an hour.
const HOUR_S: u64 = 3_600;
/// The shortest dispute window on an L1.
const L1_WINDOW_MIN_S: u64 = 24 * HOUR_S;
/// What is added to twice the forced inclusion on an L2.
const L2_WINDOW_MARGIN_S: u64 = 12 * HOUR_S;

/// The rules of a vault but its verifier, which is known only once it is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// See [`Rules::dispute_window_s`].
    pub dispute_window_s: u64,
    /// See [`Rules::response_extension_s`].
    pub response_extension_s: u64,
    /// See [`Rules::max_extension_s`].
    pub max_extension_s: u64,
    /// See [`Rules::fee_floor`].
    pub fee_floor: u128,
    /// See [`Rules::fee_gas`].
    pub fee_gas: u64,
    /// See [`Rules::tower_bps`].
    pub tower_bps: u16,
    /// See [`Rules::slash_bps`].
    pub slash_bps: u16,
}

impl Terms {
    /// The defaults for an L1: a day, an hour, a day; 0.02 ether or 10,000,000 gas; half to the tower, all slashed.
    pub const L1: Self = Self {
        dispute_window_s: 24 * HOUR_S,
        response_extension_s: HOUR_S,
        max_extension_s: 24 * HOUR_S,
        fee_floor: 20_000_000_000_000_000,
        fee_gas: 10_000_000,
        tower_bps: 5_000,
        slash_bps: 10_000,
    };

    /// The defaults for an L2: three days, six hours, a day.
    pub const L2: Self =
        Self { dispute_window_s: 72 * HOUR_S, response_extension_s: 6 * HOUR_S, ..Self::L1 };

    /// Refuses windows in which honest parties could not answer.
    ///
    /// # Errors
    /// [`DeployError::WindowTooShort`].
    pub const fn check(&self, chain: ChainKind) -> Result<(), DeployError> {
        let least = match chain {
            ChainKind::L1 => L1_WINDOW_MIN_S,
            ChainKind::L2 { forced_inclusion_s } => {
                forced_inclusion_s.saturating_mul(2).saturating_add(L2_WINDOW_MARGIN_S)
            }
            ChainKind::Development => 1,
        };
        if self.dispute_window_s < least {
            return Err(DeployError::WindowTooShort {
                given_s: self.dispute_window_s,
                least_s: least,
            });
        }
        Ok(())
    }
}

/// What asset the vault takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asset {
    /// One that exists.
    Existing(Address),
    /// A development asset that is worth nothing; not on an L1 or L2.
    Development {
        /// Its name.
        name: String,
        /// Its symbol.
        symbol: String,
        /// Its decimals.
        decimals: u8,
    },
}

/// What to deploy.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub chain: ChainKind,
    /// The rules.
    pub terms: Terms,
    /// The asset.
    pub asset: Asset,
    /// The most of it in one channel.
    pub per_channel: Amount,
    /// The most of it in all channels together.
    pub total: Amount,
    /// The live-state verifier to deploy: one contract without constructor arguments, which creates its own parts.
    pub verifier: Artifact,
    /// The counterparty whose pool to deploy, and its allocation ratio.
    pub operator: Option<(Address, u16)>,
}

/// Why a deployment failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The dispute window leaves no time to answer.
    #[error("a dispute window of {given_s} s is too short for this chain: at least {least_s} s")]
    WindowTooShort {
        /// What was asked for, in seconds.
        given_s: u64,
        /// The least, in seconds.
        least_s: u64,
    },
    /// A worthless asset for a chain that holds value.
    #[error("the development asset is for development chains only")]
    DevelopmentAsset,
    /// A transaction failed.
    #[error("{what}: {source}")]
    Send {
        /// What it was for.
        what: &'static str,
        /// Why.
        source: Box<SendError>,
    },
    /// The node gave no answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The new vault gave no answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A checked-in artifact cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// What is on the chain is not what was deployed.
    #[error("{what} at {address} is not what was deployed")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// Where.
        address: Address,
    },
}

/// Deploys everything in `plan` from the sender's account, and reads it back.
///
/// # Errors
/// See [`DeployError`]. What was deployed before an error stays on the chain, unused.
pub async fn deploy(sender: &Sender, plan: &Plan) -> Result<Deployment, DeployError> {
    plan.terms.check(plan.chain)?;
    if plan.chain != ChainKind::Development && matches!(plan.asset, Asset::Development { .. }) {
        return Err(DeployError::DevelopmentAsset);
    }
    let start_block = sender.rpc.head().await?.id.number;
    let verifier = create(sender, "the verifier", &plan.verifier, &[]).await?;
    let (asset, token) = match &plan.asset {
        Asset::Existing(address) => (*address, None),
        Asset::Development { name, symbol, decimals } => {
            let arguments =
                (name.clone(), symbol.clone(), U256::from(*decimals)).abi_encode_params();
            let token =
                create(sender, "the development asset", &Artifact::dev_token()?, &arguments)
                    .await?;
            (token.address, Some(token))
        }
    };
    let cap = AssetCap { asset, per_channel: plan.per_channel, total: plan.total };
    let (rules, arguments) = vault_arguments(&plan.terms, &verifier, &cap);
    let vipe = create(sender, "the vault", &Artifact::vipe()?, &arguments).await?;
    let vip = match plan.operator {
        None => None,
        Some((operator, ratio)) => {
            let arguments = (vipe.address, asset, operator, U256::from(ratio)).abi_encode_params();
            Some(create(sender, "the pool", &Artifact::operator_vip()?, &arguments).await?)
        }
    };
    let deployment = Deployment {
        version: DEPLOYMENT_VERSION,
        chain_id: sender.chain_id,
        start_block,
        vipe,
        verifier,
        rules,
        assets: vec![cap],
        token,
        vip,
    };
    check(sender, &deployment).await?;
    Ok(deployment)
}

fn vault_arguments(terms: &Terms, verifier: &Contract, cap: &AssetCap) -> (Rules, Vec<u8>) {
    let rules = IVipe::Rules {
        disputeWindow: terms.dispute_window_s,
        responseExtension: terms.response_extension_s,
        maxExtension: terms.max_extension_s,
        feeFloor: terms.fee_floor,
        feeGas: terms.fee_gas,
        towerBps: terms.tower_bps,
        slashBps: terms.slash_bps,
        verifier: verifier.address,
        verifierCodeHash: verifier.code_hash,
    };
    let caps = vec![IVipe::AssetCap {
        asset: cap.asset,
        perChannel: U112::saturating_from(cap.per_channel.get()),
        total: U112::saturating_from(cap.total.get()),
    }];
    let arguments = (rules.clone(), caps).abi_encode_params();
    (rules.into(), arguments)
}

/// Creates a contract and compares its code with the artifact's.
async fn create(
    sender: &Sender,
    what: &'static str,
    artifact: &Artifact,
    arguments: &[u8],
) -> Result<Contract, DeployError> {
    let code = [&artifact.bytecode, arguments].concat();
    let (address, receipt) = sender
        .create(code.into())
        .await
        .map_err(|source| DeployError::Send { what, source: Box::new(source) })?;
    let found = sender.rpc.code(address).await?;
    if !artifact.is_code(&found) {
        return Err(DeployError::Mismatch { what, address });
    }
    let code_hash = keccak256(&found);
    tracing::info!(what, %address, block = receipt.block.number, gas = receipt.gas_used, "deployed");
    Ok(Contract { address, code_hash, source_hash: artifact.source_hash.clone() })
}

/// Asks the vault itself what it is.
async fn check(sender: &Sender, deployment: &Deployment) -> Result<(), DeployError> {
    let (rpc, address) = (&sender.rpc, deployment.vipe.address);
    let vault = Vipe::new(address);
    let differs = |what| Err(DeployError::Mismatch { what, address });
    if vault.rules(rpc).await? != deployment.rules {
        return differs("the rules of the vault");
    }
    if vault.domain(rpc).await? != Domain::derive(deployment.chain_id, address) {
        return differs("the domain of the vault");
    }
    for cap in &deployment.assets {
        if vault.asset_cap(rpc, cap.asset).await? != (cap.per_channel, cap.total) {
            return differs("the caps of the vault");
        }
    }
    Ok(())
}

impl Deployment {
    /// The contracts with the hashes of their code, as a node is to be checked for them at every start.
    pub fn contracts(&self) -> Vec<(&'static str, Address, B256)> {
        let mut contracts = vec![
            ("the vault", self.vipe.address, self.vipe.code_hash),
            ("the verifier", self.verifier.address, self.verifier.code_hash),
        ];
        contracts.extend(self.vip.iter().map(|vip| ("the pool", vip.address, vip.code_hash)));
        contracts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_is_too_short_for_the_chain_is_refused() {
        assert!(Terms::L1.check(ChainKind::L1).is_ok());
        let short = Terms { dispute_window_s: 24 * HOUR_S - 1, ..Terms::L1 };
        assert!(matches!(short.check(ChainKind::L1), Err(DeployError::WindowTooShort { .. })));
        let l2 = ChainKind::L2 { forced_inclusion_s: 24 * HOUR_S };
        assert!(Terms::L2.check(l2).is_ok());
        assert!(
            matches!(Terms::L1.check(l2), Err(DeployError::WindowTooShort { least_s, .. }) if least_s == 60 * HOUR_S)
        );
        let none = Terms { dispute_window_s: 0, ..Terms::L1 };
        assert!(none.check(ChainKind::Development).is_err());
    }
}
