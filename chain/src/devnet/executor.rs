//! The EVM: from a signed transaction or a call request to its effects.
//!
//! Three uses, with different rules:
//! - **blocks** apply everything that Osaka (or Prague) says; an invalid transaction is an error and changes nothing;
//! - **calls** (`eth_call`, `eth_estimateGas`) may come from anybody at any nonce, may be free, and are not bound by the
//!   block's or the transaction's gas cap, as in geth;
//! - **intrinsic gas** is asked for by the pool before a transaction is let in.

use alloy::{
    consensus::{Transaction as _, Typed2718},
    rpc::types::TransactionRequest,
};
use alloy_primitives::{Address, B256, TxKind, U256};
use revm::{
    Context, ExecuteEvm, MainBuilder, MainContext,
    context::{BlockEnv, CfgEnv, TxEnv, either::Either},
    context_interface::{
        block::BlobExcessGasAndPrice,
        cfg::gas::InitialAndFloorGas,
        result::{EVMError, ResultAndState},
    },
    primitives::{eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE, hardfork::SpecId},
};

use super::{
    blocks::SignedTx,
    config::{BENEFICIARY, DevnetConfig, Hardfork},
    state::View,
};

/// Why the EVM did not run a transaction at all.
pub(crate) type Refusal = EVMError<std::convert::Infallible>;

/// The header fields that a block's transactions can see.
#[derive(Clone, Debug)]
pub(crate) struct BlockContext {
    pub(crate) number: u64,
    pub(crate) timestamp: u64,
    pub(crate) base_fee: u64,
    pub(crate) gas_limit: u64,
    pub(crate) prev_randao: B256,
}

impl BlockContext {
    fn env(&self) -> BlockEnv {
        BlockEnv {
            number: U256::from(self.number),
            beneficiary: BENEFICIARY,
            timestamp: U256::from(self.timestamp),
            gas_limit: self.gas_limit,
            basefee: self.base_fee,
            difficulty: U256::ZERO,
            prevrandao: Some(self.prev_randao),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new(
                0,
                BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE,
            )),
            slot_num: 0,
        }
    }
}

/// The rules of the chain.
pub(crate) fn rules(config: &DevnetConfig) -> CfgEnv {
    let spec = match config.hardfork {
        Hardfork::Prague => SpecId::PRAGUE,
        Hardfork::Osaka => SpecId::OSAKA,
    };
    CfgEnv::new().with_chain_id(config.chain_id).with_spec_and_mainnet_gas_params(spec)
}

/// A signed transaction as the EVM takes it.
pub(crate) fn transaction_env(tx: &SignedTx) -> TxEnv {
    let inner = tx.inner();
    TxEnv {
        tx_type: inner.ty(),
        caller: tx.signer(),
        gas_limit: inner.gas_limit(),
        gas_price: inner.max_fee_per_gas(),
        kind: inner.kind(),
        value: inner.value(),
        data: inner.input().clone(),
        nonce: inner.nonce(),
        chain_id: inner.chain_id(),
        access_list: inner.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: inner.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: inner
            .authorization_list()
            .unwrap_or_default()
            .iter()
            .map(|authorization| Either::Left(authorization.clone()))
            .collect(),
    }
}

/// What a transaction pays before its first instruction, and the floor of EIP-7623.
pub(crate) fn intrinsic_gas(rules: &CfgEnv, tx: &SignedTx) -> InitialAndFloorGas {
    rules.gas_params.initial_tx_gas_for_tx(transaction_env(tx), None)
}

/// A call request as the EVM takes it, for `gas` units of gas.
pub(crate) fn call_env(request: &TransactionRequest, gas: u64, chain_id: u64) -> TxEnv {
    let priced = request.max_fee_per_gas.or(request.gas_price);
    let authorization_list: Vec<_> = request
        .authorization_list
        .iter()
        .flatten()
        .map(|authorization| Either::Left(authorization.clone()))
        .collect();
    let kind = request.to.unwrap_or(TxKind::Create);
    let mut env = TxEnv {
        tx_type: 0,
        caller: request.from.unwrap_or(Address::ZERO),
        gas_limit: gas,
        gas_price: priced.unwrap_or_default(),
        kind,
        value: request.value.unwrap_or_default(),
        data: request.input.input().cloned().unwrap_or_default(),
        nonce: 0,
        chain_id: Some(chain_id),
        access_list: request.access_list.clone().unwrap_or_default(),
        gas_priority_fee: request
            .max_fee_per_gas
            .map(|fee| request.max_priority_fee_per_gas.unwrap_or(0).min(fee)),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: if kind.is_create() { Vec::new() } else { authorization_list },
    };
    // Cannot fail: there are no blobs, and no authorizations without a target.
    if env.derive_tx_type().is_err() {
        env.tx_type = 0;
    }
    env
}

/// Relaxes the rules for a call.
pub(crate) fn call_rules(rules: &CfgEnv, tx: &TxEnv) -> CfgEnv {
    let mut relaxed = rules.clone();
    relaxed.disable_nonce_check = true;
    relaxed.disable_eip3607 = true;
    relaxed.disable_block_gas_limit = true;
    relaxed.disable_base_fee = tx.gas_price == 0;
    relaxed.tx_gas_limit_cap = Some(u64::MAX);
    relaxed
}

/// Runs one transaction on a view, without writing to it.
pub(crate) fn execute(
    view: &mut View<'_>,
    rules: &CfgEnv,
    block: &BlockContext,
    tx: TxEnv,
) -> Result<ResultAndState, Refusal> {
    Context::mainnet()
        .with_db(view)
        .with_cfg(rules.clone())
        .with_block(block.env())
        .build_mainnet()
        .transact(tx)
}
