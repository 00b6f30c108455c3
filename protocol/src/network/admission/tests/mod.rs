use alloy_primitives::B256;

use super::*;
use crate::{
    backup::Envelope,
    ids::{ChannelId, Role},
    network::slot::{Shard, ShardSet, Slot},
    testing::{Pair, nonce},
};

mod alerts;

// ---------------------------------------------------------------------------------------------------- envelopes

/// A tower with one channel.
struct Tower {
    gate: Gate<u8>,
    pair: Pair,
    place: Option<Place>,
    held: Option<(u64, B256)>,
    looked: u32,
}

const HEAD: u64 = 100;
const FINAL_HEAD: u64 = 90;

impl Tower {
    fn new() -> Self {
        Self::with(GateLimits::default())
    }

    fn with(limits: GateLimits) -> Self {
        let pair = Pair::new(1);
        let gate = Gate::new(pair.channel.domain(), ShardSet::ALL, limits);
        Self { gate, pair, place: None, held: None, looked: 0 }
    }

    fn envelope(&self, at: u64) -> Envelope {
        self.pair.seal(Role::Participant, &self.pair.final_state(at, 500))
    }

    fn shard(&self) -> Shard {
        Shard::of(self.pair.channel.id())
    }

    fn offer(&mut self, from: u8, source: Source, bytes: &[u8], now_ms: u64) -> Step<u8> {
        let channel = Box::new(self.pair.channel);
        let live = Place::Live { channel, held: self.held.map(|(at, id)| (nonce(at), id)) };
        let place = self.place.clone().unwrap_or(live);
        let looked = &mut self.looked;
        self.gate.offer(&Offer { from, source, bytes }, now_ms, |_slot| {
            *looked += 1;
            Looked { head: HEAD, final_head: FINAL_HEAD, place }
        })
    }

    fn gossip(&mut self, bytes: &[u8]) -> Step<u8> {
        self.offer(1, Source::Gossip(self.shard()), bytes, 0)
    }
}

fn done(step: Step<u8>) -> Verdict {
    match step {
        Step::Done(verdict) => verdict,
        Step::Verify(pending) => panic!("not decided: {pending:?}"),
    }
}

fn pending(step: Step<u8>) -> Box<Pending<u8>> {
    match step {
        Step::Verify(pending) => pending,
        Step::Done(verdict) => panic!("decided: {verdict:?}"),
    }
}

#[test]
fn a_sound_new_envelope_is_verified_stored_and_accepted() {
    let mut tower = Tower::new();
    let envelope = tower.envelope(7);
    let pending = pending(tower.gossip(&envelope.to_bytes()));
    assert_eq!(tower.gate.pending(), 1);
    let Next::Store(stored) = tower.gate.verified(pending.verify()) else { panic!("refused") };
    assert_eq!((*stored, tower.gate.pending()), (envelope, 0));
    let slot = Slot { channel_id: tower.pair.channel.id(), role: Role::Participant };
    assert_eq!(tower.gate.stored(slot, Stored::New, 0), Verdict::Accept);
}

#[test]
fn each_check_comes_before_every_dearer_one() {
    let mut tower = Tower::new();
    let mut bytes = tower.envelope(7).to_bytes();
    // Everything is wrong at once; mended one by one, each fault shows in its turn.
    tower.place = Some(Place::Unknown);
    let other = Shard::try_from((tower.shard().get() + 1) % 64).unwrap();
    let wrong_shard = Source::Gossip(other);
    let good_version = bytes[0];
    let good_domain = bytes[5];
    *bytes.last_mut().unwrap() ^= 1;
    bytes[0] = 9;
    bytes[5] ^= 1;
    let mut long = bytes.clone();
    long.push(0);
    assert_eq!(done(tower.offer(1, wrong_shard, &long, 0)), Verdict::Reject(Fault::Size));
    assert_eq!(done(tower.offer(1, wrong_shard, &bytes, 0)), Verdict::Reject(Fault::Malformed));
    bytes[0] = good_version;
    assert_eq!(done(tower.offer(1, wrong_shard, &bytes, 0)), Verdict::Reject(Fault::OtherDomain));
    bytes[5] = good_domain;
    assert_eq!(done(tower.offer(1, wrong_shard, &bytes, 0)), Verdict::Reject(Fault::OtherShard));
    assert_eq!(tower.looked, 0, "nothing was looked up so far");
    let unknown = Verdict::Ignore(Ignored::Unknown { head: HEAD });
    assert_eq!(done(tower.gossip(&bytes)), unknown);
    tower.place = Some(Place::NotLive);
    assert_eq!(done(tower.gossip(&bytes)), Verdict::Ignore(Ignored::NotLive));
    tower.place = None;
    tower.held = Some((8, B256::ZERO));
    assert_eq!(done(tower.gossip(&bytes)), Verdict::Ignore(Ignored::Older { held: nonce(8) }));
    tower.held = Some((7, B256::ZERO));
    let pending = pending(tower.gossip(&bytes));
    let Next::Done(verdict) = tower.gate.verified(pending.verify()) else { panic!("admitted") };
    assert_eq!(verdict, Verdict::Reject(Fault::Signature));
}

