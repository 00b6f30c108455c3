//! The submitter on a chain.

use alloy_primitives::{B256, U256};
use chain::{
    provider::At,
    refusal::RefusalKind,
    submitter::{Obligation, Outcome, Report, RoundError},
};
use serde_json::json;

use crate::{
    outbox::{CALM, HASTY, Store, disputed, finalized, obligation, overriding},
    world::{FINAL_DEPTH, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_taken_to_a_final_block() {
    let world = World::start().await;
    let (channel, mut store) = overriding(&world).await;
    let mut submitter = store.submitter(&world, CALM);
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    assert!(world.head().await >= receipt.block.number + FINAL_DEPTH, "it is final");
    assert_eq!(store.sent(), [receipt.hash], "one transaction was enough");
    let dispute = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!(dispute.corrector, Some(world.tower.account.address()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmined_transaction_is_replaced_by_one_that_bids_more() {
    let world = World::start().await;
    let (_channel, mut store) = overriding(&world).await;
    let mut submitter = store.submitter(&world, HASTY);
    for _ in 0..3 {
        store.round(&mut submitter).await.unwrap();
    }
    let sent = store.sent();
    assert_eq!(sent.len(), 3);
    world.mine(1).await;
    for hash in &sent[..2] {
        assert_eq!(world.rpc.receipt(*hash).await.unwrap(), None, "replaced");
    }
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    assert_eq!(receipt.hash, sent[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_write_loses_nothing_and_does_nothing_twice() {
    let world = World::start().await;
    let mut channels = Vec::new();
    for seed in 1..=4 {
        let channel = world.open(seed).await;
        world.hub.send(&world.dispute_call(channel, seed, 4, 100).await).await.unwrap();
        channels.push(channel);
    }
    world.stop_mining().await;
    for (writes, channel) in channels.into_iter().enumerate() {
        let before = world.nonce(&world.tower, At::Latest).await;
        let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
        store.writes = Some(writes);
        let mut submitter = store.submitter(&world, CALM);
        let mut crashed = false;
        for _ in 0..12 {
            match store.round(&mut submitter).await {
                Ok(()) => world.mine(1).await,
                Err(RoundError::Store(_)) => {
                    crashed = true;
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        if writes == 0 {
            assert_eq!(
                world.nonce(&world.tower, At::Pending).await,
                before,
                "sent before it was stored"
            );
        }
        assert!(crashed || writes == 3, "the store fails at write {writes}");
        assert!(
            !crashed || matches!(store.round(&mut submitter).await, Err(RoundError::Abandoned))
        );
        store.writes = None;
        store.reports.clear();
        // What is on the disk is all that is left.
        let mut submitter = store.submitter(&world, CALM);
        if submitter.open().count() > 0 {
            finalized(&store.finish(&world, &mut submitter).await);
        }
        assert_eq!(
            world.nonce(&world.tower, At::Latest).await,
            before + 1,
            "exactly one transaction"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reorganisation_it_is_sent_again() {
    let world = World::start().await;
    let (_channel, mut store) = overriding(&world).await;
    let mut submitter = store.submitter(&world, CALM);
    store.round(&mut submitter).await.unwrap();
    world.mine(2).await;
    store.round(&mut submitter).await.unwrap();
    assert!(matches!(store.reports.last(), Some(Report::Included(_))));
    world.reorganise(2).await;
    // Whether the chain keeps the transaction or not.
    let first = store.sent()[0];
    store.round(&mut submitter).await.unwrap();
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    assert!(store.reports.contains(&Report::Reorganised), "{:?}", store.reports);
    assert_eq!(receipt.hash, first, "the same transaction");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_somebody_beat_is_not_sent_and_costs_nothing() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let late = obligation("override", world.override_call(channel, 8, 800));
    let call = world.override_call(channel, 9, 900);
    world.participant.submit(Some(call.to), call.data, call.value).await.unwrap();
    world.mine(1).await;
    let before = world.balance(&world.tower).await;
    let mut store = Store::with(late);
    let mut submitter = store.submitter(&world, CALM);
    store.round(&mut submitter).await.unwrap();
    assert!(
        matches!(store.reports.last(), Some(Report::Refused(_))),
        "not given up before that is final"
    );
    assert_eq!(submitter.open().count(), 1);
    let outcome = store.finish(&world, &mut submitter).await;
    assert!(outcome.is_beaten(), "{outcome:?}");
    assert_eq!(world.balance(&world.tower).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_is_beaten_while_it_waits_is_withdrawn() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let mut store = Store::with(obligation("override", world.override_call(channel, 8, 800)));
    let mut submitter = store.submitter(&world, CALM);
    store.round(&mut submitter).await.unwrap();
    assert_eq!(store.sent().len(), 1);
    // The node loses it, and somebody else comes first.
    world.control("anvil_dropTransaction", json!([store.sent()[0]])).await;
    let call = world.override_call(channel, 9, 900);
    world.participant.submit(Some(call.to), call.data, call.value).await.unwrap();
    world.mine(1).await;
    let outcome = store.finish(&world, &mut submitter).await;
    assert!(outcome.is_beaten(), "{outcome:?}");
    let cancelled = world.rpc.receipt(store.sent()[1]).await.unwrap().unwrap();
    assert_eq!(cancelled.gas_used, 21_000, "only an empty transfer was paid for");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_after_the_window_is_not_sent_and_ends_late() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    world.pass(2 * crate::world::DISPUTE_WINDOW_S).await;
    world.mine(1).await;
    let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
    let mut submitter = store.submitter(&world, CALM);
    let outcome = store.finish(&world, &mut submitter).await;
    assert!(
        matches!(&outcome, Outcome::Refused { refusal } if refusal.kind == RefusalKind::Late),
        "{outcome:?}"
    );

    let deadline = Some(world.rpc.head().await.unwrap().timestamp);
    let expired =
        Obligation { deadline, ..obligation("expired", world.override_call(channel, 9, 900)) };
    let mut store = Store::with(expired);
    let mut submitter = store.submitter(&world, CALM);
    assert_eq!(store.finish(&world, &mut submitter).await, Outcome::Expired);
    assert_eq!(store.sent(), [] as [B256; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_ether_says_so_and_goes_on_once_it_has_some() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let tower = world.tower.account.address();
    world.control("anvil_setBalance", json!([tower, "0x1"])).await;
    let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
    let mut submitter = store.submitter(&world, CALM);
    for _ in 0..3 {
        store.round(&mut submitter).await.unwrap();
        world.mine(1).await;
    }
    assert!(
        matches!(store.reports[..], [Report::Unfunded { balance, .. }] if balance == U256::from(1))
    );
    world.control("anvil_setBalance", json!([tower, "0xde0b6b3a7640000"])).await;
    finalized(&store.finish(&world, &mut submitter).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_the_same_key_elsewhere_is_survived() {
    let world = World::start().await;
    let (_channel, mut store) = overriding(&world).await;
    let mut submitter = store.submitter(&world, CALM);
    store.round(&mut submitter).await.unwrap();
    world.control("anvil_dropTransaction", json!([store.sent()[0]])).await;
    let call = world.token.approve(world.vipe.address, U256::from(1));
    world.tower.submit(Some(call.to), call.data, call.value).await.unwrap();
    world.mine(1).await;
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    assert!(store.reports.iter().any(|report| matches!(report, Report::NonceTaken(_))));
    assert_ne!(receipt.hash, store.sent()[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_away_loses_no_obligation() {
    let mut world = World::start().await;
    let (_channel, mut store) = overriding(&world).await;
    // Nothing listens there.
    let gone = chain::provider::Endpoint::new("http://127.0.0.1:9");
    let there =
        std::mem::replace(&mut world.rpc, chain::provider::Rpc::connect(&gone).await.unwrap());
    let mut submitter = store.submitter(&world, CALM);
    let error = store.round(&mut submitter).await.unwrap_err();
    assert!(matches!(error, RoundError::Rpc(_)), "{error}");
    assert_eq!(submitter.open().count(), 1);
    world.rpc = there;
    let mut submitter = store.submitter(&world, CALM);
    finalized(&store.finish(&world, &mut submitter).await);
}
