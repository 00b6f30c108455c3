//! The network's messages against bytes that an independent program made from the specification.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use alloy_primitives::{Address, B256, keccak256};
use protocol::{
    Amount, ChannelId, Domain, Nonce, Role,
    network::{
        Shard, ShardSet, Slot, placement,
        reconcile::{Answer, Index, respond},
        wire::{
            Alert, Announcement, BackupRequest, BackupResponse, NodeKey, Part, Prefix, RawEnvelope,
            Refusal, Row, SyncRequest, SyncResponse, SyncSalt, Topic, UnverifiedAlert,
            UnverifiedAnnouncement, message_id,
        },
    },
};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/network.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("hexadecimal digits")).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn address(value: &Value) -> Address {
    Address::from(array(value))
}

fn domain(vectors: &Value) -> Domain {
    Domain::from_bytes(array(&vectors["domain"]))
}

fn nonce(value: u64) -> Nonce {
    Nonce::try_from(value).unwrap()
}

fn slot(channel: u64, role: u8) -> Slot {
    Slot { channel_id: ChannelId::try_from(channel).unwrap(), role: Role::try_from(role).unwrap() }
}

fn slots() -> Vec<Slot> {
    let mut slots: Vec<Slot> =
        (5..=7).flat_map(|channel| [slot(channel, 0), slot(channel, 1)]).collect();
    slots.sort_by_key(|slot| slot.key());
    slots
}

fn envelope(vectors: &Value) -> RawEnvelope {
    RawEnvelope::from_bytes(&bytes(&vectors["envelope"])).unwrap()
}

fn shard(number: u8) -> Shard {
    Shard::try_from(number).unwrap()
}

#[test]
fn topics_and_message_ids_are_those_of_the_specification() {
    let vectors = vectors();
    let domain = domain(&vectors);
    let topics = &vectors["topics"];
    for (name, topic) in [
        ("backups", Topic::Backups(domain, shard(5))),
        ("alerts", Topic::Alerts(domain)),
        ("towers", Topic::Towers(domain)),
    ] {
        assert_eq!(topics[name], topic.to_string());
        assert_eq!(topics[name].as_str().unwrap().parse(), Ok(topic));
    }
    let id = message_id(topics["backups"].as_str().unwrap(), envelope(&vectors).as_bytes());
    assert_eq!(bytes(&vectors["message_id"]), id);
}

#[test]
fn slots_have_the_keys_and_shards_of_the_specification() {
    for vector in vectors()["slots"].as_array().unwrap() {
        let role = u8::try_from(vector["role"].as_u64().unwrap()).unwrap();
        let slot = slot(vector["channel"].as_u64().unwrap(), role);
        assert_eq!(slot.key().bits().to_be_bytes().to_vec(), bytes(&vector["key"]), "{slot}");
        assert_eq!(u64::from(slot.shard().get()), vector["shard"].as_u64().unwrap(), "{slot}");
    }
}

#[test]
fn an_alert_is_that_of_the_specification_and_its_signature_verifies() {
    let vectors = vectors();
    let alert = Alert {
        domain: domain(&vectors),
        channel_id: ChannelId::try_from(5).unwrap(),
        epoch: 3,
        nonce: nonce(4_700),
        claim: Amount::try_from(10_u128.pow(18)).unwrap(),
        deadline: 1_700_086_400,
        block_number: 19_000_000,
        block_hash: keccak256("block"),
        transaction: keccak256("transaction"),
        tower: address(&vectors["tower"]),
        issued_at: 1_700_000_012,
    };
    let vector = &vectors["alert"];
    assert_eq!(alert.signing_hash(), B256::from(array::<32>(&vector["signing_hash"])));
    let signed = UnverifiedAlert::from_bytes(&bytes(&vector["bytes"])).unwrap().verify().unwrap();
    assert_eq!(signed.alert(), &alert);
    assert_eq!(signed.to_bytes(), bytes(&vector["bytes"]));
}

