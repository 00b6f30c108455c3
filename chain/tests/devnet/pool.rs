//! What the pool lets in, and what it says to the rest.

use alloy::{
    eips::BlockNumberOrTag,
    network::TransactionBuilder,
    primitives::{Bytes, U256},
    providers::Provider,
    rpc::types::TransactionRequest,
};
use chain::devnet::{Devnet, DevnetConfig, Limits};

use super::{NOBODY, Transfer, http, manual, refusal};

#[tokio::test]
async fn each_hopeless_transaction_is_refused_by_name() {
    let devnet = manual().await;
    Transfer::default().send(&devnet).await.unwrap();
    devnet.mine(1).await.unwrap();
    let ether = U256::from(10).pow(U256::from(18));
    let cases = [
        (Transfer::default(), "nonce too low: next nonce 1, tx nonce 0"),
        (
            Transfer { gas: 20_999, nonce: 1, ..Default::default() },
            "intrinsic gas too low: gas 20999, minimum needed 21000",
        ),
        (
            Transfer { gas: 16_777_217, nonce: 1, ..Default::default() },
            "transaction gas limit too high (cap: 16777216, tx: 16777217)",
        ),
        (
            Transfer { tip: 4_000_000_000, nonce: 1, ..Default::default() },
            "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: 4000000000, maxFeePerGas: 3000000000",
        ),
        (
            Transfer { value: ether * U256::from(10_001), nonce: 1, ..Default::default() },
            "insufficient funds for gas * price + value: balance",
        ),
        (
            Transfer {
                data: vec![0; 128 * 1024].into(),
                gas: 16_000_000,
                nonce: 1,
                ..Default::default()
            },
            "oversized data: transaction size",
        ),
    ];
    for (transfer, expected) in cases {
        let (code, message) = refusal(transfer.send(&devnet).await);
        assert_eq!(code, -32_000);
        assert!(message.starts_with(expected), "{message} is not {expected}");
    }
    // The cap itself is fine.
    Transfer { gas: 16_777_216, nonce: 1, ..Default::default() }.send(&devnet).await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_transaction_for_this_chain_are_refused() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    for garbage in [vec![], vec![0x02], vec![0xc0], vec![0xff; 300]] {
        let (code, message) = refusal(provider.send_raw_transaction(&garbage).await);
        assert_eq!(code, -32_000, "{message}");
    }
    let raw = Transfer::default().raw(&devnet).await;
    let trailing: Bytes = [raw.as_ref(), &[0]].concat().into();
    refusal(provider.send_raw_transaction(&trailing).await);
    let other =
        Devnet::start(DevnetConfig { chain_id: 1, ..DevnetConfig::manual() }).await.unwrap();
    let foreign = Transfer::default().raw(&other).await;
    let (_, message) = refusal(provider.send_raw_transaction(&foreign).await);
    assert!(message.contains("invalid chain id for signer: have 1 want 31337"), "{message}");
    let _pending = provider.send_raw_transaction(&raw).await.unwrap();
    let (_, message) = refusal(provider.send_raw_transaction(&raw).await);
    assert_eq!(message, "already known");
}

#[tokio::test]
async fn a_replacement_must_pay_a_tenth_more_of_both_fees() {
    let devnet = manual().await;
    let first = Transfer::default().send(&devnet).await.unwrap();
    for (fee, tip) in [
        (3_299_999_999, 1_100_000_000),
        (3_300_000_000, 1_099_999_999),
        (9_000_000_000, 1_000_000_000),
    ] {
        let (_, message) = refusal(Transfer { fee, tip, ..Default::default() }.send(&devnet).await);
        assert_eq!(message, "replacement transaction underpriced");
    }
    let second = Transfer { fee: 3_300_000_000, tip: 1_100_000_000, ..Default::default() };
    let second = second.send(&devnet).await.unwrap();
    devnet.mine(1).await.unwrap();
    let provider = http(&devnet, 0);
    assert!(provider.get_transaction_receipt(first).await.unwrap().is_none());
    assert!(provider.get_transaction_by_hash(first).await.unwrap().is_none());
    assert!(provider.get_transaction_receipt(second).await.unwrap().unwrap().status());
}

