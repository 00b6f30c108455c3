//! The submitter on a chain that takes blocks back: the dispute, the override, both, and across the deadline.

use chain::{
    provider::At,
    refusal::RefusalKind,
    submitter::{Obligation, Outcome, Report},
};
use protocol::ids::ChannelId;
use serde_json::json;

use crate::{
    outbox::{CALM, HASTY, Store, disputed, finalized, obligation, overriding},
    world::{DISPUTE_WINDOW_S, World},
};

async fn corrected(world: &World, channel: ChannelId) -> bool {
    let standing = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
    standing.corrector == Some(world.tower.account.address())
}

/// The hub opens the dispute again, where the chain did not give its transaction back to the pool.
async fn dispute_again(world: &World, channel: ChannelId) {
    let again = world.dispute_call(channel, 1, 4, 100).await;
    let _ = world.hub.submit(Some(again.to), again.data, again.value).await;
    world.mine(1).await;
}

async fn deadline_of(world: &World, channel: ChannelId) -> u64 {
    world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap().deadline
}

/// The dispute goes with its block: the override has nothing to correct, waits, and is sent once the dispute is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_that_removes_the_dispute_ends_nothing() {
    let world = World::start().await;
    let channel = world.open(1).await;
    world.stop_mining().await;
    let dispute = world.dispute_call(channel, 1, 4, 100).await;
    let sent = world.hub.submit(Some(dispute.to), dispute.data, dispute.value).await.unwrap();
    world.mine(1).await;
    assert!(world.rpc.receipt(sent).await.unwrap().unwrap().success);
    let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
    let mut submitter = store.submitter(&world, CALM);
    store.round(&mut submitter).await.unwrap();
    assert_eq!(store.sent().len(), 1);
    world.control("anvil_dropTransaction", serde_json::json!([store.sent()[0]])).await;
    world.reorganise(1).await;
    let again = world.dispute_call(channel, 1, 4, 100).await;
    // Some chains give the transaction back to the pool.
    let _ = world.hub.submit(Some(again.to), again.data, again.value).await;
    world.mine(1).await;
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    let standing = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!(standing.corrector, Some(world.tower.account.address()), "{receipt:?}");
}

/// The override goes with its block, and the deadline comes nearer meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_that_removes_the_override_is_answered_in_the_next_block() {
    let world = World::start().await;
    let (channel, mut store) = overriding(&world).await;
    let mut submitter = store.submitter(&world, CALM);
    store.round(&mut submitter).await.unwrap();
    world.mine(3).await;
    store.round(&mut submitter).await.unwrap();
    world.reorganise(3).await;
    // The machine stops at the worst time.
    let mut submitter = store.submitter(&world, CALM);
    for _ in 0..2 {
        store.round(&mut submitter).await.unwrap();
        world.mine(1).await;
    }
    let standing = world.vipe.dispute_of(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!(standing.corrector, Some(world.tower.account.address()));
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    assert_eq!(store.sent().len(), 1, "{receipt:?}");
}

/// Both go, the dispute comes back: the override has nothing to correct for a while, and then it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_that_removes_the_dispute_and_the_override_ends_nothing() {
    for restarted in [false, true] {
        let world = World::start().await;
        let channel = world.open(1).await;
        world.stop_mining().await;
        let dispute = world.dispute_call(channel, 1, 4, 100).await;
        world.hub.submit(Some(dispute.to), dispute.data, dispute.value).await.unwrap();
        world.mine(1).await;
        let mut store = Store::with(obligation("override", world.override_call(channel, 9, 900)));
        let mut submitter = store.submitter(&world, CALM);
        store.round(&mut submitter).await.unwrap();
        world.mine(2).await;
        store.round(&mut submitter).await.unwrap();
        assert!(matches!(store.reports.last(), Some(Report::Included(_))));
        // Three blocks: the dispute's, the override's, and one more.
        world.reorganise(3).await;
        if restarted {
            submitter = store.submitter(&world, CALM);
        }
        store.round(&mut submitter).await.unwrap();
        assert_eq!(submitter.open().count(), 1, "{:?}", store.reports);
        dispute_again(&world, channel).await;
        finalized(&store.finish(&world, &mut submitter).await);
        assert!(corrected(&world, channel).await);
    }
}

