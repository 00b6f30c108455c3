//! What is refused although it has the right shape, and what random bytes are.

use proptest::prelude::*;

use super::{super::*, Message, samples::*};
use crate::{
    ids::{Nonce, Role},
    network::slot::{SHARDS, ShardSet},
};

// ---------------------------------------------------------------------------------------------------- refused content

#[test]
fn lists_out_of_order_or_with_repetitions_are_refused() {
    let mut status = slots(2);
    status.swap(0, 1);
    let request = BackupRequest::Status { domain: domain(), slots: status };
    assert_eq!(BackupRequest::read(&request.write()), Err(WireError::Order));
    let twice = vec![slot(1, Role::Participant); 2];
    let request = SyncRequest::Want { domain: domain(), slots: twice };
    assert_eq!(SyncRequest::read(&request.write()), Err(WireError::Order));
    let tower = UnverifiedAnnouncement::from(signed_announcement("a"));
    let towers = BackupResponse::Towers(vec![tower, tower]);
    assert_eq!(BackupResponse::read(&towers.write()), Err(WireError::Order));
}

#[test]
fn empty_questions_are_refused() {
    let (domain, salt) = (domain(), SyncSalt([0; 16]));
    let none = |limit| Err(WireError::Count { limit, got: 0 });
    let status = BackupRequest::Status { domain, slots: vec![] };
    assert_eq!(BackupRequest::read(&status.write()), none(STATUS_SLOTS_MAX).map(|()| status));
    let want = SyncRequest::Want { domain, slots: vec![] };
    assert_eq!(SyncRequest::read(&want.write()), none(WANT_MAX).map(|()| want));
    let compare = SyncRequest::Compare { domain, salt, parts: vec![] };
    assert_eq!(SyncRequest::read(&compare.write()), none(PARTS_MAX).map(|()| compare));
    let roots = SyncRequest::Roots { domain, salt, shards: ShardSet::NONE, roots: vec![] };
    assert_eq!(SyncRequest::read(&roots.write()), Err(WireError::Contradiction));
}

#[test]
fn a_count_that_lies_is_refused_without_memory_for_it() {
    let mut bytes = SyncRequest::Want { domain: domain(), slots: slots(1) }.write();
    bytes[23..25].copy_from_slice(&[0xFF, 0xFF]);
    let lie = Err(WireError::Count { limit: WANT_MAX, got: 65_535 });
    assert_eq!(SyncRequest::read(&bytes), lie);
}

#[test]
fn parts_that_overlap_are_refused() {
    let (domain, salt) = (domain(), SyncSalt([0; 16]));
    let root = Prefix::root(shard(1));
    let inside = root.child(5).unwrap();
    for (first, second) in [(root, inside), (inside, root), (inside, inside)] {
        let parts = vec![Part::Ask(first, 8), Part::Ask(second, 8)];
        let request = SyncRequest::Compare { domain, salt, parts };
        assert_eq!(SyncRequest::read(&request.write()), Err(WireError::Order));
    }
}

#[test]
fn rows_outside_their_prefix_are_refused() {
    let Found::Rows(_, rows) = rows(shard(2), 3) else { panic!("rows") };
    let found = vec![Found::Rows(Prefix::root(shard(3)), rows)];
    let response = SyncResponse::Compared { answered: 1, found };
    assert_eq!(SyncResponse::read(&response.write()), Err(WireError::Contradiction));
}

#[test]
fn a_refusal_with_a_number_that_its_code_does_not_have_is_refused() {
    for refusal in refusals() {
        for at in [3, 11] {
            let mut bytes = BackupResponse::Refused(refusal).write();
            bytes[at + 7] ^= 1;
            match BackupResponse::read(&bytes) {
                Ok(other) => assert_eq!(other.write(), bytes),
                Err(error) => {
                    let shape = WireError::Decode(DecodeError::Shape);
                    assert_eq!(error, shape, "{refusal:?}");
                }
            }
        }
    }
}

#[test]
fn a_receipt_of_the_wire_is_believed_only_when_the_tower_signed_it() {
    let bytes = BackupResponse::Receipt(receipt()).write();
    let BackupResponse::Receipt(good) = BackupResponse::read(&bytes).unwrap() else { panic!() };
    assert_eq!(good.verify().unwrap().receipt(), good.claims());
    for at in 2..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        if let Ok(BackupResponse::Receipt(other)) = BackupResponse::read(&flipped) {
            assert!(other.verify().is_err(), "byte {at}");
        }
    }
}

#[test]
fn an_announcement_must_expire_within_a_day() {
    for (issued_at, expires_at) in [(10, 10), (10, 9), (0, Announcement::VALIDITY_MAX + 1)] {
        let wrong = Announcement { issued_at, expires_at, ..announcement("a") };
        let account = sign(&key("a").0, wrong.signing_hash());
        let node = node_signature(&wrong.node_key, &wrong.node_message());
        let bytes = wrong.signed(&account, node, node_signed).unwrap().to_bytes();
        assert_eq!(UnverifiedAnnouncement::from_bytes(&bytes), Err(WireError::Contradiction));
    }
}