#[test]
fn the_other_roles_key_and_another_channels_key_do_not_open_a_slot() {
    let mut tower = Tower::new();
    let mut bytes = tower.envelope(7).to_bytes();
    bytes[30] ^= 1;
    let step = pending(tower.gossip(&bytes));
    let Next::Done(verdict) = tower.gate.verified(step.verify()) else { panic!("admitted") };
    assert_eq!(verdict, Verdict::Reject(Fault::Signature), "overwrites the counterparty's slot");
    let vipe = tower.pair.channel.terms().vipe;
    let stranger = Pair::in_vault(2, 31_337, vipe, 1);
    let forged = stranger.seal(Role::Participant, &stranger.final_state(7, 500)).to_bytes();
    let pending = pending(tower.gossip(&forged));
    let Next::Done(verdict) = tower.gate.verified(pending.verify()) else { panic!("admitted") };
    assert_eq!(verdict, Verdict::Reject(Fault::Signature));
}

#[test]
fn a_channel_that_is_not_known_is_nobodys_fault_until_the_final_chain_passed_the_claim() {
    let mut tower = Tower::new();
    tower.place = Some(Place::Unknown);
    let bytes = tower.envelope(7).to_bytes();
    let unknown = Verdict::Ignore(Ignored::Unknown { head: HEAD });
    for seen_at in [0, FINAL_HEAD + 1, HEAD, HEAD + 1, u64::MAX] {
        let source = Source::Submit { seen_at };
        assert_eq!(done(tower.offer(1, source, &bytes, 0)), unknown, "{seen_at}");
    }
    for seen_at in [1, FINAL_HEAD] {
        let source = Source::Submit { seen_at };
        let verdict = done(tower.offer(1, source, &bytes, 0));
        assert_eq!(verdict, Verdict::Reject(Fault::FalseClaim), "{seen_at}");
    }
    assert_eq!(done(tower.gossip(&bytes)), unknown, "gossip claims nothing");
}

#[test]
fn a_shard_that_is_not_kept_is_ignored_unlooked() {
    let mut tower = Tower::new();
    tower.gate.keep(ShardSet::NONE);
    let bytes = tower.envelope(7).to_bytes();
    assert_eq!(done(tower.gossip(&bytes)), Verdict::Ignore(Ignored::NotKept));
    assert_eq!(tower.looked, 0);
}

#[test]
fn a_sender_that_floods_is_slowed_and_others_are_not() {
    let mut tower = Tower::with(GateLimits {
        sender: Rate { burst: 3, period_us: 1_000_000 },
        ..GateLimits::default()
    });
    tower.held = Some((9, B256::ZERO));
    let bytes = tower.envelope(7).to_bytes();
    let source = Source::Gossip(tower.shard());
    let older = Verdict::Ignore(Ignored::Older { held: nonce(9) });
    for _ in 0..3 {
        assert_eq!(done(tower.offer(1, source, &bytes, 0)), older);
    }
    let busy = Verdict::Ignore(Ignored::SenderBusy { retry_after_ms: 1_000 });
    assert_eq!(done(tower.offer(1, source, &bytes, 0)), busy);
    assert_eq!(done(tower.offer(2, source, &bytes, 0)), older, "another sender");
    tower.place = Some(Place::Unknown);
    assert_eq!(done(tower.offer(1, source, &bytes, 0)), busy, "a miss costs as much");
    assert_eq!(busy.refusal(), Some(Refusal::Busy { retry_after_ms: 1_000 }));
}

#[test]
fn a_slot_changes_as_often_as_its_rate_allows_and_other_slots_are_not_slowed() {
    let mut tower = Tower::new();
    let slot = Slot { channel_id: tower.pair.channel.id(), role: Role::Participant };
    for at in 1..=8 {
        let bytes = tower.envelope(at).to_bytes();
        let pending = pending(tower.gossip(&bytes));
        assert!(matches!(tower.gate.verified(pending.verify()), Next::Store(_)));
        assert_eq!(tower.gate.stored(slot, Stored::New, 0), Verdict::Accept);
    }
    let ninth = tower.envelope(9).to_bytes();
    let busy = Verdict::Ignore(Ignored::SlotBusy { retry_after_ms: 500 });
    assert_eq!(done(tower.gossip(&ninth)), busy);
    let other = tower.pair.seal(Role::Counterparty, &tower.pair.final_state(10, 500)).to_bytes();
    let _verified = pending(tower.gossip(&other)).verify();
}

