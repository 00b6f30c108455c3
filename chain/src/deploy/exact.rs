//! What a creation leaves behind, to the byte: immutables, and contracts that a constructor creates.
//!
//! The creation is run here, in an EVM of our own, at the address where it belongs and with the code of what it refers to.
//! Then the chain must show the same code at the same addresses. Nothing has to be known about where a compiler puts
//! immutable values.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::{
    Context, ExecuteEvm, MainBuilder, MainContext,
    bytecode::Bytecode,
    context::{CfgEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

use super::factory;

/// Why a creation cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExactError {
    /// The EVM refuses the call.
    #[error("the creation cannot be run here: {0}")]
    Evm(String),
    /// The constructor refuses.
    #[error("the constructor refuses")]
    Refused,
}

/// Gas for one creation here: far more than one has on a chain.
const GAS: u64 = 1 << 32;
/// Who calls the factory here; the code of what it creates does not depend on it.
const CALLER: Address = Address::repeat_byte(0xca);

/// Every contract that the factory's creation leaves behind, the one itself first, with its code. `known` is the code
/// of contracts that the constructor looks at; their storage is taken to be empty.
///
/// # Errors
/// See [`ExactError`].
pub(super) fn created(
    chain_id: u64,
    (factory, salt): (Address, B256),
    creation: &[u8],
    known: &[(Address, Bytes)],
) -> Result<Vec<(Address, Bytes)>, ExactError> {
    let mut database = CacheDB::new(EmptyDB::default());
    let mut put = |address: Address, code: &Bytes| {
        let code = Bytecode::new_raw(code.clone());
        database.insert_account_info(address, AccountInfo::default().with_code(code));
    };
    put(factory, &factory::CODE);
    known.iter().for_each(|(address, code)| put(*address, code));
    let transaction = TxEnv {
        caller: CALLER,
        kind: TxKind::Call(factory),
        data: factory::calldata(salt, creation),
        gas_limit: GAS,
        gas_price: 0,
        value: U256::ZERO,
        chain_id: Some(chain_id),
        ..TxEnv::default()
    };
    let mut rules =
        CfgEnv::new().with_chain_id(chain_id).with_spec_and_mainnet_gas_params(SpecId::OSAKA);
    rules.disable_block_gas_limit = true;
    rules.disable_base_fee = true;
    rules.tx_gas_limit_cap = Some(u64::MAX);
    let outcome = Context::mainnet()
        .with_db(database)
        .with_cfg(rules)
        .build_mainnet()
        .transact(transaction)
        .map_err(|error| ExactError::Evm(error.to_string()))?;
    if !outcome.result.is_success() {
        return Err(ExactError::Refused);
    }
    let main = factory::address_of(factory, salt, creation);
    let mut left: Vec<_> = outcome
        .state
        .into_iter()
        .filter(|(_, account)| account.is_created())
        .filter_map(|(address, account)| Some((address, account.info.code?.original_bytes())))
        .filter(|(_, code)| !code.is_empty())
        .collect();
    left.sort_by_key(|(address, _)| (*address != main, *address));
    if left.first().is_none_or(|(address, _)| *address != main) {
        return Err(ExactError::Refused);
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::bytes;

    use super::*;

    #[test]
    fn a_creation_is_computed_with_its_address_and_a_refusing_one_is_not() {
        // Leaves ADDRESS (20 bytes) as its code.
        let own_address = bytes!("30 5f 52 60 14 60 0c f3");
        let at = (factory::CANONICAL, B256::repeat_byte(1));
        let left = created(1, at, &own_address, &[]).unwrap();
        let main = factory::address_of(at.0, at.1, &own_address);
        assert_eq!(left, vec![(main, Bytes::copy_from_slice(main.as_slice()))]);
        assert_eq!(created(1, at, &bytes!("5f5ffd"), &[]), Err(ExactError::Refused));
        assert_eq!(created(1, at, &[], &[]), Err(ExactError::Refused), "leaves no code");
    }

    #[test]
    fn contracts_that_a_constructor_creates_are_found() {
        // CREATE of one that leaves the byte 0x00 (its code: 60015ff3 returns one zero byte), then leaves CHAINID as code.
        let nested = bytes!("6360015ff3 5f52 6004 601c 5f f0 50 46 5f 52 6001 601f f3");
        let left = created(7, (factory::CANONICAL, B256::ZERO), &nested, &[]).unwrap();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(left[0].1, bytes!("07"));
        assert_eq!(left[1].1, bytes!("00"));
    }
}