#[test]
fn an_announcement_of_another_account_or_another_node_is_not_believed() {
    let mine = announcement("a");
    let node = node_signature(&mine.node_key, &mine.node_message());
    let stranger = sign(&key("b").0, mine.signing_hash());
    assert!(matches!(
        mine.signed(&stranger, node, node_signed),
        Err(SignerError::OtherSigner { .. })
    ));
    let account = sign(&key("a").0, mine.signing_hash());
    assert_eq!(mine.signed(&account, [7; 64], node_signed), Err(SignerError::NodeKey));
}

#[test]
fn a_node_key_is_read_from_its_peer_id_alone() {
    let key = NodeKey([0xAB; 32]);
    assert_eq!(NodeKey::from_peer_id(&key.peer_id()), Some(key));
    assert_eq!(NodeKey::from_peer_id(&key.peer_id()[..37]), None);
    let mut rsa = key.peer_id();
    rsa[3] = 0;
    assert_eq!(NodeKey::from_peer_id(&rsa), None);
}

#[test]
fn a_message_id_tells_topics_and_data_apart() {
    assert_ne!(message_id("a", b"bc"), message_id("ab", b"c"));
    assert_ne!(message_id("a", b"b"), message_id("a", b"c"));
    assert_eq!(message_id("a", b"b"), message_id("a", b"b"));
}

// ---------------------------------------------------------------------------------------------------- topics

#[test]
fn a_topic_that_is_printed_is_parsed() {
    let all: Vec<Topic> = Topic::of(domain(), ShardSet::ALL).collect();
    assert_eq!(all.len(), 2 + usize::from(SHARDS));
    for topic in all {
        let name = topic.to_string();
        assert!(name.len() <= Topic::NAME_MAX, "{name}");
        assert_eq!(name.parse(), Ok(topic));
    }
}

#[test]
fn a_name_with_a_twin_is_no_topic() {
    let good = Topic::Backups(domain(), shard(5)).to_string();
    let stem = good.strip_suffix('5').unwrap();
    for bad in [
        format!("{stem}05"),
        format!("{stem}+5"),
        format!("{stem}64"),
        format!("{stem}5/"),
        format!("{stem}5 "),
        stem.to_owned(),
        good.to_uppercase(),
        good.replace("/vrc/", "/vrc/0x"),
        good.replace("/1/", "/2/"),
        format!("/vrc/{}", &good[6..]),
        "x".repeat(1 << 20),
        String::new(),
    ] {
        assert_eq!(bad.parse::<Topic>(), Err(TopicError), "{}", &bad[..bad.len().min(80)]);
    }
}

// ---------------------------------------------------------------------------------------------------- random bytes

fn reads<T: Message>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(message) = T::read(bytes) {
        prop_assert_eq!(message.write(), bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes_are_refused_or_are_the_one_encoding(
        kind in 0_u8..8,
        tail in prop::collection::vec(any::<u8>(), 0..700),
    ) {
        let mut bytes = vec![VERSION, kind];
        bytes.extend(tail);
        reads::<BackupRequest>(&bytes)?;
        reads::<BackupResponse>(&bytes)?;
        reads::<SyncRequest>(&bytes)?;
        reads::<SyncResponse>(&bytes)?;
        reads::<SignedAlert>(&bytes)?;
        reads::<SignedAnnouncement>(&bytes)?;
    }

    #[test]
    fn a_prefix_covers_what_lies_between_its_ends(
        id in 1_u64..1 << 56,
        depth in 0_u8..=Prefix::DEPTH_MAX,
    ) {
        let slot = slot(id, Role::Participant);
        let bits = slot.key().bits();
        let mut prefix = Prefix::root(slot.shard());
        for at in 0..depth {
            prefix = prefix.child((bits >> (60 - 4 * u32::from(at))) as u8).unwrap();
        }
        prop_assert!(prefix.covers(slot.key()));
        prop_assert!((prefix.first()..=prefix.last()).contains(&bits));
        prop_assert_eq!(prefix.depth(), depth);
    }

    #[test]
    fn of_two_rows_of_a_slot_exactly_one_beats_the_other(
        first in (0_u64..3, 0_u8..3),
        second in (0_u64..3, 0_u8..3),
    ) {
        let row = |(nonce, tag): (u64, u8)| Row {
            slot: slot(1, Role::Participant),
            nonce: Nonce::try_from(nonce).unwrap(),
            tag: Tag([tag; 16]),
        };
        let (first, second) = (row(first), row(second));
        prop_assert_eq!(first.beats(&second) || second.beats(&first), first != second);
        prop_assert!(!(first.beats(&second) && second.beats(&first)));
    }
}
