//! What failed once must be done all the same, and what is not known must not be done twice.

use alloy_primitives::Bytes;
use chain::events::{Event, Withdrawn};
use protocol::testing::{HEDGE, amount, nonce};
use protocol::vnode::link::{Frame, Offer, Welcome};
use protocol::zksc::possession;
use protocol::{ChannelId, EscrowVersion, Role};
use serde_json::{Value, json};
use store::NodeTable;

use super::single::{CHANNEL, Single, Two, at};
use super::world::{SIDE, delivery, id, keys, own, policy};
use crate::book::{Dispute, Own, Standing};
use crate::driver::Command;
use crate::rows;
use crate::sender::{Errand, State};
use crate::towers::Answer;

fn take(of: u128, key: &str) -> Command {
    let (channel, key) = (Some(CHANNEL), Some(key.to_owned()));
    Command::Withdraw { channel, amount: amount(of), key }
}

fn states(single: &Single, prefix: &str) -> Vec<State> {
    let errands = single.driver.errands.values();
    errands.filter(|one| one.name.starts_with(prefix)).map(|one| one.state.clone()).collect()
}

fn fail(single: &mut Single, prefix: &str, why: &str) {
    for errand in single.driver.errands.values_mut().filter(|one| one.name.starts_with(prefix)) {
        (errand.state, errand.ended_s) = (State::Failed(why.to_owned()), Some(0));
    }
}

/// The obligations that the sender is to see to.
fn wanted(single: &Single) -> Vec<String> {
    let outbox = single.driver.parts.store.outbox().unwrap();
    outbox.into_iter().map(|(name, _)| name).collect()
}

/// The hub's signature comes: to the chain with it.
async fn consented(single: &mut Single) {
    let pending = single.driver.consents.get_mut(&CHANNEL).unwrap();
    pending.theirs = Some(Bytes::from(vec![1; 65]));
    let pending = pending.clone();
    let row = rows::put(NodeTable::Notes, b"test".to_vec(), &1).unwrap();
    single.driver.execute(CHANNEL, &pending, row).await.unwrap();
}

/// The chain is past the deadline of what was agreed, final.
async fn run_out(single: &mut Single) {
    single.driver.chain_s += 2_000;
    single.driver.let_go(CHANNEL).await.unwrap();
}

async fn alice_on_chain(two: &Two) -> Single {
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    alice
}

#[tokio::test]
async fn a_withdrawal_that_is_ordered_again_after_its_errand_failed_is_sent() {
    let two = Two::new();
    let mut alice = Box::pin(alice_on_chain(&two)).await;
    alice.ask(take(100, "rent")).await.unwrap();
    consented(&mut alice).await;
    fail(&mut alice, "withdraw ", "its time ran out");
    run_out(&mut alice).await;
    let before = wanted(&alice).len();
    alice.ask(take(100, "rent")).await.unwrap();
    consented(&mut alice).await;
    assert_eq!(states(&alice, "withdraw ").iter().filter(|one| **one == State::Running).count(), 1);
    assert_eq!(wanted(&alice).len(), before + 1);
    // The hub says the same again: nothing more is sent.
    consented(&mut alice).await;
    assert_eq!(wanted(&alice).len(), before + 1);
}

#[tokio::test]
async fn a_collection_is_tried_until_the_money_has_come_home() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let (disputer, claim) = (two.hub.account.address(), amount(SIDE));
    let (peak, agreed) = (claim, None);
    let dispute = Dispute { disputer, epoch: 1, nonce: nonce(5), claim, peak, deadline: 1, agreed };
    let over = Own { standing: Standing::Over, dispute: Some(dispute), ..two.own.clone() };
    two.put(vec![Two::channel_row(&over)]).await;
    let mut alice = two.alice(policy(), 0).await;
    let name = "collect asset of channel 1";
    assert_eq!(states(&alice, name), [State::Running]);
    let mut seen = wanted(&alice);
    assert_eq!(seen.len(), 1, "the asset; of an honest dispute of the other party no ether");
    for _ in 0..3 {
        fail(&mut alice, name, "out of gas");
        alice.driver.on_tick().await.unwrap();
        assert_eq!(states(&alice, name), [State::Running]);
        let now = wanted(&alice);
        assert_eq!(now.len(), seen.len() + 1, "under another name, or nobody would send it");
        seen = now;
    }
    alice.driver.errands.get_mut(name).unwrap().state = State::Failed("out of gas".to_owned());
    alice.driver.errands.get_mut(name).unwrap().ended_s = Some(super::super::seconds());
    alice.driver.on_tick().await.unwrap();
    assert_ne!(states(&alice, name), [State::Running], "after a pause");
    for _ in 0..3 {
        fail(&mut alice, name, "the contract refuses: NothingToClaim");
        alice.driver.on_tick().await.unwrap();
    }
    assert_eq!(states(&alice, name), [State::Done], "another claim had it with it");
}

