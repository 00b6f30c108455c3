//! The submitter under pressure: fee spikes, cheap transactions in the way, relays, strangers, little ether.

use std::time::Duration;

use alloy_primitives::U256;
use chain::{
    calls::Call,
    provider::At,
    submitter::{ForeignSpend, Obligation, Outcome, Outlets, Patience, Record, Report},
};
use serde_json::json;

use crate::{
    outbox::{HASTY, Store, disputed, finalized, obligation},
    proxy::{Fault, FaultProxy},
    world::World,
};

/// How long a request to a proxy may take.
const PATIENCE: Duration = Duration::from_millis(500);
const GWEI: u64 = 1_000_000_000;

/// A block with this base fee; the next ones follow it.
async fn spike(world: &World, gwei: u64) {
    let base_fee = format!("{:#x}", gwei * GWEI);
    world.control("anvil_setNextBlockBaseFeePerGas", json!([base_fee])).await;
    world.mine(1).await;
}

/// Cheap and without a deadline: an approval that may bid up to `gwei` per gas.
fn cheap(world: &World, name: &str, gwei: u64) -> Obligation {
    let call: Call = world.token.approve(world.vipe.address, U256::from(1));
    Obligation { max_cost: U256::from(60_000 * gwei) * U256::from(GWEI), ..obligation(name, call) }
}

