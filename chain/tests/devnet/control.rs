//! Steering the chain: time, mining, snapshots, balances, reorganisations.

use alloy::network::TransactionBuilder;
use alloy::{
    consensus::BlockHeader,
    primitives::{B256, U64, U256},
    providers::Provider,
    rpc::types::TransactionRequest,
};
use chain::devnet::{Devnet, DevnetConfig, DevnetError, Mining};
use serde_json::{Value, json};

use super::{DevToken, NOBODY, Transfer, http, instant, manual, refusal};

/// A control method.
async fn control(provider: &impl Provider, method: &'static str, params: Value) -> Value {
    provider.raw_request(method.into(), params).await.unwrap()
}

#[tokio::test]
async fn time_travels_by_handle_and_by_rpc() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    let (_, start) = devnet.latest().unwrap();
    devnet.set_time(start + 1_000).unwrap();
    devnet.mine(1).await.unwrap();
    assert_eq!(devnet.latest().unwrap().1, start + 1_000);
    devnet.advance_time(3_600).unwrap();
    devnet.mine(1).await.unwrap();
    let (_, time) = devnet.latest().unwrap();
    assert!((start + 4_600..start + 4_700).contains(&time), "{time} after {start}");
    assert!(matches!(devnet.set_time(time), Err(DevnetError::TimeNotAfter { .. })));
    assert!(matches!(devnet.advance_time(u64::MAX), Err(DevnetError::Bound { .. })));

    control(&provider, "evm_increaseTime", json!([600])).await;
    control(&provider, "evm_mine", json!([])).await;
    let time_2 = devnet.latest().unwrap().1;
    assert!((time + 600..time + 700).contains(&time_2));
    control(&provider, "evm_setNextBlockTimestamp", json!([time_2 + 5_000])).await;
    let pending = provider
        .get_block_by_number(alloy::eips::BlockNumberOrTag::Pending)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(pending.header.timestamp(), time_2 + 5_000);
    control(&provider, "anvil_mine", json!(["0x3", "0xa"])).await;
    assert_eq!(devnet.latest().unwrap().1, time_2 + 5_020);
    let past =
        provider.raw_request::<_, Value>("evm_setNextBlockTimestamp".into(), json!([1])).await;
    let (_, message) = refusal(past);
    assert!(message.starts_with("timestamp 1 is not after"), "{message}");
}

#[tokio::test]
async fn balances_mining_modes_and_base_fees_are_set_as_with_anvil() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    control(&provider, "anvil_setBalance", json!([NOBODY, "0x7b"])).await;
    assert_eq!(provider.get_balance(NOBODY).await.unwrap(), U256::from(123));
    devnet.mine(1).await.unwrap();
    assert_eq!(provider.get_balance(NOBODY).block_id(0.into()).await.unwrap(), U256::ZERO);
    assert_eq!(provider.get_balance(NOBODY).block_id(1.into()).await.unwrap(), U256::from(123));
    control(&provider, "anvil_setNextBlockBaseFeePerGas", json!(["0x3b9aca00"])).await;
    devnet.mine(1).await.unwrap();
    let block = provider.get_block_by_number(2.into()).await.unwrap().unwrap();
    assert_eq!(block.header.base_fee_per_gas(), Some(1_000_000_000));

    control(&provider, "evm_setAutomine", json!([true])).await;
    let hash = Transfer::default().send(&devnet).await.unwrap();
    assert!(provider.get_transaction_receipt(hash).await.unwrap().is_some());
    devnet.set_mining(Mining::Manual).unwrap();
    let hash = Transfer { nonce: 1, ..Default::default() }.send(&devnet).await.unwrap();
    assert!(provider.get_transaction_receipt(hash).await.unwrap().is_none());
    assert_eq!(control(&provider, "anvil_dropTransaction", json!([hash])).await, json!(hash));
    devnet.mine(1).await.unwrap();
    assert!(provider.get_transaction_by_hash(hash).await.unwrap().is_none());
}

#[tokio::test]
async fn a_snapshot_brings_everything_back_once() {
    let devnet = instant().await;
    let provider = http(&devnet, 0);
    let token = DevToken::deploy(&provider, "Dev".into(), "DEV".into(), 6).await.unwrap();
    control(&provider, "anvil_setBalance", json!([NOBODY, "0x1"])).await;
    let id = control(&provider, "evm_snapshot", json!([])).await;
    let root = |block: alloy::rpc::types::Block| (block.header.state_root(), block.header.hash);
    let before = root(provider.get_block_by_number(1.into()).await.unwrap().unwrap());
    token.mint(NOBODY, U256::from(9)).send().await.unwrap().get_receipt().await.unwrap();
    control(&provider, "anvil_setBalance", json!([NOBODY, "0x5"])).await;
    assert_eq!(control(&provider, "evm_revert", json!([id])).await, json!(true));
    assert_eq!(provider.get_block_number().await.unwrap(), 1);
    assert_eq!(root(provider.get_block_by_number(1.into()).await.unwrap().unwrap()), before);
    assert_eq!(token.balanceOf(NOBODY).call().await.unwrap(), U256::ZERO);
    assert_eq!(provider.get_balance(NOBODY).await.unwrap(), U256::ONE);
    assert_eq!(control(&provider, "evm_revert", json!([id])).await, json!(false), "used up");
    // The chain goes on, with the nonce of the snapshot (a fresh provider caches none).
    let token = DevToken::new(*token.address(), http(&devnet, 0));
    token.mint(NOBODY, U256::from(3)).send().await.unwrap().get_receipt().await.unwrap();
    assert_eq!(token.balanceOf(NOBODY).call().await.unwrap(), U256::from(3));
}

