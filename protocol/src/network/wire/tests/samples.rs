//! One or more messages of every kind.

use alloy_primitives::{Address, B256, Signature};
use k256::ecdsa::SigningKey;

use super::super::*;
use crate::{
    backup::Receipt,
    ids::{ChannelId, Domain, Role},
    network::slot::{Shard, ShardSet, Slot},
    testing::{Pair, amount, derived, nonce},
};

pub(super) fn domain() -> Domain {
    Pair::new(1).channel.domain()
}

pub(super) fn key(name: &str) -> (SigningKey, Address) {
    let key = SigningKey::from_bytes(&derived(9, name).0.into()).unwrap();
    let address = Address::from_public_key(key.verifying_key());
    (key, address)
}

pub(super) fn sign(key: &SigningKey, hash: B256) -> Signature {
    key.sign_prehash_recoverable(hash.as_slice()).unwrap().into()
}

/// Stands for Ed25519, which belongs to the driver: the hash of key and message, twice.
pub(super) fn node_signature(key: &NodeKey, message: &[u8]) -> [u8; 64] {
    let hash = alloy_primitives::keccak256([key.0.as_slice(), message].concat());
    [hash.0, hash.0].concat().try_into().unwrap()
}

pub(super) fn node_signed(key: &NodeKey, message: &[u8], signature: &[u8; 64]) -> bool {
    node_signature(key, message) == *signature
}

pub(super) fn alert() -> Alert {
    Alert {
        domain: domain(),
        channel_id: ChannelId::MIN,
        epoch: 3,
        nonce: nonce(4_700),
        claim: amount(1_000_000),
        deadline: 1_700_086_400,
        block_number: 19_000_000,
        block_hash: derived(1, "block"),
        transaction: derived(1, "transaction"),
        tower: key("tower").1,
        issued_at: 1_700_000_012,
    }
}

pub(super) fn signed_alert() -> SignedAlert {
    let alert = alert();
    alert.signed(&sign(&key("tower").0, alert.signing_hash())).unwrap()
}

pub(super) fn announcement(name: &str) -> Announcement {
    Announcement {
        domain: domain(),
        tower: key(name).1,
        node_key: NodeKey(derived(2, name).0),
        shards: ShardSet::from_bits(0xF0F0),
        software: 0x0001_0002_0003_0000,
        issued_at: 1_700_000_000,
        expires_at: 1_700_003_600,
    }
}

pub(super) fn signed_announcement(name: &str) -> SignedAnnouncement {
    let announcement = announcement(name);
    let account = sign(&key(name).0, announcement.signing_hash());
    let node = node_signature(&announcement.node_key, &announcement.node_message());
    announcement.signed(&account, node, node_signed).unwrap()
}

pub(super) fn envelope() -> RawEnvelope {
    let pair = Pair::new(1);
    RawEnvelope::from(&pair.seal(Role::Participant, &pair.final_state(7, 500)))
}

pub(super) fn receipt() -> UnverifiedReceipt {
    let pair = Pair::new(1);
    let envelope = pair.seal(Role::Participant, &pair.final_state(7, 500));
    let (key, tower) = key("tower");
    let terms = pair.channel.terms();
    let receipt = Receipt::new(&envelope, terms.chain_id, terms.vipe, tower, 1_700_000_000);
    UnverifiedReceipt::from(&receipt.sign(&key).unwrap())
}

pub(super) fn slot(id: u64, role: Role) -> Slot {
    Slot { channel_id: ChannelId::try_from(id).unwrap(), role }
}

pub(super) fn slots(count: u64) -> Vec<Slot> {
    let mut slots: Vec<Slot> =
        (1..=count).flat_map(|id| Role::BOTH.map(|role| slot(id, role))).collect();
    slots.sort_by_key(|slot| slot.key());
    slots
}

pub(super) fn children(bitmap: u16) -> Children {
    let mut children = [None; 16];
    for (digit, child) in children.iter_mut().enumerate() {
        *child = (bitmap >> digit & 1 == 1).then_some(Fingerprint([digit as u8; 8]));
    }
    Children::new(children)
}

pub(super) fn shard(number: u8) -> Shard {
    Shard::try_from(number).unwrap()
}

pub(super) fn rows(shard: Shard, count: usize) -> Found {
    let rows = slots(2_000)
        .into_iter()
        .filter(|slot| slot.shard() == shard)
        .take(count)
        .map(|slot| Row { slot, nonce: nonce(5), tag: Tag([6; 16]) })
        .collect();
    Found::Rows(Prefix::root(shard), rows)
}

pub(super) fn backup_requests() -> Vec<BackupRequest> {
    let domain = domain();
    vec![
        BackupRequest::Submit { seen_at: 77, envelope: envelope() },
        BackupRequest::Fetch { domain, slot: slot(5, Role::Counterparty) },
        BackupRequest::Status { domain, slots: slots(16) },
        BackupRequest::Towers { domain, after: Address::repeat_byte(7) },
    ]
}

pub(super) fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::Malformed,
        Refusal::OtherDomain,
        Refusal::UnknownChannel { head: 9 },
        Refusal::NotLive,
        Refusal::BadSignature,
        Refusal::Older { held: nonce(4_711) },
        Refusal::Conflict { nonce: nonce(4_711) },
        Refusal::TooFast { allowed: nonce(99), retry_after_ms: 3_600_000 },
        Refusal::Busy { retry_after_ms: 250 },
        Refusal::NotKept,
        Refusal::Failed { retry_after_ms: 1_000 },
    ]
}

pub(super) fn backup_responses() -> Vec<BackupResponse> {
    let mut towers: Vec<UnverifiedAnnouncement> =
        ["a", "b", "c"].map(|name| signed_announcement(name).into()).to_vec();
    towers.sort_by_key(|tower| tower.claims().tower);
    let mut all = vec![
        BackupResponse::Receipt(receipt()),
        BackupResponse::Envelope(envelope()),
        BackupResponse::Nothing,
        BackupResponse::Status(vec![None, Some(receipt()), None]),
        BackupResponse::Status(vec![]),
        BackupResponse::Towers(towers),
    ];
    all.extend(refusals().into_iter().map(BackupResponse::Refused));
    all
}

pub(super) fn sync_requests() -> Vec<SyncRequest> {
    let (domain, salt) = (domain(), SyncSalt([0xA5; 16]));
    let root = Prefix::root(shard(2));
    let low = root.child(3).unwrap();
    let high = root.child(4).unwrap();
    vec![
        SyncRequest::Roots {
            domain,
            salt,
            shards: ShardSet::from_bits(0b1011),
            roots: vec![(shard(0), Fingerprint([1; 8])), (shard(3), Fingerprint([2; 8]))],
        },
        SyncRequest::Roots { domain, salt, shards: ShardSet::ALL, roots: vec![] },
        SyncRequest::Compare {
            domain,
            salt,
            parts: vec![Part::Node(low, children(0x8001)), Part::Ask(high, 1_024)],
        },
        SyncRequest::Want { domain, slots: slots(20) },
    ]
}

pub(super) fn sync_responses() -> Vec<SyncResponse> {
    vec![
        SyncResponse::Roots {
            kept: ShardSet::ALL,
            found: vec![Found::Node(Prefix::root(shard(1)), children(0xFFFF)), rows(shard(2), 8)],
        },
        SyncResponse::Compared { answered: 2, found: vec![rows(shard(9), 0)] },
        SyncResponse::Envelopes(vec![envelope(), envelope()]),
        SyncResponse::Envelopes(vec![]),
        SyncResponse::Refused(Refusal::Busy { retry_after_ms: 5 }),
    ]
}
