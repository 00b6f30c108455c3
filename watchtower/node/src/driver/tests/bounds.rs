//! What others may take of a node: its time, its rows, its places; and what it may rely on.

use alloy_primitives::Bytes;
use protocol::payment::hub::{Batch, HubPayment, HubStage};
use protocol::payment::terms::TermsFields;
use protocol::payment::wallet::{self, Payment, Stage};
use protocol::payment::{Message, Terms};
use protocol::testing::{amount, nonce};
use protocol::vnode::link::{Consent, Frame};
use protocol::zksc::PaymentId;
use protocol::{ChannelId, Role, Sequence};
use store::{NodeChange, NodeTable};

use super::super::seconds;
use super::single::{CHANNEL, Single, Two, open_store, outgoing};
use super::world::{SIDE, delivery, id, keys, own, policy};
use crate::book::{Dispute, Own, Standing};
use crate::driver::consent::Terms as Agreed;
use crate::driver::hubs::accept_name;
use crate::driver::{Command, Delivery};
use crate::rows;
use crate::sender::{Errand, State};

/// A payment of alice's that was ordered under the key `rent`, in a wallet.
fn rent(two: &Two, stage: Stage) -> Payment {
    let terms = Terms::try_from(TermsFields {
        domain: two.own.channel.domain(),
        payer: CHANNEL,
        payee: id(2),
        amount: amount(100),
        fee: amount(0),
        sequence: Sequence::MIN,
        reference: alloy_primitives::keccak256("rent").0,
        part: 0,
        parts: 1,
    });
    outgoing(terms.unwrap(), stage, (stage == Stage::Refused).then_some(1))
}

/// Alice with a channel of that payment, and another one, and whom she pays.
async fn alice_who_paid(two: &Two, payment: &Payment) -> Single {
    let other = own(3, &two.alice, &two.hub);
    let bob = own(2, &keys(2, Role::Participant), &two.hub);
    let key = [rows::key(CHANNEL), payment.terms.id().0.to_vec()].concat();
    let reference = rows::reference_key(&payment.terms.fields().reference);
    two.put(vec![
        Two::channel_row(&two.own),
        Two::channel_row(&other),
        rows::new_wallet(&two.own.channel).unwrap(),
        rows::new_wallet(&other.channel).unwrap(),
        rows::put(NodeTable::Notes, rows::known_key(id(2)), &bob.channel).unwrap(),
        rows::put(NodeTable::Notes, reference, &CHANNEL).unwrap(),
        rows::put(NodeTable::Payments, key, payment).unwrap(),
    ])
    .await;
    let mut alice = two.alice(policy(), 0).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    alice
}

fn pay(from: ChannelId, key: Option<&str>) -> Command {
    let (amount, key) = (Some(amount(100)), key.map(str::to_owned));
    Command::Pay { channel: Some(from), to: "2".to_owned(), amount, key }
}

async fn hub(two: &Two, rows: Vec<NodeChange>) -> Single {
    open_store(two.folder.path(), &two.hub).commit_node(rows).await.unwrap();
    let mut hub = Single::start(two.folder.path(), &two.hub, policy(), 0).await;
    hub.driver.on_batch(delivery(Vec::new())).await.unwrap();
    hub
}

#[tokio::test]
async fn an_attempt_that_may_still_be_debited_is_not_repeated_on_another_channel() {
    let two = Two::new();
    let mut alice = Box::pin(alice_who_paid(&two, &rent(&two, Stage::Refused))).await;
    let refused = alice.ask(pay(id(3), Some("rent"))).await.unwrap_err();
    assert!(refused.message.contains("may have signed"), "{refused}");
    // Once nothing is signed there any more, it cannot.
    let given = alice.driver.give_wallet(CHANNEL, wallet::Event::Stop).await.unwrap();
    assert_eq!(given.refusal(), None);
    alice.ask(pay(id(3), Some("rent"))).await.unwrap();
    assert_eq!(alice.driver.wallets[&id(3)].book().payments.len(), 1);
}

