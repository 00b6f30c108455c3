//! Deploy, call, send, receipts, logs, blocks, fees.

use std::time::{Duration, Instant};

use alloy::{
    consensus::{BlockHeader, proofs},
    eips::{BlockId, BlockNumberOrTag},
    network::TransactionBuilder,
    primitives::{B256, Bytes, U256, keccak256},
    providers::Provider,
    rpc::types::{Filter, TransactionRequest},
    sol_types::SolEvent,
};
use chain::devnet::{Devnet, DevnetConfig, Mining};

use super::{DevToken, NOBODY, Transfer, http, instant, manual, refusal};

#[tokio::test]
async fn a_contract_is_deployed_called_and_its_events_are_found() {
    let devnet = instant().await;
    let provider = http(&devnet, 0);
    let token = DevToken::deploy(&provider, "Dev".into(), "DEV".into(), 6).await.unwrap();
    let owner = devnet.accounts()[0].address;
    let receipt =
        token.mint(owner, U256::from(1_000)).send().await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.inner.logs()[0].log_index, Some(0));
    let receipt =
        token.transfer(NOBODY, U256::from(400)).send().await.unwrap().get_receipt().await.unwrap();
    assert_eq!(token.balanceOf(NOBODY).call().await.unwrap(), U256::from(400));
    assert_eq!(token.decimals().call().await.unwrap(), 6);

    let filter = Filter::new()
        .address(*token.address())
        .event_signature(DevToken::Transfer::SIGNATURE_HASH)
        .from_block(BlockNumberOrTag::Earliest);
    let logs = provider.get_logs(&filter).await.unwrap();
    assert_eq!(logs.len(), 2);
    let transfer = logs[1].log_decode::<DevToken::Transfer>().unwrap().inner.data;
    assert_eq!((transfer.from, transfer.to, transfer.value), (owner, NOBODY, U256::from(400)));
    let by_hash =
        Filter::new().at_block_hash(receipt.block_hash.unwrap()).topic2(NOBODY.into_word());
    assert_eq!(provider.get_logs(&by_hash).await.unwrap().len(), 1);
    let elsewhere = Filter::new().from_block(0).topic2(B256::ZERO);
    assert!(provider.get_logs(&elsewhere).await.unwrap().is_empty());
    devnet.shutdown().await;
}

#[tokio::test]
async fn a_custom_error_reaches_the_caller_of_call_and_of_estimate() {
    let devnet = instant().await;
    let provider = http(&devnet, 0);
    let token = DevToken::deploy(&provider, "Dev".into(), "DEV".into(), 6).await.unwrap();
    let call = token.transfer(NOBODY, U256::from(7));
    let error = call.call().await.unwrap_err();
    let decoded = error.as_decoded_error::<DevToken::ERC20InsufficientBalance>().unwrap();
    assert_eq!(decoded.needed, U256::from(7));
    let error = call.estimate_gas().await.unwrap_err();
    assert!(error.as_decoded_error::<DevToken::ERC20InsufficientBalance>().is_some(), "{error}");
    let (code, message) = refusal(provider.call(call.into_transaction_request()).await);
    assert_eq!((code, message.as_str()), (3, "execution reverted"));
}

#[tokio::test]
async fn a_failed_transaction_is_mined_with_status_zero_and_pays_its_gas() {
    let devnet = instant().await;
    let provider = http(&devnet, 0);
    let token = DevToken::deploy(&provider, "Dev".into(), "DEV".into(), 6).await.unwrap();
    let sent = token.transfer(NOBODY, U256::from(7)).gas(100_000).send().await.unwrap();
    let receipt = sent.get_receipt().await.unwrap();
    assert!(!receipt.status());
    assert!(receipt.inner.logs().is_empty());
    assert!(receipt.gas_used > 21_000 && receipt.gas_used < 100_000);
}

#[tokio::test]
async fn calldata_costs_its_floor_under_eip_7623() {
    let devnet = instant().await;
    let provider = http(&devnet, 0);
    let request =
        TransactionRequest::default().with_to(NOBODY).with_input(Bytes::from(vec![1; 1_000]));
    assert_eq!(provider.estimate_gas(request.clone()).await.unwrap(), 61_000);
    let receipt = provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
    assert_eq!(receipt.gas_used, 61_000);
    let data = Bytes::from(vec![1; 1_000]);
    let (_, message) =
        refusal(Transfer { nonce: 1, gas: 60_999, data, ..Default::default() }.send(&devnet).await);
    assert_eq!(
        message,
        "insufficient gas for floor data gas cost: gas 60999, minimum needed 61000"
    );
}