async fn urgent(world: &World, channel: protocol::ids::ChannelId, blocks: u64) -> Obligation {
    let now = world.rpc.head().await.unwrap().timestamp;
    let call = world.override_call(channel, 9, 900);
    Obligation { deadline: Some(now + blocks), ..obligation("override", call) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_gets_past_a_cheap_transaction_that_a_fee_spike_left_behind() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let mut store = Store::with(cheap(&world, "approval", 20));
    let mut submitter = store.submitter(&world, HASTY);
    store.round(&mut submitter).await.unwrap();
    assert_eq!(store.sent().len(), 1);
    // Beyond what the cheap one may cost; it stays in the pool.
    spike(&world, 60).await;
    store.round(&mut submitter).await.unwrap();
    let record = Record::new(urgent(&world, channel, 600).await);
    let id = record.obligation.id;
    store.put(&record);
    submitter.add(record).unwrap();
    for _ in 0..6 {
        store.round(&mut submitter).await.unwrap();
        world.mine(1).await;
    }
    let dispute = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!(dispute.corrector, Some(world.tower.account.address()), "{:?}", store.reports);
    let stored: Record = serde_json::from_str(&store.records[&id]).unwrap();
    assert_eq!(stored.pays_for.first().map(|paid| paid.gas_limit), Some(21_000));
    // Fees fall, and the cheap one is done as well.
    for _ in 0..40 {
        spike(&world, 1).await;
        store.round(&mut submitter).await.unwrap();
        if submitter.open().count() == 0 {
            break;
        }
    }
    let done = |report: &&Report| matches!(report, Report::Ended(Outcome::Finalized { .. }));
    assert_eq!(store.reports.iter().filter(done).count(), 2, "{:?}", store.reports);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_follows_a_fee_spike_within_what_it_may_cost() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let wanted = urgent(&world, channel, 3_000).await;
    let (id, max_cost) = (wanted.id, wanted.max_cost);
    let mut store = Store::with(wanted);
    let mut submitter = store.submitter(&world, HASTY);
    store.round(&mut submitter).await.unwrap();
    let first = store.sent()[0];
    world.control("anvil_dropTransaction", json!([first])).await;
    let before = world.balance(&world.tower).await;
    for gwei in [20, 50, 90] {
        spike(&world, gwei).await;
        store.round(&mut submitter).await.unwrap();
    }
    world.mine(2).await;
    let spent = before - world.balance(&world.tower).await;
    assert!(spent > U256::ZERO && spent <= max_cost, "{spent}");
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    assert_ne!(receipt.hash, first);
    let stored: Record = serde_json::from_str(&store.records[&id]).unwrap();
    assert!(stored.attempts.is_sorted_by_key(|attempt| attempt.fees.max_fee));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_with_the_same_key_is_told_in_the_pool_and_in_a_block() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let mut store = Store::with(urgent(&world, channel, 3_000).await);
    let mut submitter = store.submitter(&world, HASTY);
    let health = submitter.health();
    let before = world.nonce(&world.tower, At::Latest).await;
    let call = world.token.approve(world.vipe.address, U256::from(1));
    world.tower.submit(Some(call.to), call.data, call.value).await.unwrap();
    // Ours bids for the same nonce; whichever is mined, a person is told when it is theirs.
    store.round(&mut submitter).await.unwrap();
    world.mine(1).await;
    for _ in 0..4 {
        store.round(&mut submitter).await.unwrap();
        world.mine(1).await;
    }
    let dispute = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!(dispute.corrector, Some(world.tower.account.address()));
    // Now one that is mined while we have nothing at that nonce.
    let nonce = world.nonce(&world.tower, At::Latest).await;
    assert!(nonce > before);
    let call = world.token.approve(world.vipe.address, U256::from(2));
    world.tower.submit(Some(call.to), call.data, call.value).await.unwrap();
    for _ in 0..2 {
        store.round(&mut submitter).await.unwrap();
    }
    assert_eq!(health.borrow().foreign, Some(ForeignSpend { nonce, mined: false }));
    world.mine(1).await;
    store.round(&mut submitter).await.unwrap();
    assert_eq!(health.borrow().foreign, Some(ForeignSpend { nonce, mined: true }));
    assert!(health.borrow().foreign_total >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_goes_to_the_relay_alone_and_to_everybody_after_half_of_its_time() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let relay = FaultProxy::with(&world.http, Fault::Keeps).await;
    let mut store = Store::with(urgent(&world, channel, 200).await);
    let outlets = Outlets { public: Vec::new(), private: vec![relay.rpc(PATIENCE).await] };
    let patience = Patience { replace_ms: 600_000, replace_urgent_ms: 600_000, ..HASTY };
    let mut submitter = store.submitter_with(&world, patience, outlets);
    store.round(&mut submitter).await.unwrap();
    assert_eq!(relay.taken().len(), 1);
    let before = world.nonce(&world.tower, At::Latest).await;
    assert_eq!(world.nonce(&world.tower, At::Pending).await, before, "the public pool has nothing");
    world.pass(140).await;
    world.mine(1).await;
    store.round(&mut submitter).await.unwrap();
    assert_eq!(world.nonce(&world.tower, At::Pending).await, before + 1);
    assert_eq!(store.sent().len(), 1, "the same transaction");
    finalized(&store.finish(&world, &mut submitter).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn little_ether_is_told_while_running_and_so_is_what_all_obligations_may_need() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let wanted = urgent(&world, channel, 3_000).await;
    let max_cost = wanted.max_cost;
    let mut store = Store::with(wanted);
    let mut submitter = store.submitter(&world, HASTY);
    let health = submitter.health();
    store.round(&mut submitter).await.unwrap();
    let treasury = health.borrow().treasury.unwrap();
    assert!(!health.borrow().low_balance);
    assert_eq!((treasury.possible, treasury.shortfall()), (max_cost, U256::ZERO));
    let tower = world.tower.account.address();
    world.control("anvil_setBalance", json!([tower, "0x16345785d89ffff"])).await;
    store.round(&mut submitter).await.unwrap();
    assert!(health.borrow().low_balance);
    let treasury = health.borrow().treasury.unwrap();
    assert_eq!(treasury.shortfall(), max_cost - treasury.balance);
    world.control("anvil_setBalance", json!([tower, "0x8ac7230489e80000"])).await;
    store.round(&mut submitter).await.unwrap();
    assert!(!health.borrow().low_balance);
}
