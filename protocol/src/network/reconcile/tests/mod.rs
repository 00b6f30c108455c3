use alloy_primitives::keccak256;
use proptest::prelude::*;

use super::*;
use crate::{
    backup::{Envelope, UnverifiedEnvelope},
    ids::{ChannelId, Domain, Role},
    network::{
        slot::{Shard, ShardSet, Slot},
        wire::{
            Fingerprint, Prefix, RawEnvelope, Row, SYNC_RESPONSE_MAX, SyncRequest, SyncSalt, Tag,
        },
    },
    testing::{Pair, nonce},
};

mod liars;

const SALT: SyncSalt = SyncSalt([0x5A; 16]);

fn domain() -> Domain {
    Pair::new(1).channel.domain()
}

fn slot(id: u64, role: Role) -> Slot {
    Slot { channel_id: ChannelId::try_from(id).unwrap(), role }
}

/// A row whose envelope is made up.
fn row(id: u64, role: Role, at: u64, variant: u8) -> Row {
    let bytes = [id.to_be_bytes(), at.to_be_bytes(), [variant, role.to_byte(), 0, 0, 0, 0, 0, 0]];
    let hash = keccak256(bytes.concat());
    Row { slot: slot(id, role), nonce: nonce(at), tag: Tag(hash[..16].try_into().unwrap()) }
}

fn index(rows: impl IntoIterator<Item = Row>) -> Index {
    let mut index = Index::new(ShardSet::ALL);
    for row in rows {
        index.put(row);
    }
    index
}

/// Both slots of channels 1 to `count`, at nonce 5.
fn full(count: u64) -> Index {
    index((1..=count).flat_map(|id| Role::BOTH.map(|role| row(id, role, 5, 0))))
}

fn roots(index: &mut Index) -> Vec<Option<Fingerprint>> {
    Shard::all().map(|shard| index.fingerprint(Prefix::root(shard), SALT)).collect()
}

/// The bytes of an envelope with this row's slot and nonce. Its signature is of another one: reconciliation checks none.
fn envelope(template: &[u8; Envelope::LEN], row: &Row) -> RawEnvelope {
    let mut bytes = template.to_vec();
    bytes[22..30].copy_from_slice(&row.slot.channel_id.get().to_be_bytes());
    bytes[30] = row.slot.role.to_byte();
    bytes[31..39].copy_from_slice(&row.nonce.get().to_be_bytes());
    RawEnvelope::from_bytes(&bytes).unwrap()
}

fn template() -> [u8; Envelope::LEN] {
    let pair = Pair::new(1);
    *RawEnvelope::from(&pair.seal(Role::Participant, &pair.final_state(1, 5))).as_bytes()
}

/// Runs a session of `asking` with `answering` to its end; what comes is put into the asking index.
fn reconcile(
    asking: &mut Index,
    answering: &mut Index,
    limits: SessionLimits,
) -> (SyncEnd, SessionReport) {
    let template = template();
    let (mut session, mut request) = Session::start(asking, domain(), ShardSet::ALL, SALT, limits);
    loop {
        let request_bytes = request.to_bytes();
        assert_eq!(SyncRequest::from_bytes(&request_bytes).as_ref(), Ok(&request));
        let response = match respond(answering, domain(), &request) {
            Answer::Now(response) => response,
            Answer::Read(slots) => {
                let rows = slots.iter().filter_map(|slot| answering.get(*slot));
                envelopes(rows.map(|row| envelope(&template, &row)))
            }
        };
        let bytes = response.to_bytes();
        assert!(bytes.len() <= SYNC_RESPONSE_MAX);
        let progress = session.answered(asking, &bytes).unwrap();
        for given in &progress.envelopes {
            let unverified = UnverifiedEnvelope::from_bytes(given.as_bytes()).unwrap();
            let held = answering.get(unverified.header().slot()).unwrap();
            asking.put(held);
        }
        match progress.next {
            SyncNext::Send(next) => request = next,
            SyncNext::Done(end) => return (end, *session.report()),
        }
    }
}

// ---------------------------------------------------------------------------------------------------- the index

