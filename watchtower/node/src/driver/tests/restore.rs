//! Disks that are lost or older than what was signed, and what is not done on them.

use chain::events::{Event, Withdrawn};
use protocol::backup::{DisputeKey, UnverifiedEnvelope, seal};
use protocol::payment::Terms;
use protocol::payment::hub::{HubPayment, HubStage};
use protocol::payment::terms::TermsFields;
use protocol::payment::wallet;
use protocol::testing::{HEDGE, amount, nonce};
use protocol::vnode::link::Refusal;
use protocol::zksc::FinalState;
use protocol::{EscrowVersion, Role, Sequence};
use serde_json::Value;
use store::{NodeChange, NodeTable};

use super::single::{CHANNEL, Single, Two, at, open_store};
use super::world::{SIDE, delivery, id, policy};
use crate::book::{Own, Standing};
use crate::driver::Command;
use crate::driver::hubs::accept_name;
use crate::policy::Policy;
use crate::rows;
use crate::sender::{Errand, State};
use crate::towers::Answer;

/// So many towers asked, and whoever does not answer is not waited for.
fn impatient(quorum: usize) -> Policy {
    let mut policy = policy();
    (policy.backup.target, policy.backup.restore_quorum) = (1, quorum);
    policy.backup.restore_wait_ms = 0;
    policy
}

/// What a tower answers that holds this state.
fn holds(two: &Two, tower: usize, state: &FinalState) -> Answer {
    let channel = &two.own.channel;
    let secret = two.alice.signer.channel_key();
    let key = DisputeKey::of(channel, Role::Participant, secret).unwrap();
    let sealed = seal(state, channel, &key, &two.alice.signer, &HEDGE).unwrap();
    let envelope = UnverifiedEnvelope::from_bytes(&sealed.to_bytes()).unwrap();
    Answer::Fetched { tower, channel: CHANNEL, envelopes: vec![envelope] }
}

/// The hub with these rows on its disk.
async fn hub(two: &Two, rows: Vec<NodeChange>, policy: Policy) -> Single {
    open_store(two.folder.path(), &two.hub).commit_node(rows).await.unwrap();
    Single::start(two.folder.path(), &two.hub, policy, 1).await
}

fn accepted() -> Vec<chain::events::ChainEvent> {
    vec![at(1, Event::Accepted { channel: CHANNEL, allocation: amount(SIDE) })]
}

/// The hub ordered its consent to the channel.
fn consented() -> NodeChange {
    let name = accept_name(CHANNEL);
    let errand = Errand { state: State::Done, ..Errand::new(name.clone(), Vec::new()) };
    rows::put(NodeTable::Orders, [b"errand/".as_slice(), name.as_bytes()].concat(), &errand)
        .unwrap()
}

async fn channel(single: &mut Single) -> Value {
    single.ask(Command::Channels).await.unwrap()["channels"][0].clone()
}

#[tokio::test]
async fn a_disk_that_is_older_than_what_towers_hold_is_not_signed_on() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let mut patient = impatient(1);
    patient.backup.restore_wait_ms = 600_000;
    let mut alice = two.alice(patient, 1).await;
    alice.driver.on_tick().await.unwrap();
    assert!(alice.held().is_none(), "the towers are asked first");
    assert_eq!(alice.ask(Command::Restore).await.unwrap()["done"], true, "that is no restore");
    alice.driver.on_tower(holds(&two, 0, &two.signed(7, 2 * SIDE))).await.unwrap();
    assert_eq!(alice.held(), Some(7));
    assert!(alice.driver.is_held(CHANNEL), "what it consented to since is forgotten");
}

#[tokio::test]
async fn a_sound_node_goes_on_after_a_while_when_no_tower_answers() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let mut alice = two.alice(impatient(1), 1).await;
    assert!(alice.held().is_none());
    alice.driver.on_tick().await.unwrap();
    assert_eq!(alice.held(), Some(5));
    assert!(!alice.driver.is_held(CHANNEL));
}

