//! The answering side's limits, and towers that lie.

use std::collections::BTreeMap;

use alloy_primitives::keccak256;

use super::{super::*, SALT, domain, envelope, full, row, slot, template};
use crate::{
    ids::{Domain, Role},
    network::{
        slot::{Shard, ShardSet, SlotKey},
        wire::{
            Children, Fingerprint, Found, Part, Prefix, RawEnvelope, Refusal, Row,
            SYNC_RESPONSE_MAX, SyncRequest, SyncResponse, WANT_MAX,
        },
    },
    testing::nonce,
};

// ---------------------------------------------------------------------------------------------------- the answering side

#[test]
fn an_answer_keeps_to_its_limit_whatever_is_asked() {
    let mut index = full(40_000);
    let shard = Shard::try_from(0).unwrap();
    let prefixes: Vec<Prefix> = (0..16)
        .flat_map(|one| (0..16).map(move |two| (one, two)))
        .map(|(one, two)| Prefix::root(shard).child(one).unwrap().child(two).unwrap())
        .take(220)
        .collect();
    let mut rest = prefixes.as_slice();
    let mut rounds = 0;
    while !rest.is_empty() {
        let parts = rest.iter().map(|prefix| Part::Ask(*prefix, 1_024)).collect();
        let request = SyncRequest::Compare { domain: domain(), salt: SALT, parts };
        let Answer::Now(response) = respond(&mut index, domain(), &request) else { panic!() };
        assert!(response.to_bytes().len() <= SYNC_RESPONSE_MAX);
        let SyncResponse::Compared { answered, .. } = response else { panic!() };
        rest = &rest[usize::from(answered)..];
        rounds += 1;
    }
    assert!(rounds >= 1);
    let want = SyncRequest::Want { domain: domain(), slots: vec![slot(1, Role::Participant)] };
    let read = Answer::Read(vec![slot(1, Role::Participant)]);
    assert_eq!(respond(&mut index, domain(), &want), read);
}

#[test]
fn another_vaults_question_is_refused() {
    let mut index = full(10);
    let other = Domain::derive(1, alloy_primitives::Address::ZERO);
    let want = SyncRequest::Want { domain: other, slots: vec![slot(1, Role::Participant)] };
    let refused = Answer::Now(SyncResponse::Refused(Refusal::OtherDomain));
    assert_eq!(respond(&mut index, domain(), &want), refused);
}

// ---------------------------------------------------------------------------------------------------- liars

/// A session of a replica of `count` channels that waits for the answer to its roots.
fn waiting(count: u64) -> (Index, Session) {
    let mut index = full(count);
    let (session, _) =
        Session::start(&mut index, domain(), ShardSet::ALL, SALT, SessionLimits::default());
    (index, session)
}

fn shard_rows(shard: Shard, count: usize, at: u64) -> Vec<Row> {
    let mut rows: Vec<Row> = (1..)
        .map(|id| row(id, Role::Participant, at, 0))
        .filter(|row| row.slot.shard() == shard)
        .take(count)
        .collect();
    rows.sort_by_key(|row| row.slot.key());
    rows
}

#[test]
fn answers_to_what_was_not_asked_are_faults() {
    let shard = Shard::try_from(7).unwrap();
    let root = Prefix::root(shard);
    let child = root.child(1).unwrap();
    let wrong = [
        SyncResponse::Compared { answered: 1, found: vec![] },
        SyncResponse::Envelopes(vec![]),
        SyncResponse::Roots { kept: ShardSet::ALL, found: vec![Found::Rows(child, vec![])] },
    ];
    for response in wrong {
        let (mut index, mut session) = waiting(100);
        let fault = session.answered(&mut index, &response.to_bytes());
        assert_eq!(fault, Err(SyncFault::Unasked), "{response:?}");
    }
    let (mut index, mut session) = waiting(100);
    let many = Found::Rows(root, shard_rows(shard, 9, 7));
    let response = SyncResponse::Roots { kept: ShardSet::ALL, found: vec![many] };
    let fault = session.answered(&mut index, &response.to_bytes());
    assert_eq!(fault, Err(SyncFault::TooMany));
    let (mut index, mut session) = waiting(100);
    assert!(matches!(session.answered(&mut index, &[1, 9]), Err(SyncFault::Wire(_))));
}