#[test]
fn nobody_but_its_owner_uses_up_a_slots_budget() {
    let mut tower = Tower::new();
    let slot = Slot { channel_id: tower.pair.channel.id(), role: Role::Participant };
    let held = tower.envelope(7);
    let mut forged = tower.envelope(8).to_bytes();
    *forged.last_mut().unwrap() ^= 1;
    for from in 0..100 {
        let pending = pending(tower.offer(from, Source::Gossip(tower.shard()), &forged, 0));
        let Next::Done(verdict) = tower.gate.verified(pending.verify()) else { panic!() };
        assert_eq!(verdict, Verdict::Reject(Fault::Signature));
        let repeated = tower.gate.stored(slot, Stored::Same, 0);
        assert_eq!(repeated, Verdict::Ignore(Ignored::Same));
    }
    tower.held = Some((7, *held.id()));
    assert_eq!(done(tower.gossip(&held.to_bytes())), Verdict::Ignore(Ignored::Same), "unverified");
    let good = tower.envelope(8).to_bytes();
    let _verified = pending(tower.gossip(&good)).verify();
}

#[test]
fn what_was_asked_for_in_a_reconciliation_is_not_slowed() {
    let mut tower = Tower::with(GateLimits {
        sender: Rate { burst: 1, period_us: 1_000_000 },
        ..GateLimits::default()
    });
    tower.held = Some((9, B256::ZERO));
    let bytes = tower.envelope(7).to_bytes();
    for _ in 0..9 {
        let verdict = done(tower.offer(1, Source::Sync, &bytes, 0));
        assert_eq!(verdict, Verdict::Ignore(Ignored::Older { held: nonce(9) }));
    }
}

#[test]
fn a_sender_has_a_bound_on_signatures_that_wait_and_so_have_all_together() {
    let mut tower = Tower::with(GateLimits {
        pending_of_sender: 2,
        pending: 3,
        slot: Rate { burst: 100, period_us: 1 },
        ..GateLimits::default()
    });
    let source = Source::Gossip(tower.shard());
    let bytes = tower.envelope(7).to_bytes();
    let overloaded = Verdict::Ignore(Ignored::Overloaded);
    let first = pending(tower.offer(1, source, &bytes, 0));
    let _second = pending(tower.offer(1, source, &bytes, 0));
    assert_eq!(done(tower.offer(1, source, &bytes, 0)), overloaded, "of this sender");
    let _third = pending(tower.offer(2, source, &bytes, 0));
    assert_eq!(done(tower.offer(2, source, &bytes, 0)), overloaded, "of all");
    assert!(matches!(tower.gate.verified(first.verify()), Next::Store(_)));
    let _fourth = pending(tower.offer(2, source, &bytes, 0));
    tower.gate.abandoned(&1);
    tower.gate.abandoned(&1);
    assert_eq!(tower.gate.pending(), 2, "nothing is counted down twice");
}

#[test]
fn the_stores_answer_is_the_verdict() {
    let allowed = nonce(20);
    let cases = [
        (Stored::New, Verdict::Accept, None),
        (Stored::Same, Verdict::Ignore(Ignored::Same), None),
        (Stored::Conflict { nonce: nonce(7), offered_won: true }, Verdict::Accept, None),
        (
            Stored::Conflict { nonce: nonce(7), offered_won: false },
            Verdict::Ignore(Ignored::ConflictLost { nonce: nonce(7) }),
            Some(Refusal::Conflict { nonce: nonce(7) }),
        ),
        (
            Stored::Older { held: nonce(8) },
            Verdict::Ignore(Ignored::Older { held: nonce(8) }),
            Some(Refusal::Older { held: nonce(8) }),
        ),
        (
            Stored::TooFast { allowed, retry_after_ms: 5 },
            Verdict::Ignore(Ignored::TooFast { allowed, retry_after_ms: 5 }),
            Some(Refusal::TooFast { allowed, retry_after_ms: 5 }),
        ),
        (
            Stored::Failed,
            Verdict::Ignore(Ignored::Failed),
            Some(Refusal::Failed { retry_after_ms: 1_000 }),
        ),
    ];
    let mut gate = Tower::new().gate;
    let slot = Slot { channel_id: ChannelId::MIN, role: Role::Participant };
    for (stored, verdict, refusal) in cases {
        let given = gate.stored(slot, stored, 0);
        assert_eq!((given, given.refusal()), (verdict, refusal));
    }
}
