//! What no honest tower sends: each kind alone brings its sender below the graylist line, and none travels further.

use std::time::Duration;

use protocol::network::Shard;
use protocol::network::wire::Topic;
use protocol::schnorr::keys_digest;
use protocol::session::SessionKey;
use protocol::testing::{Pair, derived};
use protocol::zksc::{Channel, Signer};
use protocol::{B256, Role};

use crate::scene::{GRAYLIST_LINE, Scene, backups, score};
use crate::world::{CHAIN_ID, domain, envelope, pair, slot, vipe};

/// How many of a kind are sent: the fifth brings its sender below the line.
const SENT: u64 = 6;

/// Where the header's fields begin: the role after version, domain and channel, then the nonce.
const ROLE_AT: usize = 1 + 21 + 8;
const NONCE_AT: usize = ROLE_AT + 1;

/// A kind of fault: what it is, the gate's name for it, and the n-th message of it.
type Kind = (&'static str, &'static str, fn(u64) -> (String, Vec<u8>));

const KINDS: &[Kind] = &[
    ("a byte too short", "size", |n| (backups(1), envelope(1, n).to_bytes()[..518].to_vec())),
    ("a byte too long", "size", |n| (backups(1), [envelope(1, n).to_bytes(), vec![0]].concat())),
    ("garbage", "malformed", |n| (backups(1), vec![u8::try_from(n + 6).unwrap(); 519])),
    ("another vault", "other_domain", |n| {
        let elsewhere = Pair::in_vault(1, CHAIN_ID + 1, vipe(), 1);
        (backups(1), sealed(&elsewhere, n))
    }),
    ("another shard's topic", "other_shard", |n| {
        let other = Shard::try_from((slot(1).shard().get() + 1) % 64).unwrap();
        (Topic::Backups(domain(), other).to_string(), envelope(1, n).to_bytes())
    }),
    ("nonce 0", "nonce_zero", |n| {
        let mut bytes = envelope(1, n).to_bytes();
        bytes[NONCE_AT..NONCE_AT + 8].fill(0);
        (backups(1), bytes)
    }),
    ("another channel's key", "signature", |n| {
        (backups(1), sealed(&Pair::in_vault(77, CHAIN_ID, vipe(), 1), n))
    }),
    ("the other role's slot, relabelled", "signature", |n| {
        let mut bytes = envelope(1, n).to_bytes();
        bytes[ROLE_AT] = Role::Counterparty.to_byte();
        (backups(1), bytes)
    }),
    ("the other role's slot, signed", "signature", |n| {
        let swapped = swapped(&pair(1));
        (backups(1), swapped.seal(Role::Counterparty, &swapped.final_state(n, 10)).to_bytes())
    }),
    ("a damaged signature", "signature", |n| {
        let mut bytes = envelope(1, n).to_bytes();
        *bytes.last_mut().unwrap() ^= 1;
        (backups(1), bytes)
    }),
];

fn sealed(pair: &Pair, nonce: u64) -> Vec<u8> {
    pair.seal(Role::Participant, &pair.final_state(nonce, 10)).to_bytes()
}

/// The channel as it would be if its parties had each other's roles: with it, one party signs what names the other's slot.
fn swapped(pair: &Pair) -> Pair {
    let signer = |role: Role| {
        let other = pair.signer(role.other());
        let session = derived(1, &format!("{role} swapped"));
        Signer::new(role, other.channel_key().clone(), SessionKey::from_bytes(&session.0).unwrap())
    };
    let [participant, counterparty] = Role::BOTH.map(signer);
    let public = |signer: &Signer| *signer.channel_key().public_key();
    let digest = keys_digest(&public(&participant), &public(&counterparty)).unwrap();
    let mut terms = *pair.channel.terms();
    for (party, signer) in
        [(&mut terms.participant, &participant), (&mut terms.counterparty, &counterparty)]
    {
        party.key = public(signer).to_integers();
        party.session = signer.session_address();
    }
    terms.keys_digest = B256::new(digest.to_bytes());
    let channel = Channel::try_from(terms).unwrap();
    Pair { channel, participant, counterparty, ..pair.clone() }
}

#[tokio::test]
async fn every_provable_fault_ends_below_the_graylist_line_and_travels_no_further() {
    let scene = Scene::in_process().await;
    let (a, b) = (&scene.a, &scene.b);
    for (nonce, (kind, label, message)) in (100..).zip(KINDS) {
        let before = a.desk.count(label);
        let mut hostile = scene.culprit().await;
        for n in 1..=SENT {
            let (topic, bytes) = message(n);
            hostile.publish(&topic, bytes);
            hostile.go_on(Duration::from_millis(60)).await;
        }
        let culprit = score(a, &hostile).await.unwrap();
        println!("{kind}: score {culprit:.0}");
        assert!(culprit < GRAYLIST_LINE, "{kind}: {culprit}");
        assert!(a.desk.count(label) > before, "{kind} is not seen as {label}");
        assert_eq!(b.handle.counters().gossip_rejected.get(), 0, "{kind} was forwarded");
        // What a graylisted peer sends is not even read.
        hostile.publish(&backups(1), envelope(1, 50 + nonce).to_bytes());
        hostile.go_on(Duration::from_millis(200)).await;
        assert!(a.desk.held(slot(1)).is_none_or(|held| held.nonce.get() < 50 + nonce), "{kind}");
    }
    scene.holds("provable faults", 400).await;
    assert_eq!(b.desk.count("signature") + b.desk.count("malformed"), 0);
}

#[tokio::test]
async fn a_message_longer_than_any_of_its_topic_ends_below_the_graylist_line() {
    let scene = Scene::in_process().await;
    let mut hostile = scene.culprit().await;
    for n in 0..SENT {
        hostile.publish(&backups(1), vec![u8::try_from(n).unwrap(); 5_000]);
        hostile.go_on(Duration::from_millis(60)).await;
    }
    let culprit = score(&scene.a, &hostile).await.unwrap();
    println!("oversize messages: score {culprit:.0}");
    assert!(culprit < GRAYLIST_LINE, "{culprit}");
    scene.holds("oversize messages", 5).await;
}

#[tokio::test]
async fn frames_longer_than_the_router_takes_are_not_buffered() {
    let scene = Scene::in_process().await;
    let mut hostile = scene.culprit().await;
    for n in 0..20_u8 {
        hostile.publish(&backups(1), vec![n; 900 * 1_024]);
        hostile.go_on(Duration::from_millis(50)).await;
    }
    assert_eq!(scene.a.desk.held(slot(1)), None);
    scene.holds("frames of 900 KiB", 5).await;
}