/// A session that was told of one better row and asks for its envelope.
fn wanting() -> (Index, Session, Row) {
    let shard = Shard::try_from(7).unwrap();
    let (mut index, mut session) = waiting(100);
    let told = shard_rows(shard, 1, 9)[0];
    let found = vec![Found::Rows(Prefix::root(shard), vec![told])];
    let response = SyncResponse::Roots { kept: ShardSet::ALL, found };
    let progress = session.answered(&mut index, &response.to_bytes()).unwrap();
    let slots = vec![told.slot];
    assert_eq!(progress.next, SyncNext::Send(SyncRequest::Want { domain: domain(), slots }));
    (index, session, told)
}

#[test]
fn envelopes_that_were_not_asked_for_or_are_older_than_told_are_faults() {
    let template = template();
    let answer = |rows: &[Row]| {
        SyncResponse::Envelopes(rows.iter().map(|row| envelope(&template, row)).collect())
            .to_bytes()
    };
    let (mut index, mut session, told) = wanting();
    let fell = Row { nonce: nonce(8), ..told };
    let fault = SyncFault::Fell { said: nonce(9), got: nonce(8) };
    assert_eq!(session.answered(&mut index, &answer(&[fell])), Err(fault));
    let (mut index, mut session, told) = wanting();
    let other = row(told.slot.channel_id.get(), Role::Counterparty, 9, 0);
    assert_eq!(session.answered(&mut index, &answer(&[other])), Err(SyncFault::OtherEnvelope));
    let (mut index, mut session, told) = wanting();
    assert_eq!(session.answered(&mut index, &answer(&[told, told])), Err(SyncFault::OtherEnvelope));
    let (mut index, mut session, told) = wanting();
    let newer = Row { nonce: nonce(10), ..told };
    assert!(session.answered(&mut index, &answer(&[newer])).is_ok(), "it rose meanwhile");
}

#[test]
fn a_tower_that_tells_and_does_not_give_is_counted_not_blamed() {
    let (mut index, mut session, _) = wanting();
    let nothing = SyncResponse::Envelopes(vec![]).to_bytes();
    let progress = session.answered(&mut index, &nothing).unwrap();
    assert_eq!(progress.next, SyncNext::Done(SyncEnd::Complete));
    assert_eq!(session.report().withheld(), 1);
}

#[test]
fn a_tower_that_invents_differences_for_ever_comes_to_a_bound() {
    let limits = SessionLimits { requests: 500, prefixes: 4_096, ..SessionLimits::default() };
    let mut index = full(1_000);
    let (mut session, mut request) =
        Session::start(&mut index, domain(), ShardSet::ALL, SALT, limits);
    let noise = |at: u64, prefix: Prefix| {
        let mut children = [None; 16];
        for (digit, child) in children.iter_mut().enumerate() {
            let hash = keccak256(format!("{at} {prefix:?} {digit}"));
            *child = Some(Fingerprint(hash[..8].try_into().unwrap()));
        }
        Children::new(children)
    };
    for at in 0.. {
        let response = match &request {
            SyncRequest::Roots { shards, .. } => SyncResponse::Roots {
                kept: ShardSet::ALL,
                found: shards
                    .iter()
                    .map(|shard| Found::Node(Prefix::root(shard), noise(at, Prefix::root(shard))))
                    .collect(),
            },
            SyncRequest::Compare { parts, .. } => {
                let told = |part: &Part| match part {
                    Part::Ask(prefix, _) if prefix.depth() < 12 => {
                        vec![Found::Node(*prefix, noise(at, *prefix))]
                    }
                    Part::Ask(..) => vec![],
                    Part::Node(prefix, _) => (0..16)
                        .filter_map(|digit| prefix.child(digit))
                        .map(|child| Found::Node(child, noise(at, child)))
                        .collect(),
                };
                let parts: Vec<Part> = parts.iter().copied().take(25).collect();
                let found = parts.iter().flat_map(told).collect();
                SyncResponse::Compared { answered: parts.len() as u16, found }
            }
            SyncRequest::Want { .. } => panic!("nothing was told"),
        };
        let progress = session.answered(&mut index, &response.to_bytes()).unwrap();
        match progress.next {
            SyncNext::Send(next) => request = next,
            SyncNext::Done(end) => {
                assert_eq!(end, SyncEnd::Exhausted);
                break;
            }
        }
    }
    assert!(session.report().requests <= 500);
}

#[test]
fn a_wish_fits_one_answer() {
    let keys: BTreeMap<SlotKey, ()> =
        (1..=56).flat_map(|id| Role::BOTH.map(|role| (slot(id, role).key(), ()))).collect();
    assert_eq!(keys.len(), WANT_MAX);
    let all = vec![RawEnvelope::from_bytes(&template()).unwrap(); WANT_MAX + 1];
    let SyncResponse::Envelopes(given) = envelopes(all) else { panic!() };
    assert_eq!(given.len(), WANT_MAX);
}
