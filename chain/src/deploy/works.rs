//! A deployment in the making: each contract placed, compared, and told of.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolValue as _;

use super::{Asset, Contract, DeployError, Done, Progress, Site, exact, factory, resume};
use crate::{
    artifact::Artifact,
    calls::{Erc20, ReadError},
    provider::Rpc,
    sender::Sender,
};

/// A deployment while it is made.
pub(super) struct Works<'a> {
    pub(super) sender: &'a Sender,
    /// The factory and the salt.
    pub(super) at: (Address, B256),
    pub(super) tell: &'a mut (dyn FnMut(Progress) + Send),
}

impl Works<'_> {
    pub(super) async fn verifier(
        &mut self,
        artifact: &Artifact,
    ) -> Result<(Contract, Vec<Contract>), DeployError> {
        let what = "the verifier";
        let (left, _) = self.exactly(what, artifact, &[], &[]).await?;
        let mut left = left.into_iter();
        let verifier = left.next().ok_or(DeployError::Mismatch { what, address: self.at.0 })?;
        let parts = left.collect();
        Ok((verifier, parts))
    }

    pub(super) async fn asset(
        &mut self,
        asset: &Asset,
        site: &Site,
    ) -> Result<(Address, Option<Contract>), DeployError> {
        let sender = self.sender;
        let (name, symbol, decimals) = match asset {
            Asset::Existing(address) => {
                let token = Erc20::new(*address);
                return match token.decimals(&sender.rpc).await {
                    Ok(_) => Ok((*address, None)),
                    Err(ReadError::Rpc(error)) => Err(error.into()),
                    Err(_) => Err(DeployError::NoToken(*address)),
                };
            }
            Asset::Development { name, symbol, decimals } => (name, symbol, decimals),
        };
        let what = "the development asset";
        let artifact = Artifact::dev_token()?;
        if site.resume
            && let Some(address) =
                resume::asset_of(sender, site.earlier.as_ref(), &artifact).await?
        {
            let token = similar(&sender.rpc, what, address, &artifact).await?;
            self.told(what, address, Done::Found);
            return Ok((address, Some(token)));
        }
        let arguments = (name.clone(), symbol.clone(), U256::from(*decimals)).abi_encode_params();
        let code = [&artifact.bytecode, &*arguments].concat();
        // Not through the factory: who creates it may mint it.
        let (address, receipt) = match sender.create(code.into()).await {
            Ok(created) => created,
            Err(error) => return Err(DeployError::explained(sender, what, error).await),
        };
        let token = similar(&sender.rpc, what, address, &artifact).await?;
        let done = Done::Created { block: receipt.block.number, gas: receipt.gas_used };
        self.told(what, address, done);
        Ok((address, Some(token)))
    }

    pub(super) async fn vault(
        &mut self,
        arguments: &[u8],
        verifier: &Contract,
        asset: Address,
    ) -> Result<(Contract, Done), DeployError> {
        let mut known = Vec::new();
        for address in [verifier.address, asset] {
            known.push((address, self.sender.rpc.code(address).await?));
        }
        let (left, done) = self.exactly("the vault", &Artifact::vipe()?, arguments, &known).await?;
        let [vault] = <[Contract; 1]>::try_from(left).map_err(|left| DeployError::Mismatch {
            what: "the vault",
            address: left.first().map_or(self.at.0, |contract| contract.address),
        })?;
        Ok((vault, done))
    }

    pub(super) async fn pool(
        &mut self,
        artifact: &Artifact,
        arguments: &[u8],
    ) -> Result<Contract, DeployError> {
        let what = "the pool";
        let code = [&artifact.bytecode, arguments].concat();
        let (factory, salt) = self.at;
        let (address, done) = factory::place(self.sender, factory, salt, what, &code).await?;
        let pool = similar(&self.sender.rpc, what, address, artifact).await?;
        self.told(what, address, done);
        Ok(pool)
    }

    /// Creates a contract, and compares what the chain has with what the creation leaves behind: the contract itself and
    /// whatever its constructor creates, in this order.
    async fn exactly(
        &mut self,
        what: &'static str,
        artifact: &Artifact,
        arguments: &[u8],
        known: &[(Address, Bytes)],
    ) -> Result<(Vec<Contract>, Done), DeployError> {
        let code = [&artifact.bytecode, arguments].concat();
        let (factory, salt) = self.at;
        let expected = exact::created(self.sender.chain_id, self.at, &code, known)
            .map_err(|source| DeployError::Exact { what, source })?;
        let (address, done) = factory::place(self.sender, factory, salt, what, &code).await?;
        let mut contracts = Vec::with_capacity(expected.len());
        for (address, code) in expected {
            if self.sender.rpc.code(address).await? != code {
                return Err(DeployError::Mismatch { what, address });
            }
            let (code_hash, source_hash) = (keccak256(&code), artifact.source_hash.clone());
            contracts.push(Contract { address, code_hash, source_hash });
        }
        self.told(what, address, done);
        Ok((contracts, done))
    }

    fn told(&mut self, what: &'static str, address: Address, done: Done) {
        tracing::debug!(what, %address, ?done, "deployed");
        (self.tell)(Progress { what, address, done });
    }
}

/// A contract whose immutables are not known here: its code is compared with the artifact's but for them.
async fn similar(
    rpc: &Rpc,
    what: &'static str,
    address: Address,
    artifact: &Artifact,
) -> Result<Contract, DeployError> {
    let found = rpc.code(address).await?;
    if !artifact.is_code(&found) {
        return Err(DeployError::Mismatch { what, address });
    }
    let (code_hash, source_hash) = (keccak256(&found), artifact.source_hash.clone());
    Ok(Contract { address, code_hash, source_hash })
}