#[test]
fn an_announcement_is_that_of_the_specification_and_its_signature_verifies() {
    let vectors = vectors();
    let node_key = NodeKey(array(&vectors["node_key"]));
    assert_eq!(node_key.peer_id().to_vec(), bytes(&vectors["peer_id"]));
    let announcement = Announcement {
        domain: domain(&vectors),
        tower: address(&vectors["tower"]),
        node_key,
        shards: ShardSet::from_bits(0xF0F0),
        software: 0x0001_0002_0003_0000,
        issued_at: 1_700_000_000,
        expires_at: 1_700_003_600,
    };
    let vector = &vectors["announcement"];
    let hash = announcement.signing_hash();
    assert_eq!(hash, B256::from(array::<32>(&vector["signing_hash"])));
    let expected = [b"vrc tower announcement 1".as_slice(), hash.as_slice()].concat();
    let signed = UnverifiedAnnouncement::from_bytes(&bytes(&vector["bytes"]))
        .unwrap()
        .verify(|key, message, _ed25519| *key == node_key && message == expected)
        .unwrap();
    assert_eq!(signed.announcement(), &announcement);
    assert_eq!(signed.to_bytes(), bytes(&vector["bytes"]));
}

#[test]
fn backup_messages_are_those_of_the_specification() {
    let vectors = vectors();
    let vector = &vectors["backup"];
    let domain = domain(&vectors);
    for (name, request) in [
        ("submit", BackupRequest::Submit { seen_at: 18_999_999, envelope: envelope(&vectors) }),
        ("fetch", BackupRequest::Fetch { domain, slot: slot(5, 1) }),
        ("status", BackupRequest::Status { domain, slots: slots() }),
        ("towers", BackupRequest::Towers { domain, after: address(&vectors["tower"]) }),
    ] {
        assert_eq!(hex::encode(request.to_bytes()), vector[name], "{name}");
        assert_eq!(BackupRequest::from_bytes(&bytes(&vector[name])), Ok(request), "{name}");
    }
    let read = |name: &str| {
        let encoded = bytes(&vector[name]);
        let response = BackupResponse::from_bytes(&encoded).unwrap();
        assert_eq!(response.to_bytes(), encoded, "{name}");
        response
    };
    let BackupResponse::Receipt(receipt) = read("receipt_is") else { panic!("a receipt") };
    let signed = receipt.verify().unwrap();
    assert_eq!(signed.receipt().nonce, nonce(4_711));
    assert_eq!(signed.receipt().tower, address(&vectors["tower"]));
    assert_eq!(read("envelope_is"), BackupResponse::Envelope(envelope(&vectors)));
    assert_eq!(read("nothing_is"), BackupResponse::Nothing);
    assert_eq!(read("status_is"), BackupResponse::Status(vec![None, Some(receipt)]));
    let BackupResponse::Towers(towers) = read("towers_are") else { panic!("towers") };
    assert_eq!(towers.len(), 1);
    assert_eq!(towers[0].claims().tower, address(&vectors["tower"]));
}

#[test]
fn refusals_are_those_of_the_specification() {
    let vectors = vectors();
    let all = [
        ("malformed", Refusal::Malformed),
        ("other_domain", Refusal::OtherDomain),
        ("unknown_channel", Refusal::UnknownChannel { head: 19_000_000 }),
        ("not_live", Refusal::NotLive),
        ("bad_signature", Refusal::BadSignature),
        ("older", Refusal::Older { held: nonce(4_711) }),
        ("conflict", Refusal::Conflict { nonce: nonce(4_711) }),
        ("too_fast", Refusal::TooFast { allowed: nonce(5_000), retry_after_ms: 3_600_000 }),
        ("busy", Refusal::Busy { retry_after_ms: 250 }),
        ("not_kept", Refusal::NotKept),
        ("failed", Refusal::Failed { retry_after_ms: 1_000 }),
    ];
    assert_eq!(vectors["refusals"].as_object().unwrap().len(), all.len());
    for (name, refusal) in all {
        let response = BackupResponse::Refused(refusal);
        assert_eq!(hex::encode(response.to_bytes()), vectors["refusals"][name], "{name}");
        assert_eq!(BackupResponse::from_bytes(&bytes(&vectors["refusals"][name])), Ok(response));
    }
}