/// The override was in time; in the chain that wins the next block comes after the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_a_reorganisation_moves_across_the_deadline_ends_only_once_that_is_final()
{
    for restarted in [false, true] {
        let world = World::start().await;
        let channel = disputed(&world).await;
        let deadline = deadline_of(&world, channel).await;
        let call = world.override_call(channel, 9, 900);
        let wanted = Obligation { deadline: Some(deadline), ..obligation("override", call) };
        let max_cost = wanted.max_cost;
        let before = world.balance(&world.tower).await;
        let mut store = Store::with(wanted);
        let mut submitter = store.submitter(&world, CALM);
        store.round(&mut submitter).await.unwrap();
        world.mine(1).await;
        store.round(&mut submitter).await.unwrap();
        assert!(matches!(store.reports.last(), Some(Report::Included(_))));
        let sent = store.sent();

        // anvil's clock goes back with its blocks.
        world.reorganise(1).await;
        world.pass(2 * DISPUTE_WINDOW_S).await;
        world.mine(1).await;
        assert!(world.rpc.head().await.unwrap().timestamp >= deadline);
        if restarted {
            submitter = store.submitter(&world, CALM);
        }
        store.round(&mut submitter).await.unwrap();
        assert_eq!(submitter.open().count(), 1, "not given up before that is final");
        let outcome = store.finish(&world, &mut submitter).await;
        let late = |outcome: &Outcome| match outcome {
            Outcome::Expired => true,
            Outcome::Refused { refusal } => refusal.kind == RefusalKind::Late,
            _ => false,
        };
        assert!(late(&outcome), "{outcome:?}");
        assert!(!corrected(&world, channel).await);
        let overrides =
            |report: &&Report| matches!(report, Report::Sending(attempt) if !attempt.cancel);
        assert_eq!(
            store.reports.iter().filter(overrides).count(),
            sent.len(),
            "nothing more is sent that can only fail: {:?}",
            store.reports
        );
        assert!(before - world.balance(&world.tower).await <= max_cost);
    }
}

/// The deadline was over in blocks that are gone: what was refused as too late is sent after all.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_back_before_the_deadline_brings_the_override_back() {
    let world = World::start().await;
    let channel = disputed(&world).await;
    let deadline = deadline_of(&world, channel).await;
    let call = world.override_call(channel, 9, 900);
    let wanted = Obligation { deadline: Some(deadline), ..obligation("override", call) };
    let mut store = Store::with(wanted);
    let mut submitter = store.submitter(&world, HASTY);
    store.round(&mut submitter).await.unwrap();
    // The node loses it, and blocks stop until the deadline is over.
    world.control("anvil_dropTransaction", json!([store.sent()[0]])).await;
    world.control("evm_setNextBlockTimestamp", json!([deadline + 60])).await;
    world.mine(1).await;
    for _ in 0..2 {
        store.round(&mut submitter).await.unwrap();
    }
    assert_eq!(submitter.open().count(), 1, "{:?}", store.reports);
    assert!(!corrected(&world, channel).await);

    // The block after the deadline is replaced by one before it.
    let before = world.rpc.header(At::Number(world.head().await - 1)).await.unwrap().unwrap();
    world.control("anvil_rollback", json!([1])).await;
    world.control("evm_setNextBlockTimestamp", json!([before.timestamp + 12])).await;
    world.mine(1).await;
    assert!(world.rpc.head().await.unwrap().timestamp < deadline);
    let receipt = finalized(&store.finish(&world, &mut submitter).await);
    assert!(corrected(&world, channel).await, "{receipt:?}");
}
