//! A person with thousands of payments lists them all, a page at a time.

use std::collections::{BTreeMap, BTreeSet};

use protocol::payment::terms::{Terms, TermsFields};
use protocol::payment::wallet::{self, Payment, Stage};
use protocol::testing::{amount, derived};
use protocol::{ChannelId, Role, Sequence};
use serde_json::Value;
use store::{NodeChange, NodeTable};

use super::single::{CHANNEL, Single, Two, open_store, outgoing};
use super::world::{delivery, id, keys, own, policy};
use crate::book::Own;
use crate::driver::{After, Command};
use crate::rows;

/// Payments of each channel: most are archived, the newest are not.
const EACH: u64 = 2_000;
const KEPT: u64 = 50;
const PAGE: usize = 300;

/// The payment that ended as the `place`-th of its channel.
fn ended(own: &Own, place: u64) -> Payment {
    let terms = Terms::try_from(TermsFields {
        domain: own.channel.domain(),
        payer: own.channel.id(),
        payee: id(2),
        amount: amount(u128::from(place)),
        fee: amount(0),
        sequence: Sequence::try_from(place).unwrap(),
        reference: derived(place, "reference").0,
        part: 0,
        parts: 1,
    });
    outgoing(terms.unwrap(), Stage::Received, Some(place))
}

/// Puts thousands of payments onto alice's disk, as her wallets wrote them: each when it ended, then archived.
async fn many(two: &Two, owns: &[Own]) {
    for own in owns {
        let channel = own.channel.id();
        let record = wallet::Record::new(&own.channel);
        let mut head = record.book.head.clone();
        head.closed = EACH;
        head.sequence = Sequence::try_from(EACH + 1).unwrap();
        let turn = |payments: BTreeMap<_, _>| {
            let (handshake, head) = (record.handshake.to_bytes(), head.clone());
            let dropped = BTreeSet::new();
            let batch = wallet::Batch { handshake, head, payments, dropped };
            rows::wallet_turn(channel, &batch, &record.handshake).unwrap()
        };
        let all: Vec<Payment> = (1..=EACH).map(|place| ended(own, place)).collect();
        let known = rows::put(NodeTable::Notes, rows::known_key(channel), &own.channel).unwrap();
        two.put(vec![Two::channel_row(own), known]).await;
        two.put(turn(all.iter().map(|one| (one.terms.id(), Some(one.clone()))).collect())).await;
        let old = all.iter().filter(|one| one.closed <= Some(EACH - KEPT));
        two.put(turn(old.map(|one| (one.terms.id(), None)).collect())).await;
    }
}

/// Every page: the payments in the order in which they were shown. None holds much more than was asked for.
async fn pages(alice: &mut Single, channel: Option<ChannelId>) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = alice.ask(Command::Page { channel, after, limit: PAGE }).await.unwrap();
        let payments = page["payments"].as_array().unwrap();
        assert!(payments.len() <= PAGE + 1, "{}", payments.len());
        all.extend(payments.iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = Some(next.parse::<After>().unwrap()),
            None => return all,
        }
    }
}

fn places(all: &[Value]) -> Vec<(u64, String)> {
    let place = |one: &Value| {
        (one["channel"].as_u64().unwrap(), one["amount"].as_str().unwrap().to_owned())
    };
    all.iter().map(place).collect()
}

#[tokio::test]
async fn thousands_of_payments_are_listed_page_by_page_oldest_first_and_each_once() {
    let two = Two::new();
    let other = own(3, &two.alice, &two.hub);
    let bob = own(2, &keys(2, Role::Participant), &two.hub);
    many(&two, &[two.own.clone(), other]).await;
    two.put(vec![rows::put(NodeTable::Notes, rows::known_key(id(2)), &bob.channel).unwrap()]).await;
    let mut alice = two.alice(policy(), 0).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let all = pages(&mut alice, None).await;
    let of = |channel: u64| (1..=EACH).map(move |place| (channel, place.to_string()));
    let expected: Vec<_> = of(1).chain(of(3)).collect();
    assert_eq!(places(&all), expected);
    let ids: BTreeSet<_> = all.iter().map(|one| one["payment"].to_string()).collect();
    assert_eq!(ids.len(), expected.len());
    assert_eq!(places(&pages(&mut alice, Some(id(3))).await), of(3).collect::<Vec<_>>());
    drop(alice);
    // A disk from before there were notes of what ended has them after its next start.
    let store = open_store(two.folder.path(), &two.alice);
    let notes = store.node_rows(NodeTable::Notes, b"ended", 2 * 2_000 + 1).unwrap();
    assert_eq!(notes.len(), 4_001);
    let gone = |(key, _)| NodeChange::Remove(NodeTable::Notes, key);
    store.commit_node(notes.into_iter().map(gone).collect()).await.unwrap();
    drop(store);
    let mut alice = two.alice(policy(), 0).await;
    assert_eq!(places(&pages(&mut alice, None).await), expected);
}

#[tokio::test]
async fn a_payment_that_has_not_ended_is_behind_those_of_its_channel_that_have() {
    let two = Two::new();
    let bob = own(2, &keys(2, Role::Participant), &two.hub);
    let known = rows::put(NodeTable::Notes, rows::known_key(id(2)), &bob.channel).unwrap();
    two.put(vec![known]).await;
    let mut alice = two.alice_with(&two.signed(5, super::world::SIDE)).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let pay = Command::Pay {
        channel: Some(CHANNEL),
        to: "2".to_owned(),
        amount: Some(amount(7)),
        key: Some("rent".to_owned()),
    };
    alice.ask(pay).await.unwrap();
    let all = pages(&mut alice, None).await;
    assert_eq!((all.len(), &all[0]["stage"]), (1, &Value::from("proposed")));
    for nonsense in ["", "1", "1.", ".1", "0.1", "0x00"] {
        assert_eq!(nonsense.parse::<After>().unwrap_err().status, 400, "{nonsense}");
    }
    let of_a_hub = format!("0x{}", "ab".repeat(32)).parse::<After>().unwrap();
    let wrong = Command::Page { channel: None, after: Some(of_a_hub), limit: PAGE };
    assert_eq!(alice.ask(wrong).await.unwrap_err().status, 400);
}