#[tokio::test]
async fn what_one_tower_showed_counts_also_when_the_others_do_not_answer_in_time() {
    let two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    let mut alice = two.alice(impatient(2), 3).await;
    alice.driver.on_tower(holds(&two, 1, &two.signed(7, 2 * SIDE))).await.unwrap();
    assert!(alice.held().is_none(), "two are asked for");
    alice.driver.on_tick().await.unwrap();
    assert_eq!(alice.held(), Some(7));
    assert!(alice.driver.is_held(CHANNEL));
}

#[tokio::test]
async fn a_disk_from_before_the_first_payment_is_restored_although_it_saw_the_opening() {
    let two = Two::new();
    let rows = vec![Two::channel_row(&two.own), consented()];
    let mut hub = hub(&two, rows, impatient(1)).await;
    hub.driver.on_batch(delivery(Vec::new())).await.unwrap();
    hub.driver.on_tick().await.unwrap();
    assert!(hub.held().is_none());
    hub.driver.on_tower(holds(&two, 0, &two.signed(500, SIDE))).await.unwrap();
    assert_eq!(hub.held(), Some(500));
}

#[tokio::test]
async fn an_opening_that_began_to_live_before_this_start_is_restored() {
    let two = Two::new();
    let open = Own { standing: Standing::Open, ..two.own.clone() };
    let mut hub = hub(&two, vec![Two::channel_row(&open), consented()], impatient(1)).await;
    // The first that it hears of the chain: how long ago that was is not known.
    hub.driver.on_batch(delivery(accepted())).await.unwrap();
    hub.driver.on_tick().await.unwrap();
    assert!(hub.held().is_none());
}

#[tokio::test]
async fn an_opening_that_begins_to_live_while_the_node_looks_is_used_at_once() {
    let two = Two::new();
    let open = Own { standing: Standing::Open, ..two.own.clone() };
    let mut hub = hub(&two, vec![Two::channel_row(&open), consented()], impatient(1)).await;
    hub.driver.on_batch(delivery(Vec::new())).await.unwrap();
    hub.driver.on_batch(delivery(accepted())).await.unwrap();
    assert_eq!(hub.held(), Some(0));
    assert!(!hub.driver.is_held(CHANNEL));
    let row = hub.driver.parts.store.node_row(NodeTable::Lanes, &rows::key(CHANNEL)).unwrap();
    assert!(row.is_some(), "from now on there is a record");
}

/// Alice, whose disk was lost, with the state that her hub showed.
async fn restored(two: &Two) -> Single {
    let known = rows::put(NodeTable::Notes, rows::known_key(CHANNEL), &two.own.channel).unwrap();
    two.put(vec![Two::channel_row(&two.own), known]).await;
    let mut alice = two.alice(policy(), 0).await;
    let newest = Some(Box::new(two.signed(7, SIDE).unverified()));
    alice.driver.on_restored_by_hub(CHANNEL, newest).await.unwrap();
    alice.settle().await;
    assert_eq!(alice.held(), Some(7));
    alice
}

#[tokio::test]
async fn a_restored_channel_pauses_as_long_as_a_forgotten_consent_may_be_good() {
    let two = Two::new();
    drop(restored(&two).await);
    let mut alice = two.alice(policy(), 0).await;
    assert!(alice.driver.is_held(CHANNEL), "also after another start");
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    alice.driver.on_tick().await.unwrap();
    let shown = channel(&mut alice).await;
    assert_eq!(shown["held"], true);
    assert!(shown["held_why"].as_str().unwrap().contains("restored"), "{shown}");
    let (to, key) = (CHANNEL.to_string(), Some("rent".to_owned()));
    let pay = Command::Pay { channel: Some(CHANNEL), to, amount: Some(amount(1)), key };
    let refused = alice.ask(pay).await.unwrap_err();
    assert!(refused.to_string().contains("restored"), "{refused}");
    assert_eq!(alice.driver.closing(CHANNEL, u64::MAX), Err(Refusal::Busy));
    // The last moment at which such a consent is good, and the one after it.
    let until = alice.driver.chain_s + policy().backup.hold_after_restore_s;
    for (now, held) in [(until, true), (until + 1, false)] {
        alice.driver.final_s = now;
        alice.driver.on_tick().await.unwrap();
        assert_eq!(alice.driver.is_held(CHANNEL), held);
    }
    assert!(alice.driver.closing(CHANNEL, u64::MAX).is_ok());
    drop(alice);
    assert!(!two.alice(policy(), 0).await.driver.is_held(CHANNEL));
}