#[test]
fn equal_content_has_equal_fingerprints_whatever_the_order() {
    let rows: Vec<Row> =
        (1..=3_000).flat_map(|id| Role::BOTH.map(|role| row(id, role, 5, 0))).collect();
    let mut forward = index(rows.iter().copied());
    let mut backward = index(rows.iter().rev().copied());
    // A detour: more, older, and gone again.
    for id in 3_001..=3_500 {
        backward.put(row(id, Role::Participant, 1, 0));
    }
    let _remembered = roots(&mut backward);
    for id in 3_001..=3_500 {
        assert!(backward.remove(slot(id, Role::Participant)));
    }
    assert_eq!(roots(&mut forward), roots(&mut backward));
    assert_eq!((forward.len(), backward.len()), (6_000, 6_000));
}

#[test]
fn every_change_of_a_row_changes_every_fingerprint_above_it() {
    let mut index = full(50_000);
    let id = 777;
    let shard = Shard::of(ChannelId::try_from(id).unwrap());
    let key = slot(id, Role::Participant).key();
    let path = || {
        core::iter::successors(Some(Prefix::root(shard)), move |prefix| {
            let digit = key.bits() >> (60 - 4 * u32::from(prefix.depth()));
            prefix.child((digit & 15) as u8)
        })
    };
    let before: Vec<_> = path().map(|prefix| index.fingerprint(prefix, SALT)).collect();
    assert_eq!(before.len(), 13);
    assert!(index.put(row(id, Role::Participant, 6, 0)));
    for (prefix, before) in path().zip(before) {
        assert_ne!(index.fingerprint(prefix, SALT), before, "{prefix:?}");
    }
}

#[test]
fn an_inner_digest_is_that_of_its_parts_at_every_depth() {
    // Few rows: roots are leaves. Many: they are not. Both must be what a naive recursion makes.
    for count in [1, 3, 200, 2_000, 30_000] {
        let mut index = full(count);
        for shard in Shard::all() {
            let prefix = Prefix::root(shard);
            let naive = naive(&index, prefix);
            let salted = naive.map(|digest| {
                keccak256([SALT.0.as_slice(), digest.as_slice()].concat())[..8].to_vec()
            });
            let fingerprint = index.fingerprint(prefix, SALT).map(|given| given.0.to_vec());
            assert_eq!(fingerprint, salted, "{count} channels");
        }
    }
}

fn naive(index: &Index, prefix: Prefix) -> Option<[u8; 32]> {
    let rows = index.rows(prefix, usize::MAX);
    if rows.is_empty() {
        return None;
    }
    let mut message = Vec::new();
    if rows.len() <= LEAF_MAX || prefix.depth() == Prefix::DEPTH_MAX {
        message.push(0);
        for row in rows {
            message.extend(row.slot.key().bits().to_be_bytes());
            message.extend(row.nonce.get().to_be_bytes());
            message.extend(row.tag.0);
        }
    } else {
        message.push(1);
        for digit in 0..16 {
            if let Some(digest) = naive(index, prefix.child(digit).unwrap()) {
                message.push(digit);
                message.extend(digest);
            }
        }
    }
    Some(keccak256(message).0)
}

#[test]
fn an_older_row_changes_nothing_and_the_smaller_id_wins_at_one_nonce() {
    let mut index = full(100);
    let before = roots(&mut index);
    assert!(!index.put(row(50, Role::Participant, 4, 0)));
    let (one, two) = (row(50, Role::Participant, 5, 1), row(50, Role::Participant, 5, 0));
    assert_eq!(index.put(one), one.tag < two.tag);
    index.put(two);
    let winner = if one.tag < two.tag { one } else { two };
    assert_eq!(index.get(one.slot), Some(winner));
    if winner == two {
        assert_eq!(roots(&mut index), before);
    }
}

#[test]
fn a_shard_that_is_not_kept_takes_no_rows_and_is_forgotten() {
    let mut index = full(1_000);
    let only = ShardSet::NONE.with(Shard::try_from(3).unwrap());
    index.keep(only);
    assert_eq!(index.len(), index.rows(Prefix::root(Shard::try_from(3).unwrap()), 9_999).len());
    let other =
        (1..).map(|id| row(id, Role::Participant, 9, 0)).find(|row| row.slot.shard().get() != 3);
    assert!(!index.put(other.unwrap()));
    index.keep(ShardSet::ALL);
    assert_eq!(index.count(Prefix::root(Shard::try_from(4).unwrap())), 0);
}

// ---------------------------------------------------------------------------------------------------- sessions