#[tokio::test]
async fn a_reorganisation_rewinds_state_and_returns_transactions_to_the_pool() {
    let devnet =
        Devnet::start(DevnetConfig { finality_depth: 3, ..DevnetConfig::manual() }).await.unwrap();
    let provider = http(&devnet, 0);
    devnet.mine(2).await.unwrap();
    let hash = Transfer { value: U256::from(8), ..Default::default() }.send(&devnet).await.unwrap();
    devnet.mine(2).await.unwrap();
    let old = provider.get_block_by_number(3.into()).await.unwrap().unwrap().header;
    let root_2 = provider.get_block_by_number(2.into()).await.unwrap().unwrap().header.state_root();
    devnet.reorganise(2).await.unwrap();

    let new = provider.get_block_by_number(3.into()).await.unwrap().unwrap().header;
    assert_eq!(provider.get_block_number().await.unwrap(), 4);
    assert_ne!(new.hash, old.hash);
    assert_eq!((new.parent_hash(), new.timestamp()), (old.parent_hash(), old.timestamp()));
    assert_eq!(new.state_root(), root_2, "the state is back to what it was");
    assert!(provider.get_block_by_hash(old.hash).await.unwrap().is_none());
    assert!(provider.get_transaction_receipt(hash).await.unwrap().is_none());
    assert_eq!(provider.get_balance(NOBODY).await.unwrap(), U256::ZERO);
    assert_eq!(provider.get_transaction_by_hash(hash).await.unwrap().unwrap().block_number, None);
    devnet.mine(1).await.unwrap();
    let receipt = provider.get_transaction_receipt(hash).await.unwrap().unwrap();
    assert_eq!(receipt.block_number, Some(5));
    assert_eq!(provider.get_balance(NOBODY).await.unwrap(), U256::from(8));
}

#[tokio::test]
async fn a_reorganisation_can_replace_a_transaction_by_its_double_spend() {
    let devnet =
        Devnet::start(DevnetConfig { finality_depth: 8, ..DevnetConfig::manual() }).await.unwrap();
    let provider = http(&devnet, 0);
    let first = Transfer::default().send(&devnet).await.unwrap();
    devnet.mine(2).await.unwrap();
    let second = Transfer { value: U256::from(2), ..Default::default() }.raw(&devnet).await;
    control(&provider, "anvil_reorg", json!([2, [[second, 1]]])).await;
    assert_eq!(provider.get_balance(NOBODY).await.unwrap(), U256::from(2));
    let block = provider.get_block_by_number(2.into()).await.unwrap().unwrap();
    assert_eq!(block.transactions.len(), 1);
    devnet.mine(1).await.unwrap();
    assert!(provider.get_transaction_receipt(first).await.unwrap().is_none(), "its nonce is used");
}

#[tokio::test]
async fn a_final_block_is_never_reverted_by_a_reorganisation() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    devnet.mine(5).await.unwrap();
    assert!(matches!(
        devnet.reorganise(3).await,
        Err(DevnetError::BelowFinalized { depth: 3, finalized: 3 })
    ));
    devnet.reorganise(2).await.unwrap();
    control(&provider, "anvil_rollback", json!([1])).await;
    assert_eq!(provider.get_block_number().await.unwrap(), 4);
    let finalized = provider
        .get_block_by_number(alloy::eips::BlockNumberOrTag::Finalized)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(finalized.header.number(), 3, "finality does not go back with the head");
    let deeper = provider.raw_request::<_, Value>("anvil_reorg".into(), json!([2])).await;
    assert!(refusal(deeper).1.contains("reaches below finalized block 3"));
}

#[tokio::test]
async fn a_contract_sees_the_hashes_of_the_branch_it_is_on() {
    let devnet =
        Devnet::start(DevnetConfig { finality_depth: 8, ..DevnetConfig::manual() }).await.unwrap();
    let provider = http(&devnet, 0);
    devnet.mine(2).await.unwrap();
    // MSTORE(0, BLOCKHASH(1)); RETURN(0, 32), as creation code.
    let probe = TransactionRequest::default()
        .with_deploy_code(alloy::primitives::bytes!("6001405f5260205ff3"));
    for _ in 0..2 {
        let seen = B256::from_slice(&provider.call(probe.clone()).await.unwrap());
        assert_eq!(
            seen,
            provider.get_block_by_number(1.into()).await.unwrap().unwrap().header.hash
        );
        devnet.reorganise(2).await.unwrap();
    }
    let number: U64 = provider.raw_request("eth_blockNumber".into(), ()).await.unwrap();
    assert_eq!(number, U64::from(2));
}