#[tokio::test]
async fn a_pause_ends_with_the_consent_that_was_forgotten() {
    let two = Two::new();
    let mut alice = restored(&two).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    alice.driver.on_tick().await.unwrap();
    assert!(alice.driver.is_held(CHANNEL));
    let withdrawn = Withdrawn {
        channel: CHANNEL,
        seq: 0,
        nonce: nonce(8),
        version: EscrowVersion::try_from(2).unwrap(),
        balance: amount(SIDE),
        to_participant: amount(5),
        to_vip: amount(0),
    };
    alice.driver.on_batch(delivery(vec![at(1, Event::Withdrawn(withdrawn))])).await.unwrap();
    alice.driver.on_tick().await.unwrap();
    assert_eq!((alice.held(), alice.driver.is_held(CHANNEL)), (Some(8), false));
}

#[tokio::test]
async fn a_hub_that_was_set_back_signs_nothing_for_the_payments_of_its_old_disk() {
    let two = Two::new();
    let terms = Terms::try_from(TermsFields {
        domain: two.own.channel.domain(),
        payer: id(2),
        payee: CHANNEL,
        amount: amount(100),
        fee: amount(0),
        sequence: Sequence::MIN,
        reference: [7; 32],
        part: 0,
        parts: 1,
    })
    .unwrap();
    let payment = HubPayment {
        terms,
        stage: HubStage::Debited,
        reason: None,
        debit: Some(nonce(1)),
        credit: None,
        shown: None,
        receipt: None,
    };
    let key = terms.id().0.to_vec();
    let rows = vec![
        Two::channel_row(&two.own),
        rows::new_lane(&two.own.channel).unwrap(),
        rows::put(NodeTable::Payments, key, &payment).unwrap(),
    ];
    let mut hub = hub(&two, rows, impatient(1)).await;
    hub.driver.on_tower(holds(&two, 0, &two.signed(7, SIDE))).await.unwrap();
    hub.settle().await;
    assert_eq!(hub.held(), Some(7));
    let shown = hub.ask(Command::History { channel: None }).await.unwrap();
    assert_eq!(shown["payments"][0]["stage"], "unclear");
    assert!(hub.driver.is_held(CHANNEL));
    let stored = rows::hub_payments(&hub.driver.parts.store).unwrap();
    assert!(stored.values().all(|one: &HubPayment| one.stage == HubStage::Unclear));
}

#[tokio::test]
async fn nothing_is_paid_out_by_consent_while_the_chains_ledger_does_not_follow() {
    let mut two = Two::new();
    drop(two.alice_with(&two.signed(5, SIDE)).await);
    two.own.broken = true;
    two.put(vec![Two::channel_row(&two.own)]).await;
    let mut alice = two.alice(policy(), 0).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    assert_eq!(alice.driver.closing(CHANNEL, 1), Err(Refusal::Terms));
    assert_eq!(alice.driver.withdrawal(CHANNEL, amount(1), 1), Err(Refusal::Terms));
}

#[tokio::test]
async fn a_channel_that_is_being_left_is_closed_by_consent_but_nothing_is_withdrawn() {
    let two = Two::new();
    let mut alice = two.alice_with(&two.signed(5, SIDE)).await;
    alice.driver.on_batch(delivery(Vec::new())).await.unwrap();
    assert!(alice.driver.withdrawal(CHANNEL, amount(1), 1).is_ok());
    let given = alice.driver.give_wallet(CHANNEL, wallet::Event::Stop).await.unwrap();
    assert_eq!(given.refusal(), None);
    assert_eq!(alice.driver.withdrawal(CHANNEL, amount(1), 1), Err(Refusal::NotLive));
    assert!(alice.driver.closing(CHANNEL, 1).is_ok());
}
