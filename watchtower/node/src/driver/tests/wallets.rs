//! The other party's account is a contract: its consents count when the chain says so, and only then.

use alloy_primitives::{Address, Bytes};
use protocol::testing::amount;
use protocol::vipe::Withdrawal;
use protocol::vnode::link::{Consent, Frame};
use protocol::zksc::Channel;

use super::single::{CHANNEL, Single, Two};
use super::world::{SIDE, delivery, policy};
use crate::driver::Command;
use crate::driver::consent::Terms;
use crate::notary::Told;

const WALLET: Address = Address::repeat_byte(0x77);

/// A signature that no key made; as long as a wallet of three owners wants it.
fn signature() -> Bytes {
    Bytes::from(vec![5; 195])
}

impl Two {
    /// The account of one side is a contract.
    fn with_wallet(of_hub: bool) -> Self {
        let mut two = Self::new();
        let mut terms = *two.own.channel.terms();
        if of_hub {
            (terms.counterparty.account, two.own.opened.counterparty) = (WALLET, WALLET);
        } else {
            (terms.participant.account, two.own.opened.participant) = (WALLET, WALLET);
        }
        two.own.channel = Channel::try_from(terms).unwrap();
        two
    }
}

/// What the chain answers to the question that is open, if there is one.
async fn chain_says(node: &mut Single, stands: Option<bool>) -> bool {
    let Ok(job) = node.checks.try_recv() else { return false };
    assert_eq!((job.1.account, &job.1.signature), (WALLET, &signature()));
    node.driver.on_told(Told::Checked { job, stands }).await.unwrap();
    true
}

/// Time goes by, until the chain may be asked again.
fn pass(node: &mut Single) {
    let before = std::time::Duration::from_secs(2);
    node.driver.began = node.driver.began.checked_sub(before).unwrap();
}

/// The participant's wallet wants 100 taken out.
fn wanted(hub: &Single) -> Withdrawal {
    hub.driver.withdrawal(CHANNEL, amount(100), 1_000).unwrap()
}

async fn asks(two: &Two, hub: &mut Single, terms: Withdrawal) {
    let consent = Consent { channel: CHANNEL, seq: 0, terms, signature: signature() };
    let frame = Frame::Withdraw(Box::new(consent));
    hub.driver.on_frame(two.alice.identity.peer(), frame).await.unwrap();
}

async fn hub_of(two: &Two) -> Single {
    let mut hub = Box::pin(two.hub_with(policy(), &two.signed(5, SIDE))).await;
    hub.driver.on_batch(delivery(Vec::new())).await.unwrap();
    hub
}

#[tokio::test]
async fn a_hub_consents_with_a_wallet_once_the_chain_has_said_that_it_stands_behind_it() {
    let two = Two::with_wallet(false);
    let mut hub = hub_of(&two).await;
    let terms = wanted(&hub);
    asks(&two, &mut hub, terms).await;
    assert!(hub.driver.consents.is_empty(), "nothing before the chain has answered");
    assert!(chain_says(&mut hub, None).await);
    pass(&mut hub);
    asks(&two, &mut hub, terms).await;
    assert!(chain_says(&mut hub, Some(true)).await, "a chain that is silent is asked again");
    asks(&two, &mut hub, terms).await;
    let held = hub.driver.consents.get(&CHANNEL).unwrap();
    assert_eq!((held.terms, held.theirs.clone()), (Terms::Withdraw(terms), Some(signature())));
    assert_eq!(held.mine.len(), 65);
}

#[tokio::test]
async fn a_wallet_that_does_not_stand_behind_it_gets_no_consent() {
    let two = Two::with_wallet(false);
    let mut hub = hub_of(&two).await;
    let terms = wanted(&hub);
    for _ in 0..3 {
        asks(&two, &mut hub, terms).await;
        chain_says(&mut hub, Some(false)).await;
    }
    assert!(hub.driver.consents.is_empty());
    // What it says of one consent it says of no other.
    let other = hub.driver.withdrawal(CHANNEL, amount(101), 1_000).unwrap();
    pass(&mut hub);
    asks(&two, &mut hub, other).await;
    assert!(chain_says(&mut hub, Some(true)).await);
    asks(&two, &mut hub, terms).await;
    assert!(hub.driver.consents.is_empty());
}

#[tokio::test]
async fn a_participant_sends_what_its_hubs_wallet_stands_behind_and_lets_go_of_what_was_revoked() {
    let two = Two::with_wallet(true);
    let mut alice = Box::pin(two.alice_with(&two.signed(5, SIDE))).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    alice.driver.peers.insert(CHANNEL, two.hub.identity.peer());
    let take = Command::Withdraw { channel: None, amount: amount(100), key: None };
    alice.ask(take).await.unwrap();
    let Terms::Withdraw(terms) = alice.driver.consents[&CHANNEL].terms else { panic!("another") };
    let consent = Consent { channel: CHANNEL, seq: 0, terms, signature: signature() };
    let frame = Frame::Withdraw(Box::new(consent));
    let hub = two.hub.identity.peer();
    alice.driver.on_frame(hub, frame.clone()).await.unwrap();
    assert!(alice.driver.errands.is_empty());
    assert!(chain_says(&mut alice, Some(true)).await);
    alice.driver.on_frame(hub, frame).await.unwrap();
    assert_eq!(alice.driver.errands.len(), 1, "both consents are on their way to the chain");
    // It is revoked before it is executed: the vault refuses it, and past its deadline, final, the channel goes on.
    assert!(alice.driver.is_held(CHANNEL));
    alice.driver.final_s = terms.deadline + 1;
    alice.driver.on_tick().await.unwrap();
    assert!(!alice.driver.is_held(CHANNEL));
    assert_eq!(alice.held(), Some(5), "no machine went on from what was only agreed");
}
