//! What a node that leaves claims, and what it waits for before it does.

use alloy_primitives::{B256, Bytes, U256};
use chain::cursor::BlockId;
use chain::events::{ChainEvent, Event, LedgerAppended};
use protocol::payment::wallet;
use protocol::testing::amount;
use protocol::{Amount, EscrowVersion, Role};

use super::single::{CHANNEL, Single, Two, open_store};
use super::world::{SIDE, delivery, policy};
use crate::driver::Command;
use crate::driver::proofs::{Priced, ProveJob, Proven};
use crate::rows;
use crate::sender::State;

const LEAVE: Command = Command::Exit { channel: Some(CHANNEL), now: true };

/// A version of the escrow in a block that is not final for long.
fn appended(version: u64, participant: u128, vip: u128) -> ChainEvent {
    let signed = |value| i128::try_from(value).unwrap();
    let version = EscrowVersion::try_from(version).unwrap();
    let (participant, vip) = (signed(participant), signed(vip));
    let next = LedgerAppended { channel: CHANNEL, version, participant, vip };
    let block = BlockId { number: u64::MAX, hash: B256::ZERO };
    let event = Event::LedgerAppended(next);
    ChainEvent { block, transaction: B256::ZERO, index: version.get(), event }
}

async fn see(single: &mut Single, events: Vec<ChainEvent>) {
    single.driver.on_batch(delivery(events)).await.unwrap();
}

fn claims(single: &mut Single) -> Vec<(Amount, ProveJob)> {
    std::iter::from_fn(|| single.jobs.try_recv().ok()).map(|job| (job.claim, job)).collect()
}

fn disputes(single: &Single) -> usize {
    single.driver.errands.keys().filter(|name| name.starts_with("dispute ")).count()
}

fn proven(job: ProveJob) -> Proven {
    Proven { job, outcome: Ok(Priced { proof: Bytes::new(), value: U256::ZERO }) }
}

fn fund(of: u128, key: &str) -> Command {
    Command::Fund { channel: Some(CHANNEL), amount: amount(of), key: key.to_owned() }
}

#[tokio::test]
async fn an_exit_claims_also_what_was_paid_in_and_is_not_final() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    see(&mut alice, vec![appended(3, SIDE + 1_000, SIDE)]).await;
    alice.ask(LEAVE).await.unwrap();
    let mut jobs = claims(&mut alice);
    let (claim, job) = jobs.pop().unwrap();
    assert_eq!((claim, jobs.len()), (amount(SIDE + 1_000), 0));
    // And what is seen while it is proven.
    see(&mut alice, vec![appended(4, SIDE + 3_000, SIDE)]).await;
    alice.driver.on_proven(proven(job)).await.unwrap();
    assert_eq!(disputes(&alice), 0);
    let (claim, job) = claims(&mut alice).pop().unwrap();
    assert_eq!(claim, amount(SIDE + 3_000));
    alice.driver.on_proven(proven(job)).await.unwrap();
    assert_eq!(disputes(&alice), 1);
}

#[tokio::test]
async fn a_hubs_exit_claims_also_a_fresh_allocation() {
    let two = Two::new();
    let rows = vec![Two::channel_row(&two.own), rows::new_lane(&two.own.channel).unwrap()];
    open_store(two.folder.path(), &two.hub).commit_node(rows).await.unwrap();
    let mut hub = Single::start(two.folder.path(), &two.hub, policy(), 0).await;
    see(&mut hub, vec![appended(3, SIDE, SIDE + 700)]).await;
    hub.ask(LEAVE).await.unwrap();
    assert_eq!(claims(&mut hub).pop().unwrap().0, amount(SIDE + 700));
    let (channel, amount, key) = (CHANNEL, amount(5), "one".to_owned());
    hub.driver.idle = Some(U256::from(SIDE));
    let refused = hub.ask(Command::Allocate { channel, amount, key }).await.unwrap_err();
    assert!(refused.message.contains("being left"), "{refused}");
    assert_eq!(hub.driver.parts.role, Role::Counterparty);
}

#[tokio::test]
async fn no_dispute_is_opened_before_the_chain_was_followed_to_its_head() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    alice.ask(LEAVE).await.unwrap();
    alice.driver.on_tick().await.unwrap();
    assert!(claims(&mut alice).is_empty());
    let shown = alice.ask(LEAVE).await.unwrap();
    assert!(shown["waits_for"].as_str().unwrap().contains("newest block"), "{shown}");
    see(&mut alice, Vec::new()).await;
    alice.driver.on_tick().await.unwrap();
    assert_eq!(claims(&mut alice).len(), 1);
    drop(alice);
    // The same after a start: what was paid in meanwhile is not in the book yet.
    let mut alice = two.alice(policy(), 0).await;
    alice.driver.on_tick().await.unwrap();
    assert!(claims(&mut alice).is_empty());
    see(&mut alice, vec![appended(3, SIDE + 9, SIDE)]).await;
    alice.driver.on_tick().await.unwrap();
    assert_eq!(claims(&mut alice).pop().unwrap().0, amount(SIDE + 9));
}

#[tokio::test]
async fn no_dispute_is_opened_while_money_is_on_its_way_in_and_none_is_sent_after_that() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    see(&mut alice, Vec::new()).await;
    alice.ask(fund(5, "one")).await.unwrap();
    let shown = alice.ask(LEAVE).await.unwrap();
    assert!(shown["waits_for"].as_str().unwrap().contains("paid into"), "{shown}");
    alice.driver.on_tick().await.unwrap();
    assert!(claims(&mut alice).is_empty());
    let refused = alice.ask(fund(5, "two")).await.unwrap_err();
    assert!(refused.message.contains("being left"), "{refused}");
    assert_eq!(alice.ask(fund(5, "one")).await.unwrap()["order"]["state"], "running");
    alice.driver.errands.values_mut().for_each(|one| one.state = State::Done);
    alice.driver.on_tick().await.unwrap();
    assert_eq!(claims(&mut alice).len(), 1);
}

#[tokio::test]
async fn nothing_is_paid_into_a_channel_that_signs_nothing_any_more() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    see(&mut alice, Vec::new()).await;
    let given = alice.driver.give_wallet(CHANNEL, wallet::Event::Stop).await.unwrap();
    assert_eq!(given.refusal(), None);
    assert_eq!(alice.ask(fund(5, "one")).await.unwrap_err().code, "refused");
}