/// The rows of the specification's example: both slots of shard 5's channels.
fn example(vector: &Value) -> Index {
    let mut index = Index::new(ShardSet::NONE.with(shard(5)));
    for channel in 1..=vector["channels"].as_u64().unwrap() {
        for role in [0, 1] {
            let id = keccak256(format!("id {channel} {role}"));
            let tag = protocol::network::wire::Tag::of(&id);
            index.put(Row { slot: slot(channel, role), nonce: nonce(9), tag });
        }
    }
    index
}

#[test]
fn reconciliation_is_that_of_the_specification_message_by_message() {
    let vectors = vectors();
    let vector = &vectors["sync"];
    let domain = domain(&vectors);
    let salt = SyncSalt(array(&vectors["salt"]));
    let mut index = example(vector);
    let root = Prefix::root(shard(5));
    let fingerprint = index.fingerprint(root, salt).unwrap();
    assert_eq!(hex::encode(fingerprint.0), vector["root_fingerprint"]);
    let children = index.children(root, salt).unwrap();
    let far = Prefix::root(shard(6)).child(1).unwrap().child(15).unwrap();
    for (name, request) in [
        (
            "roots_request",
            SyncRequest::Roots {
                domain,
                salt,
                shards: [shard(5), shard(6)].into_iter().collect(),
                roots: vec![(shard(5), fingerprint)],
            },
        ),
        (
            "compare_request",
            SyncRequest::Compare {
                domain,
                salt,
                parts: vec![Part::Node(root, children), Part::Ask(far, 1_024)],
            },
        ),
        ("want_request", SyncRequest::Want { domain, slots: slots() }),
    ] {
        assert_eq!(hex::encode(request.to_bytes()), vector[name], "{name}");
        assert_eq!(SyncRequest::from_bytes(&bytes(&vector[name])), Ok(request), "{name}");
    }
    // What an empty tower is answered, and what it is answered when it asks deeper.
    let empty = SyncRequest::Roots { domain, salt, shards: ShardSet::ALL, roots: vec![] };
    let Answer::Now(roots) = respond(&mut index, domain, &empty) else { panic!("an answer") };
    assert_eq!(hex::encode(roots.to_bytes()), vector["roots_response"]);
    let first = root.child(0).unwrap().child(0).unwrap();
    let parts = vec![Part::Ask(first, 1_024)];
    let deeper = SyncRequest::Compare { domain, salt, parts };
    let Answer::Now(rows) = respond(&mut index, domain, &deeper) else { panic!("an answer") };
    assert_eq!(hex::encode(rows.to_bytes()), vector["compare_response"]);
    for name in ["roots_response", "compare_response", "envelopes_response", "refused_response"] {
        let response = SyncResponse::from_bytes(&bytes(&vector[name])).unwrap();
        assert_eq!(hex::encode(response.to_bytes()), vector[name], "{name}");
    }
}

#[test]
fn shards_are_placed_as_the_specification_says() {
    let vectors = vectors();
    for vector in vectors["placement"].as_array().unwrap() {
        let number = u8::try_from(vector["shard"].as_u64().unwrap()).unwrap();
        let list = |name: &str| -> Vec<Address> {
            vector[name].as_array().unwrap().iter().map(address).collect()
        };
        let ranked = placement::ranked(domain(&vectors), shard(number), list("towers"));
        assert_eq!(ranked, list("ranked"));
    }
}

/// Every file under a folder, as one text.
fn sources(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &std::fs::read_to_string(path).unwrap();
        }
    }
    text
}

#[test]
fn every_test_that_the_specification_names_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let specification = std::fs::read_to_string(root.join("../docs/spec/network.md")).unwrap();
    let sources = sources(&root.join("src/network"))
        + &sources(&root.join("../watchtower/tests"))
        + include_str!("network_vectors.rs");
    let mut named = 0;
    for list in specification.split("[`").skip(1) {
        let list = list.split("`]").next().unwrap();
        for name in list.split("`, `").filter(|name| !name.contains('.')) {
            assert!(sources.contains(&format!("fn {name}(")), "no test {name}");
            named += 1;
        }
    }
    assert!(named > 50, "only {named} tests are named");
}