#[tokio::test]
async fn a_payment_to_a_channels_number_needs_a_key() {
    let two = Two::new();
    let mut alice = Box::pin(alice_who_paid(&two, &rent(&two, Stage::Refused))).await;
    let refused = alice.ask(pay(CHANNEL, None)).await.unwrap_err();
    assert_eq!(refused.code, "bad_request");
    alice.ask(pay(CHANNEL, Some("more"))).await.unwrap();
}

#[tokio::test]
async fn a_deposits_key_is_not_taken_for_another_amount() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let fund = |of| Command::Fund { channel: None, amount: amount(of), key: "one".to_owned() };
    let first = alice.ask(fund(5)).await.unwrap();
    assert_eq!(alice.ask(fund(5)).await.unwrap(), first);
    assert!(alice.ask(fund(6)).await.unwrap_err().message.contains("another amount"));
    drop(alice);
    let rows = vec![rows::new_lane(&two.own.channel).unwrap()];
    let hubs = tempfile::tempdir().unwrap();
    let store = open_store(hubs.path(), &two.hub);
    store.commit_node([vec![Two::channel_row(&two.own)], rows].concat()).await.unwrap();
    drop(store);
    let mut hub = Single::start(hubs.path(), &two.hub, policy(), 0).await;
    hub.driver.idle = Some(alloy_primitives::U256::from(SIDE));
    let allocate = |of| {
        let (channel, amount, key) = (CHANNEL, amount(of), "one".to_owned());
        Command::Allocate { channel, amount, key }
    };
    let first = hub.ask(allocate(5)).await.unwrap();
    assert_eq!(hub.ask(allocate(5)).await.unwrap(), first);
    assert!(hub.ask(allocate(6)).await.unwrap_err().message.contains("another amount"));
}

#[tokio::test]
async fn a_payment_whose_receipt_does_not_come_holds_up_no_consent_and_is_given_up() {
    let two = Two::new();
    let paid = rent(&two, Stage::Debited);
    let payment = paid.terms.id();
    let mut alice = Box::pin(alice_who_paid(&two, &paid)).await;
    let take = Command::Withdraw { channel: Some(CHANNEL), amount: amount(1), key: None };
    assert_eq!(alice.ask(take.clone()).await.unwrap_err().code, "not_now", "it may be paid back");
    let hub = two.hub.identity.peer();
    alice.driver.peers.insert(CHANNEL, hub);
    let credited = Frame::Payment(CHANNEL, Message::Credited(payment));
    alice.driver.on_frame(hub, credited).await.unwrap();
    let gone = alice.ask(Command::GiveUp { payment }).await.unwrap();
    assert_eq!(gone["payments"][0]["stage"], "unclear");
    assert_eq!(alice.ask(Command::GiveUp { payment }).await.unwrap_err().code, "refused");
    let unknown = Command::GiveUp { payment: PaymentId([9; 32]) };
    assert_eq!(alice.ask(unknown).await.unwrap_err().code, "not_found");
    alice.settle().await;
    drop(alice);
    // The same without giving it up.
    let two = Two::new();
    let mut alice = Box::pin(alice_who_paid(&two, &rent(&two, Stage::Debited))).await;
    let hub = two.hub.identity.peer();
    alice.driver.peers.insert(CHANNEL, hub);
    let credited = Frame::Payment(CHANNEL, Message::Credited(payment));
    alice.driver.on_frame(hub, credited).await.unwrap();
    alice.ask(take).await.unwrap();
    assert!(alice.driver.consents.contains_key(&CHANNEL));
}

#[tokio::test]
async fn a_consent_that_runs_out_at_once_is_not_given() {
    let two = Two::new();
    let rows = vec![Two::channel_row(&two.own), rows::new_lane(&two.own.channel).unwrap()];
    let mut hub = hub(&two, rows).await;
    for (seconds, given) in [(0, false), (299, false), (3_601, false), (300, true)] {
        let deadline = hub.driver.chain_s + seconds;
        let terms = hub.driver.withdrawal(CHANNEL, amount(1), deadline).unwrap();
        let words = hub.driver.words(CHANNEL, 0, &Agreed::Withdraw(terms)).unwrap();
        let signed: Bytes = two.alice.account.sign_digest(&words.digest()).unwrap();
        let consent = Consent { channel: CHANNEL, seq: 0, terms, signature: signed };
        hub.driver.on_withdraw(CHANNEL, consent).await.unwrap();
        assert_eq!(hub.driver.consents.contains_key(&CHANNEL), given, "{seconds}");
    }
}

