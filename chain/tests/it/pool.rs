//! The counterparty's pool: this crate's digest is the pool's, and what it answers adds up.

use alloy_primitives::{Bytes, U256};
use chain::{allocation, provider::At, sender::SendError};

use crate::world::{DISPUTE_WINDOW_S, World, amount};

const FUNDS: u64 = 100_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn anybody_allocates_once_with_the_operators_signature() {
    let world = World::start().await;
    let channel = world.open(1).await;
    let (vip, rpc) = (&world.vip, &world.rpc);
    let (more, deadline) = (amount(250), u64::MAX / 2);
    let seq = vip.allocation_seq(rpc, channel, At::Latest).await.unwrap();
    assert_eq!(seq, 1, "the acceptance was the first allocation");
    let digest = allocation::digest(&world.domain(), vip.address, channel, more, (seq, deadline));
    let signature: Bytes = world.hub.account.sign_digest(&digest).unwrap();
    let call = vip.allocate_with_signature(channel, more, deadline, signature);
    world.tower.send(&call).await.unwrap();
    let books = vip.books(rpc, At::Latest).await.unwrap();
    assert_eq!(books.placed, U256::from(750));
    assert_eq!(vip.idle(rpc, At::Latest).await.unwrap(), U256::from(FUNDS - 750));
    assert_eq!(vip.total_assets(rpc, At::Latest).await.unwrap(), U256::from(FUNDS));

    let SendError::Refused(refusal) = world.tower.send(&call).await.unwrap_err() else {
        panic!("a signature serves once")
    };
    assert!(refusal.text.contains("AllocationRefused"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_in_the_price_when_the_channel_is_settled_and_a_gain_is_not() {
    let world = World::start().await;
    let (vip, rpc) = (&world.vip, &world.rpc);
    let owner = world.hub.account.address();
    let (locked, _) = vip.locked_shares(rpc, owner, At::Latest).await.unwrap();
    assert!(!locked.is_zero(), "fresh shares are locked");
    assert!(vip.max_withdraw(rpc, owner, At::Latest).await.unwrap().is_zero());

    // The hub's claim of 1,500 less the balance, of which 500 is what the channel cost the pool.
    for (seed, balance) in [(1, 1_300), (11, 700)] {
        let channel = world.open(seed).await;
        let call = world.dispute_call(channel, seed, 3, balance).await;
        world.hub.send(&call).await.unwrap();
        world.pass(2 * DISPUTE_WINDOW_S).await;
        world.mine(1).await;
        world.tower.send(&world.vipe.settle(channel)).await.unwrap();
    }
    let books = vip.books(rpc, At::Latest).await.unwrap();
    assert_eq!((books.placed, books.owed), (U256::ZERO, U256::from(200 + 800)));
    assert_eq!(books.unvested, U256::from(300), "the gain is held back");
    let assets = vip.total_assets(rpc, At::Latest).await.unwrap();
    assert_eq!(assets, U256::from(FUNDS - 300), "the loss counts");
    world.tower.send(&vip.collect()).await.unwrap();
    assert_eq!(vip.idle(rpc, At::Latest).await.unwrap(), U256::from(FUNDS));
}
