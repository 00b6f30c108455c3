//! What clients hear without asking again: subscriptions and polled filters.

use std::time::Duration;

use alloy::{
    consensus::BlockHeader,
    eips::BlockNumberOrTag,
    primitives::{B256, U256},
    providers::Provider,
    rpc::types::{Filter, Log},
};
use chain::devnet::{Devnet, DevnetConfig};
use futures::StreamExt;
use tokio::time::timeout;

use super::{DevToken, NOBODY, Transfer, http, instant, manual, websocket};

/// The next item, within a generous time.
async fn next<T>(stream: &mut (impl futures::Stream<Item = T> + Unpin)) -> T {
    timeout(Duration::from_secs(20), stream.next())
        .await
        .expect("an item in time")
        .expect("an open stream")
}

#[tokio::test]
async fn heads_logs_and_pending_transactions_arrive_over_websocket() {
    let devnet = instant().await;
    let provider = websocket(&devnet, 0).await;
    let mut heads = provider.subscribe_blocks().await.unwrap().into_stream();
    let mut pending = provider.subscribe_pending_transactions().await.unwrap().into_stream();
    let token = DevToken::deploy(&provider, "Dev".into(), "DEV".into(), 6).await.unwrap();
    let mut transfers = token.Transfer_filter().subscribe().await.unwrap().into_stream();
    let sent = token.mint(NOBODY, U256::from(5)).send().await.unwrap();
    let hash = *sent.tx_hash();
    assert!(sent.get_receipt().await.unwrap().status());
    let (first, second) = (next(&mut heads).await, next(&mut heads).await);
    assert_eq!((first.number(), second.number()), (1, 2));
    assert_eq!(second.parent_hash(), first.hash);
    next(&mut pending).await;
    assert_eq!(next(&mut pending).await, hash);
    let (event, log) = next(&mut transfers).await.unwrap();
    assert_eq!((event.to, event.value, log.removed), (NOBODY, U256::from(5), false));
    assert_eq!(log.transaction_hash, Some(hash));
}

#[tokio::test]
async fn a_reorganisation_takes_logs_back_and_sends_the_new_heads() {
    let devnet =
        Devnet::start(DevnetConfig { finality_depth: 8, ..DevnetConfig::manual() }).await.unwrap();
    let provider = websocket(&devnet, 0).await;
    let token =
        DevToken::deploy_builder(&provider, "Dev".into(), "DEV".into(), 6).send().await.unwrap();
    devnet.mine(1).await.unwrap();
    let address = token.get_receipt().await.unwrap().contract_address.unwrap();
    let token = DevToken::new(address, provider.clone());
    let mut logs =
        provider.subscribe_logs(&Filter::new().address(address)).await.unwrap().into_stream();
    let mut heads = provider.subscribe_blocks().await.unwrap().into_stream();
    let polled = provider.new_filter(&Filter::new().address(address)).await.unwrap();

    let minted = token.mint(NOBODY, U256::from(5)).send().await.unwrap();
    devnet.mine(2).await.unwrap();
    let seen = next(&mut logs).await;
    devnet.reorganise(2).await.unwrap();
    let taken_back = next(&mut logs).await;
    assert_eq!(taken_back, Log { removed: true, ..seen.clone() }, "the same log, only removed");
    devnet.mine(1).await.unwrap();
    let again = next(&mut logs).await;
    assert_eq!((again.transaction_hash, again.block_number), (Some(*minted.tx_hash()), Some(4)));
    assert!(!again.removed);

    let mut numbers = Vec::new();
    for _ in 0..5 {
        numbers.push(next(&mut heads).await.number());
    }
    assert_eq!(numbers, [2, 3, 2, 3, 4]);
    let changes: Vec<Log> = provider.get_filter_changes(polled).await.unwrap();
    assert_eq!(changes, [seen, taken_back, again], "a polled filter tells the same story");
    let changes: Vec<Log> = provider.get_filter_changes(polled).await.unwrap();
    assert!(changes.is_empty());
}

#[tokio::test]
async fn filters_report_blocks_transactions_and_logs_since_the_last_poll() {
    let devnet = manual().await;
    let provider = http(&devnet, 0);
    let blocks = provider.new_block_filter().await.unwrap();
    let transactions = provider.new_pending_transactions_filter(false).await.unwrap();
    let hash = Transfer::default().send(&devnet).await.unwrap();
    devnet.mine(2).await.unwrap();
    let seen: Vec<B256> = provider.get_filter_changes(blocks).await.unwrap();
    let latest = provider.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1], latest.header.hash);
    let seen: Vec<B256> = provider.get_filter_changes(transactions).await.unwrap();
    assert_eq!(seen, [hash]);
    assert!(provider.uninstall_filter(blocks).await.unwrap());
    assert!(!provider.uninstall_filter(blocks).await.unwrap());
    assert!(
        provider
            .get_filter_changes::<B256>(blocks)
            .await
            .unwrap_err()
            .to_string()
            .contains("filter not found")
    );
}

#[tokio::test]
async fn an_ended_subscription_is_silent() {
    let devnet = manual().await;
    let provider = websocket(&devnet, 0).await;
    let subscription = provider.subscribe_blocks().await.unwrap();
    let id = *subscription.local_id();
    let mut heads = subscription.into_stream();
    devnet.mine(1).await.unwrap();
    assert_eq!(next(&mut heads).await.number(), 1);
    // alloy unsubscribes with request id 1 whatever else is open: let that id pass first.
    provider.get_block_number().await.unwrap();
    provider.unsubscribe(id).await.unwrap();
    devnet.mine(1).await.unwrap();
    assert_eq!(provider.get_block_number().await.unwrap(), 2);
    let silence = timeout(Duration::from_millis(300), heads.next()).await;
    assert!(!matches!(silence, Ok(Some(_))), "{silence:?}");
}