#[tokio::test]
async fn what_moved_nothing_leaves_no_row() {
    let two = Two::new();
    let rent = rent(&two, Stage::Proposed).terms;
    let mut batch = Batch::default();
    batch.payments.insert(rent.id(), None);
    let turn = rows::hub_turn(&batch, |_| None).unwrap();
    assert!(matches!(turn[..], [NodeChange::Archive(NodeTable::Payments, _)]));
    batch.dropped.insert(rent.id());
    let turn = rows::hub_turn(&batch, |_| None).unwrap();
    assert!(matches!(turn[..], [NodeChange::Remove(NodeTable::Payments, _)]));
    let alice = two.alice_with(&two.signed(5, SIDE)).await;
    let wallet = &alice.driver.wallets[&CHANNEL];
    let mut batch = wallet::Batch {
        handshake: wallet.handshake().record().to_bytes(),
        head: wallet.book().head.clone(),
        payments: [(rent.id(), None)].into(),
        dropped: [rent.id()].into(),
    };
    let record = wallet.handshake().record();
    let removes = |one: &NodeChange| matches!(one, NodeChange::Remove(NodeTable::Payments, _));
    assert!(rows::wallet_turn(CHANNEL, &batch, record).unwrap().iter().any(removes));
    batch.dropped.clear();
    assert!(!rows::wallet_turn(CHANNEL, &batch, record).unwrap().iter().any(removes));
}

#[tokio::test]
async fn a_newest_block_of_another_time_is_not_signed_on_and_not_the_chains_head() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let mut policy = policy();
    policy.head_off_max_s = 300;
    let mut alice = two.alice(policy, 0).await;
    let of_time = |time_s| {
        let mut seen: Delivery = delivery(Vec::new());
        seen.batch.tip.head.timestamp = time_s;
        seen
    };
    for time_s in [seconds() - 86_400, seconds() - 400, seconds() + 400] {
        alice.driver.on_batch(of_time(time_s)).await.unwrap();
        assert!(!alice.driver.caught_up);
        let status = alice.ask(Command::Status).await.unwrap();
        assert_eq!(status["signs"], false);
        assert!(status["why_not"].as_str().unwrap().contains("clock"), "{status}");
        assert_eq!(alice.driver.view_told, Some(0), "nor do the machines");
    }
    alice.driver.on_batch(of_time(seconds() - 10)).await.unwrap();
    assert!(alice.driver.caught_up);
    assert_eq!(alice.ask(Command::Status).await.unwrap()["signs"], true);
}

#[tokio::test]
async fn what_a_struck_down_dispute_pays_comes_home_and_the_pool_is_told_to_collect() {
    let two = Two::new();
    // Alice's dispute, struck down: a share of the bond is the hub's account's.
    let (disputer, claim) = (two.alice.account.address(), amount(SIDE));
    let (peak, agreed) = (amount(2 * SIDE), None);
    let dispute = Dispute { disputer, epoch: 1, nonce: nonce(5), claim, peak, deadline: 1, agreed };
    let over = Own { standing: Standing::Over, dispute: Some(dispute), ..two.own.clone() };
    let lane = rows::new_lane(&two.own.channel).unwrap();
    let hub = hub(&two, vec![Two::channel_row(&over), lane]).await;
    let names: Vec<&str> = hub.driver.errands.keys().map(String::as_str).collect();
    assert_eq!(names, ["collect ether of channel 1", "collect pool after channel 1"]);
    let mut nothing = hub.driver.errands["collect ether of channel 1"].clone();
    nothing.state = State::Failed("the contract refuses: NothingToClaim".to_owned());
    assert!(crate::driver::end::found_nothing(&nothing), "no failure for a person");
    drop(hub);
    // By consent: the pool's part alone.
    let two = Two::new();
    let over = Own { standing: Standing::Over, ..two.own.clone() };
    let lane = rows::new_lane(&two.own.channel).unwrap();
    let hub = self::hub(&two, vec![Two::channel_row(&over), lane]).await;
    let names: Vec<&str> = hub.driver.errands.keys().map(String::as_str).collect();
    assert_eq!(names, ["collect pool after channel 1"]);
}

