//! `eth_call`, `eth_estimateGas` and `eth_createAccessList`: execution that leaves no trace.

use alloy::rpc::types::{
    TransactionRequest,
    state::{AccountOverride, StateOverride},
};
use alloy_primitives::{B256, Bytes, U64, U256, keccak256};
use revm::{
    bytecode::Bytecode,
    context::TxEnv,
    context_interface::{
        Cfg,
        result::{ExecutionResult, ResultAndState},
    },
};
use serde_json::json;

use super::{
    Answer,
    error::RpcError,
    params::{Params, state_at},
    to_value,
};
use crate::devnet::{
    executor::{self, BlockContext},
    node::Node,
    state::View,
};

/// The cheapest transaction there is.
const TX_GAS_MIN: u64 = 21_000;

/// An estimate may be this much too high, in thousandths: geth's bound too, it saves half of the runs.
const ESTIMATE_TOLERANCE_PER_MILLE: u64 = 15;

struct Call<'a> {
    node: &'a Node,
    request: TransactionRequest,
    view: View<'a>,
    context: BlockContext,
}

impl<'a> Call<'a> {
    fn new(node: &'a Node, params: &Params) -> Result<Self, RpcError> {
        let request: TransactionRequest = params.get(0)?;
        if request.gas_price.is_some() && request.max_fee_per_gas.is_some() {
            return Err(RpcError::params(
                "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
            ));
        }
        if request.blob_versioned_hashes.is_some() || request.max_fee_per_blob_gas.is_some() {
            return Err(RpcError::params("blob transactions are not supported"));
        }
        if let Some(want) = request.chain_id
            && want != node.config.chain_id
        {
            let have = node.config.chain_id;
            return Err(RpcError::params(format!(
                "chainId does not match node's (have={want}, want={have})"
            )));
        }
        let (mut view, context) = state_at(node, params.block(1)?)?;
        if let Some(overrides) = params.optional::<StateOverride>(2)? {
            for (address, account) in overrides {
                override_account(&mut view, address, account)?;
            }
        }
        Ok(Self { node, request, view, context })
    }

    fn tx(&self, gas: u64) -> TxEnv {
        executor::call_env(&self.request, gas, self.node.config.chain_id)
    }

    fn run(&mut self, gas: u64) -> Result<ResultAndState, RpcError> {
        let tx = self.tx(gas);
        let rules = executor::call_rules(&self.node.rules, &tx);
        Ok(executor::execute(&mut self.view, &rules, &self.context, tx)?)
    }

    /// Gas that the sender can pay for at the price it named; no bound without a price.
    fn affordable(&self) -> Result<u64, RpcError> {
        let tx = self.tx(0);
        if tx.gas_price == 0 {
            return Ok(u64::MAX);
        }
        let balance = self.view.balance(tx.caller);
        let left = balance.checked_sub(tx.value).ok_or_else(|| {
            RpcError::server(format!(
                "insufficient funds for gas * price + value: address {} have {balance} want {}",
                tx.caller, tx.value
            ))
        })?;
        Ok((left / U256::from(tx.gas_price)).saturating_to())
    }
}

fn override_account(
    view: &mut View<'_>,
    address: alloy_primitives::Address,
    account: AccountOverride,
) -> Result<(), RpcError> {
    if account.state.is_some() || account.move_precompile_to.is_some() {
        return Err(RpcError::params(
            "of the state overrides, only balance, nonce, code and stateDiff are supported",
        ));
    }
    let mut info = view.account(address).unwrap_or_default();
    if let Some(balance) = account.balance {
        info.balance = balance;
    }
    if let Some(nonce) = account.nonce {
        info.nonce = nonce;
    }
    if let Some(code) = account.code {
        info.code_hash = keccak256(&code);
        info.code = Some(
            Bytecode::new_raw_checked(code).map_err(|error| RpcError::params(error.to_string()))?,
        );
    }
    view.changes.set_account(address, info);
    for (slot, value) in account.state_diff.into_iter().flatten() {
        view.changes
            .storage
            .insert((address, U256::from_be_bytes(slot.0)), U256::from_be_bytes(value.0));
    }
    Ok(())
}