#[tokio::test]
async fn blocks_are_chained_and_their_roots_are_those_of_their_contents() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    for nonce in 0..3 {
        Transfer { nonce, ..Default::default() }.send(&devnet).await.unwrap();
    }
    Transfer { from: 1, ..Default::default() }.send(&devnet).await.unwrap();
    devnet.mine(2).await.unwrap();
    let block = provider.get_block_by_number(1.into()).full().await.unwrap().unwrap();
    let child = provider.get_block_by_number(2.into()).await.unwrap().unwrap();
    assert_eq!(block.transactions.len(), 4);
    assert_eq!(child.header.parent_hash(), block.header.hash);
    assert_eq!(block.header.hash, block.header.inner.hash_slow());
    let transactions: Vec<_> =
        block.transactions.txns().map(|tx| tx.inner.inner().clone()).collect();
    assert_eq!(proofs::calculate_transaction_root(&transactions), block.header.transactions_root());
    assert!(child.header.timestamp() > block.header.timestamp());
    assert_ne!(block.header.state_root(), child.header.parent_hash());
    assert_eq!(
        block.header.state_root(),
        child.header.state_root(),
        "an empty block changes nothing"
    );

    let receipts = provider.get_block_receipts(BlockId::number(1)).await.unwrap().unwrap();
    let gas: Vec<u64> =
        receipts.iter().map(|receipt| receipt.inner.cumulative_gas_used()).collect();
    assert_eq!(gas, [21_000, 42_000, 63_000, 84_000]);
    assert_eq!(block.header.gas_used(), 84_000);
    let base_fee = u128::from(block.header.base_fee_per_gas().unwrap());
    assert!(receipts.iter().all(|receipt| receipt.effective_gas_price == base_fee + 1_000_000_000));
    let spent = receipts[0].effective_gas_price * 63_000 + 3;
    let start = U256::from(10_000) * U256::from(10).pow(U256::from(18));
    assert_eq!(
        provider.get_balance(devnet.accounts()[0].address).await.unwrap(),
        start - U256::from(spent),
        "exactly value and fees left the account"
    );
}

#[tokio::test]
async fn the_state_root_is_the_one_of_a_merkle_patricia_trie() {
    let devnet = Devnet::start(DevnetConfig {
        accounts: 2,
        genesis_time: Some(1),
        ..DevnetConfig::manual()
    })
    .await
    .unwrap();
    let genesis = http(&devnet, 0).get_block_by_number(0.into()).await.unwrap().unwrap();
    // Two leaves under one branch, encoded by hand.
    let account = |index: usize| {
        let balance = U256::from(10_000) * U256::from(10).pow(U256::from(18));
        let empty_root = keccak256([0x80]);
        let mut payload = vec![0x80, 0x8a];
        payload.extend(balance.to_be_bytes_trimmed_vec());
        payload.push(0xa0);
        payload.extend(empty_root);
        payload.push(0xa0);
        payload.extend(keccak256([]));
        let mut encoded = vec![0xf8, u8::try_from(payload.len()).unwrap()];
        encoded.extend(payload);
        (keccak256(devnet.accounts()[index].address), encoded)
    };
    let leaf = |(key, value): (B256, Vec<u8>)| {
        // An odd rest of 63 nibbles: prefix 3 in the first one.
        let mut path = key.to_vec();
        path[0] = 0x30 | (path[0] & 0x0f);
        let mut payload = vec![0xa0];
        payload.extend(path);
        payload.extend([0xb8, u8::try_from(value.len()).unwrap()]);
        payload.extend(value);
        let mut node = vec![0xf8, u8::try_from(payload.len()).unwrap()];
        node.extend(payload);
        (key[0] >> 4, keccak256(node))
    };
    let leaves = [leaf(account(0)), leaf(account(1))];
    assert_ne!(leaves[0].0, leaves[1].0, "the two accounts differ in their first nibble");
    let mut payload = Vec::new();
    for nibble in 0..16 {
        match leaves.iter().find(|(first, _)| *first == nibble) {
            Some((_, hash)) => {
                payload.push(0xa0);
                payload.extend(hash);
            }
            None => payload.push(0x80),
        }
    }
    payload.push(0x80);
    let mut branch = vec![0xf8, u8::try_from(payload.len()).unwrap()];
    branch.extend(payload);
    assert_eq!(genesis.header.state_root(), keccak256(branch));
}

#[tokio::test]
async fn older_states_are_readable_and_unknown_ones_are_refused_by_name() {
    let config = DevnetConfig { state_history: 4, finality_depth: 2, ..DevnetConfig::manual() };
    let devnet = Devnet::start(config).await.unwrap();
    let provider = http(&devnet, 0);
    for nonce in 0..6 {
        Transfer { nonce, ..Default::default() }.send(&devnet).await.unwrap();
        devnet.mine(1).await.unwrap();
    }
    for number in 2..=6_u64 {
        let balance = provider.get_balance(NOBODY).block_id(BlockId::number(number)).await.unwrap();
        assert_eq!(balance, U256::from(number));
        let owner = devnet.accounts()[0].address;
        assert_eq!(
            provider.get_transaction_count(owner).block_id(BlockId::number(number)).await.unwrap(),
            number
        );
    }
    let (_, message) = refusal(provider.get_balance(NOBODY).block_id(BlockId::number(1)).await);
    assert!(message.starts_with("missing state"), "{message}");
    let (_, message) = refusal(provider.get_balance(NOBODY).block_id(BlockId::number(99)).await);
    assert_eq!(message, "header not found");
    let tagged =
        async |tag| provider.get_block_by_number(tag).await.unwrap().unwrap().header.number;
    assert_eq!(tagged(BlockNumberOrTag::Latest).await, 6);
    assert_eq!(tagged(BlockNumberOrTag::Safe).await, 5);
    assert_eq!(tagged(BlockNumberOrTag::Finalized).await, 4);
    assert_eq!(tagged(BlockNumberOrTag::Earliest).await, 0);
    assert_eq!(tagged(BlockNumberOrTag::Pending).await, 7);
}

