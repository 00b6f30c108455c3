//! The answering side: a function of the request and of what is held now.

use super::index::{Index, LEAF_MAX};
use crate::{
    ids::Domain,
    network::{
        slot::{Shard, ShardSet, Slot},
        wire::{
            Fingerprint, Found, Part, Prefix, RawEnvelope, Refusal, SYNC_RESPONSE_MAX, SyncRequest,
            SyncResponse, SyncSalt, WANT_MAX,
        },
    },
};

/// Bytes in front of what an answer to a comparison tells: version, kind, answered, length of the list.
const HEAD_LEN: usize = 1 + 1 + 2 + 2;

/// What to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Send this.
    Now(SyncResponse),
    /// Read what these slots hold from the store, then send [`envelopes`] of it.
    Read(Vec<Slot>),
}

/// Answers a request of another tower of the vault `domain`. The index is mutable for its remembered digests only.
#[must_use]
pub fn respond(index: &mut Index, domain: Domain, request: &SyncRequest) -> Answer {
    if request.domain() != domain {
        return Answer::Now(SyncResponse::Refused(Refusal::OtherDomain));
    }
    match request {
        SyncRequest::Roots { salt, shards, roots, .. } => {
            Answer::Now(answer_roots(index, *salt, *shards, roots))
        }
        SyncRequest::Compare { salt, parts, .. } => Answer::Now(answer_parts(index, *salt, parts)),
        SyncRequest::Want { slots, .. } => Answer::Read(slots.clone()),
    }
}

/// The answer to [`SyncRequest::Want`]: what the store has of the slots, in their order.
#[must_use]
pub fn envelopes(held: impl IntoIterator<Item = RawEnvelope>) -> SyncResponse {
    SyncResponse::Envelopes(held.into_iter().take(WANT_MAX).collect())
}

fn answer_roots(
    index: &mut Index,
    salt: SyncSalt,
    shards: ShardSet,
    roots: &[(Shard, Fingerprint)],
) -> SyncResponse {
    let kept = index.kept();
    let mut found = Vec::new();
    for shard in kept.and(shards).iter() {
        let theirs = roots.iter().find(|(named, _)| *named == shard).map(|(_, root)| *root);
        found.extend(differs(index, salt, Prefix::root(shard), theirs));
    }
    SyncResponse::Roots { kept, found }
}

/// Answers as many parts as fit, from the first on; the first always fits.
fn answer_parts(index: &mut Index, salt: SyncSalt, parts: &[Part]) -> SyncResponse {
    let mut room = SYNC_RESPONSE_MAX.saturating_sub(HEAD_LEN);
    let mut answered = 0_u16;
    let mut all = Vec::new();
    for part in parts {
        let found = answer_part(index, salt, part);
        let needed = found.iter().map(Found::encoded_len).fold(0, usize::saturating_add);
        let Some(left) = room.checked_sub(needed) else {
            break;
        };
        room = left;
        answered = answered.saturating_add(1);
        all.extend(found);
    }
    SyncResponse::Compared { answered, found: all }
}

fn answer_part(index: &mut Index, salt: SyncSalt, part: &Part) -> Vec<Found> {
    match part {
        Part::Ask(prefix, limit) => {
            describe(index, salt, *prefix, usize::from(*limit)).into_iter().collect()
        }
        Part::Node(prefix, children) => children
            .iter()
            .filter_map(|(digit, theirs)| {
                prefix.child(digit).and_then(|child| differs(index, salt, child, theirs))
            })
            .collect(),
    }
}

/// What is here under a prefix, if it is something and not what the other has.
fn differs(
    index: &mut Index,
    salt: SyncSalt,
    prefix: Prefix,
    theirs: Option<Fingerprint>,
) -> Option<Found> {
    let mine = index.fingerprint(prefix, salt);
    if mine.is_none() || mine == theirs { None } else { describe(index, salt, prefix, LEAF_MAX) }
}

fn describe(index: &mut Index, salt: SyncSalt, prefix: Prefix, limit: usize) -> Option<Found> {
    if index.count(prefix) > limit
        && let Some(children) = index.children(prefix, salt)
    {
        return Some(Found::Node(prefix, children));
    }
    Some(Found::Rows(prefix, index.rows(prefix, limit.max(LEAF_MAX))))
}
