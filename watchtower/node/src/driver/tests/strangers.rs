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

/// Everything that the hub was asked for by this participant, and what it said.
async fn answer(hub: &mut Single, two: &Two, seed: u8) -> Frame {
    let peer = Identity::from_secret(&[seed; 32]).unwrap().peer();
    hub.driver.on_ask(peer, ask_of(two, seed)).await.unwrap();
    hub.settle().await;
    let said = hub.said().await;
    said.into_iter().find(|(to, _)| *to == peer).unwrap().1
}

#[tokio::test]
async fn capital_is_promised_to_whoever_has_paid_in_and_to_nobody_for_asking() {
    let two = Two::new();
    let mut hub = hub_of(&two).await;
    hub.driver.idle = Some(U256::from(SIDE));
    let refused = Frame::Refused(None, protocol::vnode::link::Refusal::Liquidity);
    // Whoever asks is offered what is there: words hold nothing back from others.
    for seed in [1, 10, 11] {
        assert!(matches!(answer(&mut hub, &two, seed).await, Frame::Offer(_)), "{seed}");
    }
    let rate = U256::from(hub.driver.parts.policy.hub.rate.get());
    let opened = ChannelOpened { rate, ..two.own.opened.clone() };
    let unfinal = |event: Event| {
        let mut batch = delivery(vec![at(u64::MAX, event)]);
        batch.batch.tip.finalized = Some(0);
        batch
    };
    // What this hub would not accept promises nothing.
    let other = ChannelOpened { rate: rate + U256::from(1), channel: id(7), ..opened.clone() };
    hub.driver.on_batch(unfinal(Event::ChannelOpened(Box::new(other)))).await.unwrap();
    assert!(matches!(answer(&mut hub, &two, 12).await, Frame::Offer(_)));
    // One that it would accept has paid in, though it is not final yet.
    hub.driver.on_batch(unfinal(Event::ChannelOpened(Box::new(opened)))).await.unwrap();
    assert_eq!(answer(&mut hub, &two, 13).await, refused);
    // Taken back, also before anything is final, it holds nothing any more.
    let back = Event::Cancelled { channel: id(1) };
    hub.driver.on_batch(unfinal(back)).await.unwrap();
    assert!(matches!(answer(&mut hub, &two, 13).await, Frame::Offer(_)));
}
