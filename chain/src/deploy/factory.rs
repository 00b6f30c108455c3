//! Addresses that are a function of salt and code: creation through a CREATE2 factory.
//!
//! The factory is the *deterministic deployment proxy* (Arachnid, 2018): calldata is a salt and creation code, and it
//! does nothing but `CREATE2`. Most chains have it at one address, by a transaction that nobody has a key for; not every
//! chain takes that transaction, so where it is missing the same code is created from the deployer's own account.
//!
//! **Invariant:** only a contract with exactly [`CODE`] is used as a factory; it keeps nothing and obeys nobody.

use alloy_primitives::{Address, B256, Bytes, U256, address, bytes};

use super::{DeployError, Earlier, Site, resume::created_lately};
use crate::{calls::Call, provider::Rpc, sender::Sender};

/// Where most chains have the factory.
pub const CANONICAL: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
/// The factory's code.
pub(super) const CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);
/// What creates it: copies the 69 bytes behind itself.
const CREATION: Bytes = bytes!(
    "604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// What was done for one contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was there already.
    Found,
    /// A transaction created it.
    Created {
        /// The block.
        block: u64,
        /// What the transaction cost.
        gas: u64,
    },
    /// Transactions of the account that were under way are waited for.
    Awaited {
        /// How many.
        count: u64,
    },
}

/// The factory to use: the one that the plan names, the canonical one, that of an earlier deployment file, one that this
/// deployer made before, or a new one.
///
/// # Errors
/// [`DeployError::Mismatch`] when what the plan names is no factory.
pub(super) async fn find(sender: &Sender, site: &Site) -> Result<(Address, Done), DeployError> {
    let rpc = &sender.rpc;
    if let Some(address) = site.factory {
        return if is_factory(rpc, address).await? {
            Ok((address, Done::Found))
        } else {
            Err(DeployError::Mismatch { what: "the factory", address })
        };
    }
    if is_factory(rpc, CANONICAL).await? {
        return Ok((CANONICAL, Done::Found));
    }
    if let Some(Earlier { factory, .. }) = site.earlier
        && is_factory(rpc, factory).await?
    {
        return Ok((factory, Done::Found));
    }
    if let Some(address) = created_lately(sender, |code| *code == *CODE).await? {
        return Ok((address, Done::Found));
    }
    let (address, receipt) = match sender.create(CREATION).await {
        Ok(created) => created,
        Err(error) => return Err(DeployError::explained(sender, "the factory", error).await),
    };
    if !is_factory(rpc, address).await? {
        return Err(DeployError::Mismatch { what: "the factory", address });
    }
    Ok((address, Done::Created { block: receipt.block.number, gas: receipt.gas_used }))
}

async fn is_factory(rpc: &Rpc, address: Address) -> Result<bool, DeployError> {
    Ok(rpc.code(address).await? == CODE)
}

/// Where `factory` creates what `creation` (code and constructor arguments) makes.
#[must_use]
pub fn address_of(factory: Address, salt: B256, creation: &[u8]) -> Address {
    factory.create2_from_code(salt, creation)
}

/// The factory's calldata.
pub(super) fn calldata(salt: B256, creation: &[u8]) -> Bytes {
    [salt.as_slice(), creation].concat().into()
}

/// Creates what `creation` makes, unless something is there already: that is compared afterwards as well.
///
/// # Errors
/// [`DeployError::Send`], and [`DeployError::Mismatch`] when nothing is there after the transaction.
pub(super) async fn place(
    sender: &Sender,
    factory: Address,
    salt: B256,
    what: &'static str,
    creation: &[u8],
) -> Result<(Address, Done), DeployError> {
    let address = address_of(factory, salt, creation);
    if !sender.rpc.code(address).await?.is_empty() {
        return Ok((address, Done::Found));
    }
    let call = Call { to: factory, data: calldata(salt, creation), value: U256::ZERO };
    let receipt = match sender.send(&call).await {
        Ok(receipt) => receipt,
        // Somebody else was first, or an earlier run of ours: the address depends on neither.
        Err(_) if !sender.rpc.code(address).await?.is_empty() => return Ok((address, Done::Found)),
        Err(error) => return Err(DeployError::explained(sender, what, error).await),
    };
    if sender.rpc.code(address).await?.is_empty() {
        return Err(DeployError::Mismatch { what, address });
    }
    Ok((address, Done::Created { block: receipt.block.number, gas: receipt.gas_used }))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    #[test]
    fn the_creation_code_makes_the_code() {
        assert_eq!(CODE.len(), 0x45);
        assert!(CREATION.ends_with(&CODE));
    }

    #[test]
    fn addresses_are_those_of_the_standard() {
        // The examples of EIP-1014.
        let of = |factory, salt, creation: &[u8]| address_of(factory, salt, creation);
        assert_eq!(
            of(Address::ZERO, B256::ZERO, &[0]),
            address!("4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38")
        );
        assert_eq!(
            of(
                address!("00000000000000000000000000000000deadbeef"),
                b256!("00000000000000000000000000000000000000000000000000000000cafebabe"),
                &[0xde, 0xad, 0xbe, 0xef]
            ),
            address!("60f3f640a8508fC6a86d45DF051962668E1e8AC7")
        );
    }
}