#[tokio::test]
async fn channels_that_nobody_accepted_take_no_places_and_are_forgotten() {
    let two = Two::new();
    let opened = |at: u64, accept_by, whose: u8| {
        let one = own(at, &keys(whose, Role::Participant), &keys(9, Role::Counterparty));
        let opened = chain::events::ChannelOpened { accept_by, ..one.opened };
        Own { standing: Standing::Open, opened, ..one }
    };
    // Open for long, too late, too late but on its way, and of another hub's keys.
    let (open, late, comes) = (opened(2, u64::MAX, 2), opened(3, 5, 3), opened(4, 5, 4));
    let foreign = own(5, &keys(5, Role::Participant), &keys(8, Role::Counterparty));
    let foreign = Own { standing: Standing::Open, ..foreign };
    let errand = Errand::new(accept_name(id(4)), Vec::new());
    let key = [b"errand/".as_slice(), errand.name.as_bytes()].concat();
    let mut rows: Vec<NodeChange> =
        [&two.own, &open, &late, &comes, &foreign].map(Two::channel_row).into();
    rows.push(rows::new_lane(&two.own.channel).unwrap());
    rows.push(rows::put(NodeTable::Orders, key, &errand).unwrap());
    let mut hub = hub(&two, rows).await;
    assert_eq!(hub.driver.count_channels(), 2, "the one that lives and the one on its way");
    hub.driver.final_s = 6;
    hub.driver.caught_up = false;
    assert!(hub.driver.forget_unaccepted().is_empty(), "what it has not heard yet may matter");
    hub.driver.caught_up = true;
    assert_eq!(hub.driver.forget_unaccepted().len(), 2);
    let left: Vec<u64> = hub.driver.book.channels().keys().map(|id| id.get()).collect();
    assert_eq!(left, [1, 2, 4]);
}

#[tokio::test]
async fn a_debit_that_was_settled_is_offered_after_a_start() {
    let two = Two::new();
    let bob = own(2, &keys(2, Role::Participant), &two.hub);
    let dispute = Dispute {
        disputer: two.alice.account.address(),
        epoch: 1,
        nonce: nonce(5),
        claim: amount(1),
        peak: amount(1),
        deadline: 1,
        agreed: None,
    };
    let (dispute, settled) = (Some(dispute), Some(nonce(5)));
    let over = Own { standing: Standing::Over, dispute, settled, ..two.own.clone() };
    let terms = rent(&two, Stage::Debited).terms;
    let payment = HubPayment {
        terms,
        stage: HubStage::Debited,
        reason: None,
        debit: Some(nonce(5)),
        credit: None,
        shown: None,
        receipt: None,
    };
    drop(two.hub_with(policy(), &two.signed(5, SIDE)).await);
    let rows = vec![
        Two::channel_row(&over),
        Two::channel_row(&bob),
        rows::new_lane(&bob.channel).unwrap(),
        rows::put(NodeTable::Payments, terms.id().0.to_vec(), &payment).unwrap(),
    ];
    let folder = two.folder.path().join("hub");
    open_store(&folder, &two.hub).commit_node(rows).await.unwrap();
    let mut hub = Single::start(&folder, &two.hub, policy(), 0).await;
    hub.driver.on_batch(delivery(Vec::new())).await.unwrap();
    let peer = keys(2, Role::Participant).identity.peer();
    hub.driver.peers.insert(id(2), peer);
    // What a start does with every channel that has ended; the payee's node is there by now.
    hub.driver.heed_end(CHANNEL).await.unwrap();
    hub.settle().await;
    let offered = Frame::Payment(id(2), Message::Offer(terms));
    let said = hub.said().await;
    assert!(said.contains(&(peer, offered)), "{said:?}");
}