#[tokio::test]
async fn a_deposit_can_be_taken_back_also_when_that_failed_once() {
    let two = Two::new();
    let open = Own { standing: Standing::Open, ..two.own.clone() };
    two.put(vec![Two::channel_row(&open)]).await;
    let mut alice = two.alice(policy(), 0).await;
    let cancel = Command::Cancel { channel: CHANNEL };
    alice.ask(cancel.clone()).await.unwrap();
    alice.ask(cancel.clone()).await.unwrap();
    assert_eq!(wanted(&alice).len(), 1, "once while it is under way");
    fail(&mut alice, "cancel ", "too early");
    let again = alice.ask(cancel).await.unwrap();
    assert_eq!((&again["order"]["state"], wanted(&alice).len()), (&json!("running"), 2));
    // It is off the channel; what failed is that it comes home.
    let cancelled = at(1, Event::Cancelled { channel: CHANNEL });
    alice.driver.on_batch(delivery(vec![cancelled])).await.unwrap();
    fail(&mut alice, "cancel ", "out of gas");
    let cancel = Command::Cancel { channel: CHANNEL };
    let again = alice.ask(cancel.clone()).await.unwrap();
    assert_eq!(
        (&again["order"]["state"], &again["order"]["calls"]),
        (&json!("running"), &json!(1))
    );
    alice.driver.errands.get_mut("cancel channel 1").unwrap().state = State::Done;
    assert_eq!(alice.ask(cancel).await.unwrap()["order"]["state"], "done", "and told so after it");
    let unknown = alice.ask(Command::Cancel { channel: id(9) }).await.unwrap_err();
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn what_failed_is_not_forgotten_while_it_may_be_tried_again() {
    let two = Two::new();
    let mut alice = Box::pin(alice_on_chain(&two)).await;
    for at in 0..250_u64 {
        let (word, channel) = if at < 5 { ("override", 1) } else { ("override", 7_000 + at) };
        let name = format!("{word} channel {channel} nonce {at}");
        let mut errand = Errand::new(name.clone(), Vec::new());
        (errand.state, errand.ended_s) = (State::Failed(String::new()), Some(at));
        alice.driver.errands.insert(name, errand);
    }
    alice.driver.look_at_errands().await.unwrap();
    assert_eq!(states(&alice, "override channel 1 ").len(), 5);
    assert_eq!(alice.driver.errands.len(), 205);
    assert_eq!(
        alice.driver.free_name("override channel 1 nonce 0"),
        "override channel 1 nonce 0 try 2"
    );
}

fn pay(from: ChannelId, key: &str) -> Command {
    let (amount, key) = (Some(amount(100)), Some(key.to_owned()));
    Command::Pay { channel: Some(from), to: "2".to_owned(), amount, key }
}

#[tokio::test]
async fn a_key_is_not_paid_again_while_the_channel_it_was_paid_on_is_being_checked() {
    let two = Two::new();
    let other = own(3, &two.alice, &two.hub);
    let bob = own(2, &keys(2, Role::Participant), &two.hub);
    let known = rows::put(NodeTable::Notes, rows::known_key(id(2)), &bob.channel).unwrap();
    let wallet = rows::new_wallet(&other.channel).unwrap();
    two.put(vec![Two::channel_row(&other), wallet, known]).await;
    let mut alice = Box::pin(alice_on_chain(&two)).await;
    let first = alice.ask(pay(CHANNEL, "rent")).await.unwrap();
    alice.settle().await;
    drop(alice);
    let mut policy = policy();
    (policy.backup.target, policy.backup.restore_quorum) = (1, 1);
    let mut alice = two.alice(policy, 1).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let nothing = |channel| Answer::Fetched { tower: 0, channel, envelopes: Vec::new() };
    alice.driver.on_tower(nothing(id(3))).await.unwrap();
    assert!(
        alice.driver.wallets.contains_key(&id(3)) && !alice.driver.wallets.contains_key(&CHANNEL)
    );
    alice.driver.view_told = None;
    alice.driver.tell_view().await.unwrap();
    let refused = alice.ask(pay(id(3), "rent")).await.unwrap_err();
    assert_eq!(refused.code, "not_now", "{refused}");
    assert!(alice.driver.wallets[&id(3)].book().payments.is_empty(), "nothing was begun");
    alice.driver.on_tower(nothing(CHANNEL)).await.unwrap();
    let again = alice.ask(pay(id(3), "rent")).await.unwrap();
    assert_eq!(again["payments"][0]["payment"], first["payments"][0]["payment"]);
    assert!(alice.driver.wallets[&id(3)].book().payments.is_empty());
}

#[tokio::test]
async fn an_order_is_not_told_what_became_of_another_one() {
    let two = Two::new();
    let mut alice = Box::pin(alice_on_chain(&two)).await;
    alice.ask(take(100, "a")).await.unwrap();
    let other = alice.ask(take(100, "b")).await.unwrap_err();
    assert_eq!(other.code, "refused", "it would be carried out once for both");
    run_out(&mut alice).await;
    assert_eq!(alice.ask(take(100, "b")).await.unwrap()["consent"], 0);
    let withdrawn = Withdrawn {
        channel: CHANNEL,
        seq: 0,
        nonce: nonce(6),
        version: EscrowVersion::try_from(2).unwrap(),
        balance: amount(SIDE),
        to_participant: amount(100),
        to_vip: amount(0),
    };
    let event = at(1, Event::Withdrawn(withdrawn));
    alice.driver.on_batch(delivery(vec![event])).await.unwrap();
    alice.settle().await;
    assert_eq!(alice.ask(take(100, "b")).await.unwrap()["executed"], true);
    let first = alice.ask(take(100, "a")).await.unwrap();
    assert_eq!((&first["executed"], &first["consent"]), (&json!(false), &json!(1)), "{first}");
}

#[tokio::test]
async fn a_hub_that_asks_for_more_than_the_policy_pays_is_shown_and_not_paid_it() {
    for (base, pays) in [(4, "4"), (6, "5")] {
        let two = Two::new();
        let bob = own(2, &keys(2, Role::Participant), &two.hub);
        let known = rows::put(NodeTable::Notes, rows::known_key(id(2)), &bob.channel).unwrap();
        two.put(vec![known]).await;
        drop(two.alice_with(&two.signed(5, SIDE)).await);
        let mut policy = policy();
        policy.hub.fee.base = amount(5);
        let mut alice = two.alice(policy, 0).await;
        alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
        let hub = two.hub.identity.peer();
        alice.driver.peers.insert(CHANNEL, hub);
        let mut fee = protocol::payment::FeePolicy::FREE;
        fee.base = amount(base);
        let welcome = Frame::Welcome(CHANNEL, Welcome { fee, max_update: amount(SIDE) });
        alice.driver.on_frame(hub, welcome).await.unwrap();
        let shown: Value = alice.ask(Command::Channels).await.unwrap();
        assert_eq!(shown["channels"][0]["hub_fee_too_high"], base > 5, "{shown}");
        let paid = alice.ask(pay(CHANNEL, "rent")).await.unwrap();
        assert_eq!(paid["payments"][0]["fee"], pays);
    }
}

#[tokio::test]
async fn an_opening_that_waited_too_long_is_not_begun_and_nothing_is_paid_in() {
    let two = Two::new();
    let mut alice = Box::pin(alice_on_chain(&two)).await;
    let fund = Command::Fund { channel: None, amount: amount(5), key: "one".to_owned() };
    alice.ask(fund).await.unwrap();
    let open = Command::Open {
        invitation: two.invitation().to_string(),
        deposit: amount(SIDE),
        another: true,
    };
    alice.ask(open).await.unwrap();
    let keys_digest = alice.driver.openings.values().next().unwrap().keys_digest;
    let digest = protocol::hash::Digest::from_bytes(&keys_digest.0).unwrap();
    let key = two.hub.signer.channel_key();
    let offer = Offer {
        keys_digest,
        possession: possession::prove(Role::Counterparty, key, &digest, &HEDGE),
        allocation: amount(SIDE),
        max_update: amount(SIDE),
    };
    alice.driver.on_offer(two.hub.identity.peer(), offer).await.unwrap();
    assert_eq!(states(&alice, "open "), [State::Waiting]);
    let before = wanted(&alice).len();
    alice.driver.chain_s += 1_801;
    for errand in alice.driver.errands.values_mut().filter(|one| one.name.starts_with("fund ")) {
        errand.state = State::Done;
    }
    alice.driver.look_at_errands().await.unwrap();
    assert!(matches!(states(&alice, "open ")[..], [State::Failed(_)]));
    assert_eq!(wanted(&alice).len(), before);
    alice.driver.on_tick().await.unwrap();
    let status = alice.ask(Command::Status).await.unwrap();
    assert!(status["openings"][0]["stage"]["failed"].as_str().unwrap().contains("order it again"));
}