#[tokio::test]
async fn transactions_behind_a_gap_wait_until_it_closes() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    let owner = devnet.accounts()[0].address;
    let late = Transfer { nonce: 1, ..Default::default() }.send(&devnet).await.unwrap();
    devnet.mine(1).await.unwrap();
    assert!(provider.get_transaction_receipt(late).await.unwrap().is_none());
    assert_eq!(provider.get_transaction_count(owner).pending().await.unwrap(), 0);
    let status: serde_json::Value = provider.raw_request("txpool_status".into(), ()).await.unwrap();
    assert_eq!(status, serde_json::json!({ "pending": "0x0", "queued": "0x1" }));
    Transfer::default().send(&devnet).await.unwrap();
    assert_eq!(provider.get_transaction_count(owner).pending().await.unwrap(), 2);
    devnet.mine(1).await.unwrap();
    assert_eq!(
        provider.get_transaction_receipt(late).await.unwrap().unwrap().transaction_index,
        Some(1)
    );
}

#[tokio::test]
async fn a_fee_below_the_base_fee_waits_until_the_base_fee_falls() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    let cheap =
        Transfer { fee: 800_000_000, tip: 0, ..Default::default() }.send(&devnet).await.unwrap();
    devnet.mine(1).await.unwrap();
    assert!(
        provider.get_transaction_receipt(cheap).await.unwrap().is_none(),
        "875,000,000 is too dear"
    );
    assert_eq!(provider.get_transaction_by_hash(cheap).await.unwrap().unwrap().block_hash, None);
    devnet.mine(1).await.unwrap();
    assert!(provider.get_transaction_receipt(cheap).await.unwrap().is_some(), "765,625,000 is not");
    let request = TransactionRequest::default()
        .with_from(devnet.accounts()[0].address)
        .with_to(NOBODY)
        .with_max_fee_per_gas(1)
        .with_max_priority_fee_per_gas(0);
    let (_, message) = refusal(provider.call(request).await);
    assert_eq!(message, "max fee per gas less than block base fee");
}

#[tokio::test]
async fn what_a_sender_queued_counts_against_its_balance() {
    let devnet = manual().await;
    let ether = U256::from(10).pow(U256::from(18));
    Transfer { value: ether * U256::from(6_000), ..Default::default() }
        .send(&devnet)
        .await
        .unwrap();
    let second = Transfer { nonce: 1, value: ether * U256::from(6_000), ..Default::default() };
    let (_, message) = refusal(second.send(&devnet).await);
    assert!(message.contains("queued cost"), "{message}");
}

#[tokio::test]
async fn the_pool_is_bounded_and_the_better_payer_gets_the_place() {
    let limits = Limits { pool: 3, pool_per_sender: 2, ..Default::default() };
    let devnet = Devnet::start(DevnetConfig { limits, ..DevnetConfig::manual() }).await.unwrap();
    let kept = Transfer { from: 0, ..Default::default() }.send(&devnet).await.unwrap();
    let victim =
        Transfer { from: 0, nonce: 1, tip: 5, ..Default::default() }.send(&devnet).await.unwrap();
    let (_, message) =
        refusal(Transfer { from: 0, nonce: 2, ..Default::default() }.send(&devnet).await);
    assert_eq!(message, "account limit exceeded: pooled 2 txs");
    Transfer { from: 1, ..Default::default() }.send(&devnet).await.unwrap();
    let (_, message) =
        refusal(Transfer { from: 2, tip: 5, ..Default::default() }.send(&devnet).await);
    assert_eq!(message, "txpool is full");
    Transfer { from: 2, tip: 6, ..Default::default() }.send(&devnet).await.unwrap();
    let provider = http(&devnet, 0);
    assert!(provider.get_transaction_by_hash(victim).await.unwrap().is_none());
    assert!(provider.get_transaction_by_hash(kept).await.unwrap().is_some());
}

#[tokio::test]
async fn a_block_takes_the_highest_tip_first_and_no_more_than_its_gas() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    let mut sent = Vec::new();
    for from in 0..5 {
        let tip = 1_000_000_000 + from as u128;
        sent.push(
            Transfer { from, tip, gas: 16_000_000, ..Default::default() }
                .send(&devnet)
                .await
                .unwrap(),
        );
    }
    devnet.mine(1).await.unwrap();
    let block = provider.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
    let hashes: Vec<_> = block.transactions.hashes().collect();
    let expected: Vec<_> = sent.iter().rev().copied().collect();
    // Gas limits only have to fit into what is left, and each uses 21,000 only.
    assert_eq!(hashes, expected);
}
