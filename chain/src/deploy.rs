//! Deploys the contracts to any chain, looks at what came of it, and writes it down.
//!
//! ```text
//! Plan --check--> factory, verifier, asset, vault, pool --compare code, rules, domain, caps--> Deployment (a file)
//! ```
//!
//! Verifier, vault and pool stand where salt, code and constructor arguments (the rules) put them: who deploys, when, and
//! with what nonce makes no difference. So a deployment that was interrupted goes on where it was, and one that is complete
//! is found and checked again. A development asset is made anew each time, unless the plan says to go on
//! ([`Site::resume`]): whoever creates it may mint it, so it belongs to one deployer.
//!
//! **Invariant:** a [`Deployment`] that [`deploy`] returned was read back from the chain: the code of vault and verifier to
//! the byte, immutables and the verifier's own parts included, and rules, domain and caps.

mod error;
mod exact;
mod factory;
mod file;
mod pool;
mod resume;
mod terms;
mod works;

use alloy_primitives::{Address, B256, aliases::U112, keccak256};
use alloy_sol_types::SolValue as _;
use protocol::ids::{Amount, Domain};

use self::works::Works;
pub use self::{
    error::DeployError,
    exact::ExactError,
    factory::{CANONICAL as CANONICAL_FACTORY, Done, address_of},
    file::{AssetCap, Contract, DEPLOYMENT_VERSION, Deployment, FileError},
    terms::{ChainKind, Terms},
};
use crate::{
    artifact::Artifact,
    bindings::IVipe,
    calls::{Rules, Vipe},
    provider::Rpc,
    sender::Sender,
};

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

/// Where to deploy, and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Site {
    /// Goes into every address; another salt is another deployment.
    pub salt: B256,
    /// The factory; none for the canonical one or, where it is missing, one of the deployer's own.
    pub factory: Option<Address>,
    /// A block before the vault's creation, for a vault that is there already.
    pub start_block: Option<u64>,
    /// What an earlier deployment file says.
    pub earlier: Option<Earlier>,
    /// Whether to go on where an earlier run of the same deployer stopped: its development asset is used again.
    pub resume: bool,
}

/// What an earlier deployment file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// The vault.
    pub vault: Address,
    /// A block before the vault's creation; read only if it is the same vault.
    pub start_block: u64,
    /// The factory.
    pub factory: Address,
    /// The development asset.
    pub token: Option<Address>,
}

impl From<&Deployment> for Earlier {
    fn from(file: &Deployment) -> Self {
        let token = file.token.as_ref().map(|token| token.address);
        let (vault, factory) = (file.vipe.address, file.factory);
        Self { vault, start_block: file.start_block, factory, token }
    }
}

/// What to deploy.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where, and since when.
    pub site: Site,
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

/// One step of a deployment, for people who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The contract.
    pub what: &'static str,
    /// Where it is.
    pub address: Address,
    /// What was done for it.
    pub done: Done,
}

/// Deploys everything in `plan` from the sender's account, and reads it back.
///
/// # Errors
/// See [`DeployError`]. What was deployed before an error stays on the chain, and the same plan goes on from there.
pub async fn deploy(sender: &Sender, plan: &Plan) -> Result<Deployment, DeployError> {
    deploy_telling(sender, plan, &mut |_progress| {}).await
}

/// As [`deploy`], and tells of each step.
///
/// # Errors
/// As [`deploy`].
pub async fn deploy_telling(
    sender: &Sender,
    plan: &Plan,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Deployment, DeployError> {
    plan.terms.check(plan.chain)?;
    if plan.chain != ChainKind::Development && matches!(plan.asset, Asset::Development { .. }) {
        return Err(DeployError::DevelopmentAsset);
    }
    if plan.chain == ChainKind::Development && terms::CHAINS_OF_VALUE.contains(&sender.chain_id) {
        return Err(DeployError::ChainOfValue(sender.chain_id));
    }
    resume::settle_account(sender, tell).await?;
    let head = sender.rpc.head().await?.id.number;
    let (factory, done) = factory::find(sender, &plan.site).await?;
    tell(Progress { what: "the factory", address: factory, done });
    let mut works = Works { sender, at: (factory, plan.site.salt), tell };
    let (verifier, verifier_parts) = works.verifier(&plan.verifier).await?;
    let (asset, token) = works.asset(&plan.asset, &plan.site).await?;
    let cap = AssetCap { asset, per_channel: plan.per_channel, total: plan.total };
    let (rules, arguments) = vault_arguments(&plan.terms, &verifier, &cap);
    let (vipe, done) = works.vault(&arguments, &verifier, asset).await?;
    let start_block = match done {
        Done::Created { .. } => head,
        Done::Found | Done::Awaited { .. } => {
            start_before(&sender.rpc, &plan.site, vipe.address, head).await?
        }
    };
    let vip = match plan.operator {
        None => None,
        Some(operator) => {
            let arguments = pool::arguments(plan, vipe.address, asset, operator);
            Some(works.pool(&Artifact::vip()?, &arguments).await?)
        }
    };
    let deployment = Deployment {
        version: DEPLOYMENT_VERSION,
        chain_id: sender.chain_id,
        start_block,
        factory,
        salt: plan.site.salt,
        vipe,
        verifier,
        verifier_parts,
        rules,
        assets: vec![cap],
        token,
        vip,
    };
    verify(&sender.rpc, &deployment).await?;
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

/// A block before the creation of a vault that is there already: as the plan says, or looked for in what the node still
/// keeps of older states, at doubling distances.
async fn start_before(
    rpc: &Rpc,
    site: &Site,
    vault: Address,
    head: u64,
) -> Result<u64, DeployError> {
    let known = Vipe::new(vault);
    if let Some(given) = site.start_block {
        return match known.exists_at(rpc, given).await {
            Ok(true) => Err(DeployError::StartTooLate { address: vault, given }),
            Ok(false) | Err(_) => Ok(given),
        };
    }
    let earlier = site.earlier.filter(|earlier| earlier.vault == vault);
    if let Some(Earlier { start_block, .. }) = earlier {
        // A development chain that began anew has the same vault at other heights.
        if !matches!(known.exists_at(rpc, start_block).await, Ok(true)) {
            return Ok(start_block);
        }
    }
    let mut back = 1_u64;
    while let Some(block) = head.checked_sub(back) {
        match known.exists_at(rpc, block).await {
            Ok(false) => return Ok(block),
            Ok(true) => back = back.saturating_mul(2),
            Err(_forgotten) => return Err(DeployError::StartUnknown { address: vault }),
        }
    }
    Ok(0)
}

/// Asks a node whether its chain still has this deployment: the code of every contract by its hash, and what the vault
/// says of its own rules, domain and caps. For every start of a program that trusts a deployment file.
///
/// # Errors
/// [`DeployError::WrongChain`], [`DeployError::Mismatch`], and what the node does not answer.
pub async fn verify(rpc: &Rpc, deployment: &Deployment) -> Result<(), DeployError> {
    let (expected, found) = (deployment.chain_id, rpc.chain_id().await?);
    if expected != found {
        return Err(DeployError::WrongChain { expected, found });
    }
    for (what, address, code_hash) in deployment.contracts() {
        if keccak256(rpc.code(address).await?) != code_hash {
            return Err(DeployError::Mismatch { what, address });
        }
    }
    let address = deployment.vipe.address;
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
        let parts = self.verifier_parts.iter();
        contracts
            .extend(parts.map(|part| ("a part of the verifier", part.address, part.code_hash)));
        contracts.extend(self.vip.iter().map(|vip| ("the pool", vip.address, vip.code_hash)));
        contracts
    }
}