#[test]
fn two_equal_replicas_part_after_one_question() {
    let (mut one, mut two) = (full(10_000), full(10_000));
    let (end, report) = reconcile(&mut one, &mut two, SessionLimits::default());
    assert_eq!((end, report.requests, report.wanted), (SyncEnd::Complete, 1, 0));
    assert!(report.bytes_in + report.bytes_out < 700, "{report:?}");
}

#[test]
fn an_empty_replica_gets_everything() {
    for count in [0, 1, 5, 300, 5_000] {
        let (mut empty, mut other) = (Index::new(ShardSet::ALL), full(count));
        let (end, report) = reconcile(&mut empty, &mut other, SessionLimits::default());
        assert_eq!((end, report.withheld()), (SyncEnd::Complete, 0));
        assert_eq!(roots(&mut empty), roots(&mut other));
        let size = 2 * count * 519;
        let overhead = report.bytes_in + report.bytes_out - size;
        assert!(overhead <= size / 4 + 8_192, "{count}: {overhead} beyond {size}");
    }
}

#[test]
fn only_what_is_better_is_fetched() {
    let (mut one, mut two) = (full(2_000), full(2_000));
    for id in 1..=100 {
        one.put(row(id, Role::Participant, 9, 0));
        two.put(row(id + 50, Role::Counterparty, 9, 0));
    }
    let (end, report) = reconcile(&mut one, &mut two, SessionLimits::default());
    assert_eq!((end, report.wanted), (SyncEnd::Complete, 100));
    let (_, report) = reconcile(&mut two, &mut one, SessionLimits::default());
    assert_eq!(report.wanted, 100);
    assert_eq!(roots(&mut one), roots(&mut two));
}

#[test]
fn only_the_shards_that_both_keep_are_compared() {
    let shards = ShardSet::from_bits(0xFF);
    let mut few = Index::new(shards);
    let mut all = full(2_000);
    let (end, _) = reconcile(&mut few, &mut all, SessionLimits::default());
    assert_eq!(end, SyncEnd::Complete);
    assert_eq!(roots(&mut few)[..8], roots(&mut all)[..8]);
    let (_, report) = reconcile(&mut all, &mut few, SessionLimits::default());
    assert_eq!((report.requests, report.wanted), (1, 0));
}

#[test]
fn a_session_stops_at_each_of_its_bounds_and_the_next_one_goes_on() {
    let bounds = [
        SessionLimits { requests: 5, ..SessionLimits::default() },
        SessionLimits { bytes: 100_000, ..SessionLimits::default() },
        SessionLimits { prefixes: 10, ..SessionLimits::default() },
    ];
    for limits in bounds {
        let (mut empty, mut other) = (Index::new(ShardSet::ALL), full(3_000));
        let mut sessions = 0;
        loop {
            sessions += 1;
            let before = empty.len();
            let (end, report) = reconcile(&mut empty, &mut other, limits);
            assert!(report.requests <= limits.requests);
            if end == SyncEnd::Complete {
                break;
            }
            assert!(empty.len() > before, "session {sessions} brought nothing: {limits:?}");
        }
        assert!(sessions > 1, "{limits:?} is no bound");
        assert_eq!(roots(&mut empty), roots(&mut other));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_two_replicas_are_equal_after_each_has_asked_the_other(
        count in 0_u64..3_000,
        one in prop::collection::vec((1_u64..3_500, 0_u8..2, 1_u64..9, 0_u8..3), 0..200),
        two in prop::collection::vec((1_u64..3_500, 0_u8..2, 1_u64..9, 0_u8..3), 0..200),
    ) {
        let change = |index: &mut Index, changes: &[(u64, u8, u64, u8)]| {
            for (id, role, at, variant) in changes {
                index.put(row(*id, Role::try_from(*role).unwrap(), *at, *variant));
            }
        };
        let (mut first, mut second) = (full(count), full(count));
        change(&mut first, &one);
        change(&mut second, &two);
        let (end, _) = reconcile(&mut first, &mut second, SessionLimits::default());
        prop_assert_eq!(end, SyncEnd::Complete);
        let (end, _) = reconcile(&mut second, &mut first, SessionLimits::default());
        prop_assert_eq!(end, SyncEnd::Complete);
        prop_assert_eq!(roots(&mut first), roots(&mut second));
        change(&mut first, &two);
        prop_assert_eq!(roots(&mut first), roots(&mut second), "the best of both is held");
    }
}
