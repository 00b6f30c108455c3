//! What a hub does for anybody, and for nobody.

use alloy_primitives::{Address, U256};
use chain::events::{ChannelOpened, Event};
use gossip::Identity;
use protocol::Role;
use protocol::testing::{HEDGE, amount};
use protocol::vnode::link::{Ask, Frame};

use super::single::{Single, Two, at};
use super::world::{SIDE, delivery, id, keys, policy, site};

fn ask_of(two: &Two, seed: u8) -> Ask {
    let (hub, theirs) = (&two.hub, keys(seed, Role::Participant));
    let (ours, key) = (theirs.signer.channel_key(), hub.signer.channel_key().public_key());
    let digest = protocol::schnorr::keys_digest(ours.public_key(), key).unwrap();
    Ask {
        domain: protocol::Domain::derive(1, site(Role::Participant).vipe),
        account: theirs.account.address(),
        key: *ours.public_key(),
        session: theirs.signer.session_address(),
        deposit: amount(SIDE),
        possession: Ask::possession(ours, &digest, &HEDGE),
    }
}

async fn hub_of(two: &Two) -> Single {
    let mut hub = Single::start(two.folder.path(), &two.hub, policy(), 0).await;
    let batch =
        crate::driver::Delivery { idle: Some(U256::from(3 * SIDE)), ..delivery(Vec::new()) };
    hub.driver.on_batch(batch).await.unwrap();
    hub
}

#[tokio::test]
async fn openings_cost_a_hub_little_whoever_asks_and_how_often() {
    let two = Two::new();
    let mut hub = hub_of(&two).await;
    let peer = Identity::from_secret(&[77; 32]).unwrap().peer();
    for seed in 10..60 {
        hub.driver.on_ask(peer, ask_of(&two, seed)).await.unwrap();
    }
    assert_eq!(hub.driver.asked.len(), 4);
    assert!(hub.said().await.is_empty(), "an offer leaves when its reason is durable");
    hub.settle().await;
    assert_eq!(hub.said().await.len(), 4);
}

#[tokio::test]
async fn a_hub_offers_no_more_than_its_pool_has() {
    let two = Two::new();
    let mut hub = hub_of(&two).await;
    let peer = Identity::from_secret(&[77; 32]).unwrap().peer();
    hub.driver.idle = Some(U256::from(SIDE - 1));
    hub.driver.on_ask(peer, ask_of(&two, 10)).await.unwrap();
    hub.settle().await;
    let refused = protocol::vnode::link::Refusal::Liquidity;
    assert_eq!(hub.said().await, [(peer, Frame::Refused(None, refused))]);
}

#[tokio::test]
async fn a_hub_accepts_only_the_account_that_asked() {
    let two = Two::new();
    let mut hub = hub_of(&two).await;
    let peer = Identity::from_secret(&[77; 32]).unwrap().peer();
    hub.driver.on_ask(peer, ask_of(&two, 1)).await.unwrap();
    let rate = hub.driver.parts.policy.hub.rate.get();
    let opened = ChannelOpened { rate: U256::from(rate), ..two.own.opened.clone() };
    let thief =
        ChannelOpened { participant: Address::repeat_byte(0x66), channel: id(2), ..opened.clone() };
    let events = vec![
        at(1, Event::ChannelOpened(Box::new(thief))),
        at(2, Event::ChannelOpened(Box::new(opened))),
    ];
    hub.driver.on_batch(delivery(events)).await.unwrap();
    let names: Vec<_> = hub.driver.errands.keys().cloned().collect();
    assert_eq!(names, ["accept channel 1"]);
}

#[tokio::test]
async fn an_opening_waits_for_capital_that_others_have_taken_meanwhile() {
    let two = Two::new();
    let mut hub = hub_of(&two).await;
    let peer = Identity::from_secret(&[77; 32]).unwrap().peer();
    hub.driver.on_ask(peer, ask_of(&two, 1)).await.unwrap();
    let rate = U256::from(hub.driver.parts.policy.hub.rate.get());
    let opened = ChannelOpened { rate, ..two.own.opened.clone() };
    let events = vec![at(1, Event::ChannelOpened(Box::new(opened)))];
    let taken = Some(U256::from(SIDE - 1));
    let batch = crate::driver::Delivery { idle: taken, ..delivery(events) };
    hub.driver.on_batch(batch).await.unwrap();
    assert!(hub.driver.errands.is_empty(), "the pool has too little now");
    hub.driver.idle = Some(U256::from(SIDE));
    hub.driver.accepting_ms = 0;
    hub.driver.tick_signing().await.unwrap();
    let names: Vec<_> = hub.driver.errands.keys().cloned().collect();
    assert_eq!(names, ["accept channel 1"], "and accepts it once it has enough");
}