/// `eth_call`.
pub(super) fn call(node: &Node, params: &Params) -> Answer {
    let mut call = Call::new(node, params)?;
    let cap = node.config.limits.call_gas;
    let gas = call.request.gas.unwrap_or(cap).min(cap);
    let gas = if call.request.gas.is_none() { gas.min(call.affordable()?) } else { gas };
    let output: Bytes = RpcError::output_of(call.run(gas)?.result)?;
    to_value(output)
}

/// `eth_estimateGas`: the least gas limit, up to the tolerance, with which the transaction succeeds.
pub(super) fn estimate(node: &Node, params: &Params) -> Answer {
    let mut call = Call::new(node, params)?;
    let asked = call.request.gas.filter(|gas| *gas >= TX_GAS_MIN).unwrap_or(call.context.gas_limit);
    let high = asked
        .min(node.config.limits.call_gas)
        .min(node.rules.tx_gas_limit_cap())
        .min(call.affordable()?);
    let first = match call.run(high)?.result {
        ExecutionResult::Halt {
            reason: revm::context_interface::result::HaltReason::OutOfGas(_),
            ..
        } => {
            return Err(RpcError::server(format!("gas required exceeds allowance ({high})")));
        }
        result @ ExecutionResult::Success { .. } => result,
        failed => {
            return Err(RpcError::output_of(failed)
                .err()
                .unwrap_or_else(|| RpcError::internal("no output")));
        }
    };
    search(&mut call, high, &first)
}

fn search(call: &mut Call<'_>, mut high: u64, first: &ExecutionResult) -> Answer {
    // What it used after refunds is the least it can do with; refunds and the 63/64 rule may ask for more.
    let mut low = first.tx_gas_used().saturating_sub(1);
    let spent = first.gas().total_gas_spent().max(first.gas().floor_gas());
    let for_inner_calls = spent.saturating_add(2_300).saturating_mul(64) / 63;
    for guess in [spent, for_inner_calls] {
        if (low + 1..high).contains(&guess) {
            if succeeds(call, guess)? {
                high = guess;
                break;
            }
            low = guess;
        }
    }
    while low + 1 < high && (high - low) * 1_000 > high * ESTIMATE_TOLERANCE_PER_MILLE {
        let middle = low + (high - low) / 2;
        if succeeds(call, middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    to_value(U64::from(high))
}

/// Whether the call succeeds with this much gas. Too little gas for the data counts as a failure, not as an error.
fn succeeds(call: &mut Call<'_>, gas: u64) -> Result<bool, RpcError> {
    use revm::context_interface::result::InvalidTransaction;
    let tx = call.tx(gas);
    let rules = executor::call_rules(&call.node.rules, &tx);
    match executor::execute(&mut call.view, &rules, &call.context, tx) {
        Ok(outcome) => Ok(outcome.result.is_success()),
        Err(executor::Refusal::Transaction(
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
        )) => Ok(false),
        Err(refusal) => Err(refusal.into()),
    }
}

/// `eth_createAccessList`: the accounts and slots a call touches, from a run without a list.
pub(super) fn access_list(node: &Node, params: &Params) -> Answer {
    let mut call = Call::new(node, params)?;
    let cap = node.config.limits.call_gas.min(node.rules.tx_gas_limit_cap());
    let gas = call.request.gas.unwrap_or(cap).min(cap);
    let outcome = call.run(gas)?;
    let tx = call.tx(gas);
    let warm_anyway = |address| {
        Some(&address) == tx.kind.to()
            || address == tx.caller
            || address == crate::devnet::config::BENEFICIARY
    };
    let mut list: Vec<_> = outcome
        .state
        .iter()
        .filter(|(address, account)| !account.storage.is_empty() || !warm_anyway(**address))
        .map(|(address, account)| {
            let mut keys: Vec<B256> =
                account.storage.keys().map(|slot| B256::from(*slot)).collect();
            keys.sort_unstable();
            (*address, keys)
        })
        .collect();
    list.sort_unstable();
    let items: Vec<_> = list
        .into_iter()
        .map(|(address, keys)| json!({ "address": address, "storageKeys": keys }))
        .collect();
    let error = (!outcome.result.is_success()).then_some("execution reverted");
    let mut answer =
        json!({ "accessList": items, "gasUsed": U64::from(outcome.result.tx_gas_used()) });
    if let (Some(error), Some(fields)) = (error, answer.as_object_mut()) {
        fields.insert("error".to_owned(), json!(error));
    }
    Ok(answer)
}
