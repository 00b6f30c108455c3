//! What must not be done twice: deposits and payments under one key.

use protocol::testing::amount;
use protocol::vnode::link::Refusal;
use store::{NodeChange, NodeTable};

use super::single::{CHANNEL, Two, open_store};
use super::world::{SIDE, delivery, id, keys, own, policy};
use crate::driver::Command;
use crate::rows;
use crate::sender::{Errand, State as ErrandState};
use protocol::Role;

#[tokio::test]
async fn a_deposit_is_never_forgotten_and_the_oldest_of_the_rest_go_first() {
    let two = Two::new();
    two.put(vec![Two::channel_row(&two.own), rows::new_wallet(&two.own.channel).unwrap()]).await;
    let mut alice = two.alice(policy(), 0).await;
    for at in 0..250_u64 {
        let name = format!("{} {:03}", if at == 0 { "fund" } else { "close" }, 999 - at);
        let mut errand = Errand::new(name.clone(), Vec::new());
        (errand.state, errand.ended_s) = (ErrandState::Done, Some(at));
        alice.driver.errands.insert(name, errand);
    }
    alice.driver.look_at_errands().await.unwrap();
    let left: Vec<_> = alice.driver.errands.keys().cloned().collect();
    assert_eq!(left.len(), 201);
    assert!(left.contains(&"fund 999".to_owned()));
    assert!(left.contains(&"close 750".to_owned()) && !left.contains(&"close 998".to_owned()));
}

#[tokio::test]
async fn two_deposits_at_once_are_made_one_after_the_other() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let fund = |key: &str| Command::Fund { channel: None, amount: amount(5), key: key.to_owned() };
    let first = alice.ask(fund("one")).await.unwrap();
    let second = alice.ask(fund("two")).await.unwrap();
    assert_eq!(
        (&first["order"]["state"], &second["order"]["state"]),
        (&"running".into(), &"waiting".into())
    );
    let name = first["order"]["name"].as_str().unwrap();
    alice.driver.errands.get_mut(name).unwrap().state = ErrandState::Done;
    alice.driver.look_at_errands().await.unwrap();
    assert_eq!(alice.ask(fund("two")).await.unwrap()["order"]["state"], "running");
}

fn pay(name: &str, of: u128) -> Command {
    let (amount, key) = (Some(amount(of)), Some(name.to_owned()));
    Command::Pay { channel: Some(CHANNEL), to: "2".to_owned(), amount, key }
}

#[tokio::test]
async fn an_order_is_paid_once_also_when_the_wallet_has_long_forgotten_it() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let bob = own(2, &keys(2, Role::Participant), &two.hub);
    two.put(vec![rows::put(NodeTable::Notes, rows::known_key(id(2)), &bob.channel).unwrap()]).await;
    let mut alice = two.alice(policy(), 0).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let first = alice.ask(pay("rent", 100)).await.unwrap();
    assert_eq!(first["payments"][0]["stage"], "proposed");
    let again = alice.ask(pay("rent", 100)).await.unwrap();
    assert_eq!(first["payments"], again["payments"]);
    let other = alice.ask(pay("rent", 101)).await.unwrap_err();
    assert_eq!(other.status, 409, "{other}");
    alice.settle().await;
    drop(alice);
    // A thousand payments later it is archived.
    let store = open_store(two.folder.path(), &two.alice);
    let rows = store.node_rows(NodeTable::Payments, &rows::key(CHANNEL), 10).unwrap();
    assert_eq!(rows.len(), 1);
    let archive = NodeChange::Archive(NodeTable::Payments, rows[0].0.clone());
    store.commit_node(vec![archive]).await.unwrap();
    drop(store);
    let mut alice = two.alice(policy(), 0).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let late = alice.ask(pay("rent", 100)).await.unwrap();
    assert_eq!(late["payments"][0]["payment"], first["payments"][0]["payment"]);
    assert_eq!(alice.driver.wallets[&CHANNEL].book().payments.len(), 0, "nothing new was begun");
}

#[tokio::test]
async fn machines_are_told_what_passes_by_itself() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let bob = own(2, &keys(2, Role::Participant), &two.hub);
    two.put(vec![rows::put(NodeTable::Notes, rows::known_key(id(2)), &bob.channel).unwrap()]).await;
    let mut alice = two.alice(policy(), 0).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let take = |of| Command::Withdraw { channel: Some(CHANNEL), amount: amount(of), key: None };
    assert_eq!(alice.ask(take(2 * SIDE + 1)).await.unwrap_err().code, "refused");
    alice.ask(pay("rent", 100)).await.unwrap();
    assert_eq!(alice.ask(take(1)).await.unwrap_err().code, "not_now");
    for (refusal, passes) in
        [(Refusal::Busy, true), (Refusal::Stale, true), (Refusal::Terms, false)]
    {
        alice.driver.on_refused(CHANNEL, refusal).await.unwrap();
        let channels = alice.ask(Command::Channels).await.unwrap();
        assert_eq!(channels["channels"][0]["refusal_passes"], passes, "{channels}");
    }
}