#[tokio::test]
async fn the_base_fee_follows_demand_and_fee_history_tells() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    Transfer { tip: 2_000_000_000, ..Default::default() }.send(&devnet).await.unwrap();
    devnet.mine(3).await.unwrap();
    let history =
        provider.get_fee_history(3, BlockNumberOrTag::Latest, &[0.0, 50.0, 100.0]).await.unwrap();
    assert_eq!(history.oldest_block, 1);
    assert_eq!(history.base_fee_per_gas[0], 875_000_000, "an empty genesis lowers it by an eighth");
    assert!(history.base_fee_per_gas.windows(2).all(|pair| pair[1] < pair[0]));
    assert_eq!(history.base_fee_per_gas.len(), 4);
    assert!((history.gas_used_ratio[0] - 21_000.0 / 60_000_000.0).abs() < 1e-12);
    assert_eq!(history.reward.unwrap(), [vec![2_000_000_000; 3], vec![0; 3], vec![0; 3]]);
    assert_eq!(provider.get_max_priority_fee_per_gas().await.unwrap(), 1_000_000_000);
    let next = history.base_fee_per_gas[3];
    assert_eq!(provider.get_gas_price().await.unwrap(), next + 1_000_000_000);
}

#[tokio::test]
async fn blocks_come_on_a_timer() {
    let mining = Mining::Every { millis: 50 };
    let devnet = Devnet::start(DevnetConfig { mining, ..Default::default() }).await.unwrap();
    let sent = http(&devnet, 0)
        .send_transaction(TransactionRequest::default().with_to(NOBODY).with_value(U256::ONE))
        .await
        .unwrap();
    assert!(sent.get_receipt().await.unwrap().status());
    let deadline = Instant::now() + Duration::from_secs(20);
    while devnet.latest().unwrap().0 < 5 {
        assert!(Instant::now() < deadline, "no blocks");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    devnet.shutdown().await;
}

#[tokio::test]
async fn calls_see_the_pending_block_and_estimates_fit_exactly() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    Transfer { value: U256::from(5), ..Default::default() }.send(&devnet).await.unwrap();
    let owner = devnet.accounts()[0].address;
    assert_eq!(provider.get_balance(NOBODY).await.unwrap(), U256::ZERO);
    assert_eq!(provider.get_balance(NOBODY).pending().await.unwrap(), U256::from(5));
    assert_eq!(provider.get_transaction_count(owner).await.unwrap(), 0);
    assert_eq!(provider.get_transaction_count(owner).pending().await.unwrap(), 1);
    let pending = provider.get_block_by_number(BlockNumberOrTag::Pending).await.unwrap().unwrap();
    assert_eq!(pending.transactions.len(), 1);
    assert_eq!(
        provider.get_block_by_number(0.into()).await.unwrap().unwrap().header.hash,
        pending.header.parent_hash
    );
    let plain =
        TransactionRequest::default().with_from(owner).with_to(NOBODY).with_value(U256::ONE);
    assert_eq!(provider.estimate_gas(plain).await.unwrap(), 21_000);
    // NUMBER, TIMESTAMP: creation code that returns them shows which block a call runs in.
    let code = Bytes::from(hex::decode("4360005242602052604060 00f3".replace(' ', "")).unwrap());
    let probe = TransactionRequest::default().with_from(owner).with_deploy_code(code);
    let now = provider.call(probe.clone()).block(BlockId::latest()).await.unwrap();
    let next = provider.call(probe).block(BlockId::pending()).await.unwrap();
    assert_eq!(
        (U256::from_be_slice(&now[..32]), U256::from_be_slice(&next[..32])),
        (U256::ZERO, U256::ONE)
    );
    assert!(U256::from_be_slice(&next[32..]) > U256::from_be_slice(&now[32..]));
}

#[tokio::test]
async fn code_over_the_eip_170_limit_is_not_deployed() {
    let devnet = instant().await;
    let provider = http(&devnet, 0);
    // RETURN(0, n): n zero bytes of code.
    let deploy = |length: u16| {
        let [high, low] = length.to_be_bytes();
        let code = Bytes::from(vec![0x61, high, low, 0x60, 0, 0xf3]);
        TransactionRequest::default().with_deploy_code(code).with_gas_limit(8_000_000)
    };
    let receipt =
        provider.send_transaction(deploy(0x6000)).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(
        provider.get_code_at(receipt.contract_address.unwrap()).await.unwrap().len(),
        0x6000
    );
    let receipt =
        provider.send_transaction(deploy(0x6001)).await.unwrap().get_receipt().await.unwrap();
    assert!(!receipt.status());
}
