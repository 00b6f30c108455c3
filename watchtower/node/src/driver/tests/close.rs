//! A dispute that both parties end by consent, frame by frame: what is agreed, what is refused, and what goes on meanwhile.

use alloy_primitives::{Address, B256, Bytes, U256};
use chain::events::{CloseAnnounced, DisputeOpened, Event, Settled};
use gossip::Peer;
use protocol::payment::wallet;
use protocol::testing::{amount, nonce};
use protocol::vnode::close::CloseInDispute;
use protocol::vnode::link::{Frame, Refusal};
use protocol::zksc::FinalState;
use protocol::{Amount, EscrowVersion, Role};
use serde_json::Value;

use super::single::{CHANNEL, Single, Two, at};
use super::world::{SIDE, delivery, policy};
use crate::driver::Command;
use crate::driver::consent::Terms;
use crate::driver::proofs::{Priced, Proven};
use crate::error::ApiError;
use crate::policy::Policy;

/// What the newest state, of nonce 5, pays alice of 2 x SIDE.
const HERS: u128 = SIDE / 2;
/// The dispute's deadline.
const DEADLINE: u64 = 100_000;
/// When the announced close takes effect.
const EFFECT: u64 = 50_000;
const CLOSE: Command = Command::Close { channel: None };

fn willing(close_in_dispute: CloseInDispute) -> Policy {
    let mut policy = policy();
    policy.exit.close_in_dispute = close_in_dispute;
    policy
}

/// Alice and the hub, linked by the test.
struct Both {
    two: Two,
    alice: Single,
    hub: Single,
}

impl Both {
    /// Both hold their state; the policy is the hub's.
    async fn with(policy: Policy, two: Two, (hers, its): (&FinalState, &FinalState)) -> Self {
        let mut alice = Box::pin(two.alice_with(hers)).await;
        let hub = Box::pin(two.hub_with(policy, its)).await;
        alice.driver.peers.insert(CHANNEL, two.hub.identity.peer());
        let mut both = Self { two, alice, hub };
        both.see(Vec::new()).await;
        both
    }

    async fn new(policy: Policy) -> Self {
        let two = Two::new();
        let state = two.signed(5, HERS);
        Box::pin(Self::with(policy, two, (&state, &state))).await
    }

    /// Both see it, final.
    async fn see(&mut self, events: Vec<Event>) {
        let events: Vec<_> = (0..).zip(events).map(|(index, event)| at(index, event)).collect();
        for node in [&mut self.alice, &mut self.hub] {
            node.driver.on_batch(delivery(events.clone())).await.unwrap();
            node.driver.on_tick().await.unwrap();
            node.settle().await;
        }
    }

    fn dispute(&self, epoch: u64, by: Role, claim: u128) -> Event {
        Event::DisputeOpened(DisputeOpened {
            channel: CHANNEL,
            disputer: self.two.own.channel.party(by).account,
            epoch,
            nonce: nonce(3),
            version: EscrowVersion::ZERO,
            balance: amount(0),
            claim: amount(claim),
            deadline: DEADLINE,
            fee: U256::ZERO,
            bond: U256::ZERO,
            dispute_key: B256::ZERO,
        })
    }

    /// What the chain says once the close is announced, and once it has taken effect.
    fn announced(&self) -> (Event, Event) {
        let (to_participant, to_vip) = (amount(HERS), amount(2 * SIDE - HERS));
        let (channel, seq, epoch, deadline) = (CHANNEL, 0, 1, EFFECT);
        let announced = CloseAnnounced { channel, seq, epoch, to_participant, to_vip, deadline };
        let settled = Settled {
            channel,
            to_participant,
            to_vip,
            slash: Amount::ZERO,
            corrector: None,
            fee: U256::ZERO,
            bond_returned: U256::ZERO,
        };
        (Event::CloseAnnounced(announced), Event::Settled(settled))
    }

    /// Carries what they say to each other, until they are silent; what the hub said.
    async fn talk(&mut self) -> Vec<Frame> {
        let peers = [self.two.alice.identity.peer(), self.two.hub.identity.peer()];
        let mut all = Vec::new();
        loop {
            let asked = carry(&mut self.alice, &mut self.hub, peers[0]).await;
            let answered = carry(&mut self.hub, &mut self.alice, peers[1]).await;
            if asked.is_empty() && answered.is_empty() {
                return all;
            }
            all.extend(answered);
        }
    }

    /// Alice orders the close, and both talk about it: what the hub refused.
    async fn close(&mut self) -> Result<Option<Refusal>, ApiError> {
        self.alice.ask(CLOSE).await?;
        let refused = self.talk().await.into_iter().find_map(|frame| match frame {
            Frame::Refused(_, refusal) => Some(refusal),
            _ => None,
        });
        Ok(refused)
    }
}

async fn carry(from: &mut Single, to: &mut Single, name: Peer) -> Vec<Frame> {
    let frames: Vec<Frame> = from.said().await.into_iter().map(|(_, frame)| frame).collect();
    for frame in &frames {
        to.driver.on_frame(name, frame.clone()).await.unwrap();
        to.settle().await;
    }
    frames
}

fn orders(node: &Single, prefix: &str) -> Vec<(String, usize)> {
    let errands = node.driver.errands.values().filter(|one| one.name.starts_with(prefix));
    errands.map(|one| (one.name.clone(), one.steps.len())).collect()
}

fn agreed(node: &Single) -> Option<(u64, u128, u128, bool)> {
    let pending = node.driver.consents.get(&CHANNEL)?;
    let Terms::Close(terms) = pending.terms else { return None };
    let paid = terms.paid;
    Some((terms.epoch, paid.participant.get(), paid.vip.get(), pending.theirs.is_some()))
}

async fn shown(node: &mut Single) -> Value {
    node.ask(Command::Channels).await.unwrap()["channels"][0].clone()
}

#[tokio::test]
async fn a_dispute_is_ended_by_consent_with_what_the_newest_state_pays() {
    for by in [Role::Participant, Role::Counterparty] {
        let mut both = Box::pin(Both::new(policy())).await;
        // Honest: it claims what the newest state pays its own side.
        let claim = if by == Role::Participant { HERS } else { 2 * SIDE - HERS };
        both.see(vec![both.dispute(1, by, claim)]).await;
        assert_eq!(both.close().await.unwrap(), None);
        let terms = Some((1, HERS, 2 * SIDE - HERS, true));
        assert_eq!((agreed(&both.alice), agreed(&both.hub)), (terms, terms));
        let order = orders(&both.alice, "close channel 1 consent 0");
        assert_eq!(order.iter().map(|(_, calls)| *calls).collect::<Vec<_>>(), [1], "{order:?}");
        let (announced, settled) = both.announced();
        both.see(vec![announced]).await;
        for node in [&mut both.alice, &mut both.hub] {
            assert!(node.driver.consents.is_empty(), "it is executed");
            let channel = shown(node).await;
            assert_eq!(
                (&channel["held"], &channel["standing"]),
                (&true.into(), &"disputed".into())
            );
            assert!(orders(node, "settle ").is_empty());
            node.driver.chain_s = EFFECT;
            node.driver.on_tick().await.unwrap();
            assert_eq!(orders(node, "settle channel 1 dispute 1").len(), 1, "it takes effect");
        }
        assert!(both.alice.ask(CLOSE).await.is_ok(), "the same order again");
        both.see(vec![settled]).await;
        assert_eq!(orders(&both.alice, "collect asset of channel 1").len(), 1);
        for node in [&mut both.alice, &mut both.hub] {
            let channel = shown(node).await;
            assert_eq!((&channel["held"], &channel["standing"]), (&false.into(), &"over".into()));
            assert_eq!(channel["paid"][0], HERS.to_string());
        }
    }
}

#[tokio::test]
async fn a_dispute_that_has_little_time_left_is_still_ended_by_consent() {
    let mut both = Box::pin(Both::new(policy())).await;
    both.see(vec![both.dispute(1, Role::Participant, HERS)]).await;
    for node in [&mut both.alice, &mut both.hub] {
        node.driver.chain_s = DEADLINE - 90;
    }
    assert_eq!(both.close().await.unwrap(), None);
    assert_eq!(agreed(&both.hub), Some((1, HERS, 2 * SIDE - HERS, true)));
}

#[tokio::test]
async fn a_hub_ends_no_dispute_that_it_does_not_see_so_or_with_other_terms_or_too_late() {
    // The hub sees another dispute, none, one that is not final, a newer state, or a later time than alice.
    for (case, refusal) in [
        ("other", Refusal::OtherDispute),
        ("none", Refusal::Stale),
        ("new", Refusal::Stale),
        ("newer", Refusal::Terms),
        ("late", Refusal::TooLate),
    ] {
        let two = Two::new();
        let (hers, its) = (two.signed(5, HERS), two.signed(6, HERS - 1));
        let its = if case == "newer" { its } else { hers };
        let policy = willing(CloseInDispute::Always);
        let mut both = Box::pin(Both::with(policy, two, (&hers, &its))).await;
        let (one, other) = [1, 2].map(|epoch| both.dispute(epoch, Role::Participant, HERS)).into();
        let mut seen = delivery(vec![at(1, if case == "other" { other } else { one.clone() })]);
        both.alice.driver.on_batch(delivery(vec![at(1, one)])).await.unwrap();
        if case == "new" {
            seen.batch.tip.finalized = Some(0);
        }
        if case != "none" {
            both.hub.driver.on_batch(seen).await.unwrap();
        }
        if case == "late" {
            both.hub.driver.chain_s = DEADLINE - 59;
        }
        assert_eq!(both.close().await.unwrap(), Some(refusal), "{case}");
        assert!(both.hub.driver.consents.is_empty(), "{case}: nothing is signed");
        let channel = shown(&mut both.alice).await;
        assert_eq!(channel["refusal_passes"], refusal == Refusal::Stale, "{case}: {channel}");
    }
}

#[tokio::test]
async fn whether_a_stale_claim_is_forgiven_is_the_hubs_policy() {
    for (policy, refusal) in [
        (CloseInDispute::Never, Some(Refusal::Unwilling)),
        (CloseInDispute::Honest, Some(Refusal::Unwilling)),
        (CloseInDispute::Always, None),
    ] {
        let mut both = Box::pin(Both::new(willing(policy))).await;
        both.see(vec![both.dispute(1, Role::Participant, HERS + 1)]).await;
        assert_eq!(both.close().await.unwrap(), refusal, "{policy:?}");
        let agreed = agreed(&both.hub).map(|(_, hers, ..)| hers);
        assert_eq!(agreed, refusal.is_none().then_some(HERS), "never more than the newest state");
    }
}

#[tokio::test]
async fn a_participant_is_told_why_no_close_is_asked_for() {
    let mut both = Box::pin(Both::new(policy())).await;
    let mut seen = delivery(vec![at(1, both.dispute(1, Role::Counterparty, 2 * SIDE))]);
    seen.batch.tip.finalized = Some(0);
    both.alice.driver.on_batch(seen).await.unwrap();
    let early = both.alice.ask(CLOSE).await.unwrap_err();
    assert!(early.code == "not_now" && early.to_string().contains("not final"), "{early}");
    both.see(Vec::new()).await;
    let stale = both.alice.ask(CLOSE).await.unwrap_err();
    assert!(stale.to_string().contains("a close would waive"), "{stale}");
    both.alice.driver.parts.policy = willing(CloseInDispute::Always);
    both.alice.driver.chain_s = DEADLINE - 59;
    let late = both.alice.ask(CLOSE).await.unwrap_err();
    assert!(late.to_string().contains("too near"), "{late}");
    let take = Command::Withdraw { channel: None, amount: amount(1), key: None };
    let refused = both.alice.ask(take).await.unwrap_err();
    assert!(refused.to_string().contains("nothing but a close"), "{refused}");
    assert!(both.alice.driver.consents.is_empty());
}

#[tokio::test]
async fn a_stale_dispute_is_overridden_also_while_a_close_is_agreed_or_announced() {
    let mut both = Box::pin(Both::new(willing(CloseInDispute::Always))).await;
    both.see(vec![both.dispute(1, Role::Participant, 2 * SIDE)]).await;
    let job = both.hub.jobs.try_recv().unwrap();
    assert_eq!(both.close().await.unwrap(), None);
    assert!(agreed(&both.hub).is_some());
    let again = job.clone();
    let outcome = Ok(Priced { proof: Bytes::new(), value: U256::ZERO });
    both.hub.driver.on_proven(Proven { job, outcome }).await.unwrap();
    assert_eq!(orders(&both.hub, "override channel 1 nonce 5").len(), 1);
    let (announced, _) = both.announced();
    both.see(vec![announced]).await;
    // It was lost: as long as there is time it is wanted again.
    let outcome = Err("lost".to_owned());
    both.hub.driver.on_proven(Proven { job: again, outcome }).await.unwrap();
    both.hub.driver.exits.get_mut(&CHANNEL).unwrap().again_ms = Some(0);
    both.hub.driver.chain_s = EFFECT - 1;
    both.hub.driver.on_tick().await.unwrap();
    assert_eq!(both.hub.overrides(), 1);
}

#[tokio::test]
async fn what_was_agreed_before_a_dispute_is_void_once_that_is_final_and_makes_room() {
    let mut both = Box::pin(Both::new(policy())).await;
    let take = Command::Withdraw { channel: None, amount: amount(1), key: None };
    both.alice.ask(take).await.unwrap();
    both.talk().await;
    assert!(both.alice.driver.consents.len() + both.hub.driver.consents.len() == 2);
    both.see(vec![both.dispute(1, Role::Participant, HERS)]).await;
    assert!(both.alice.driver.consents.is_empty() && both.hub.driver.consents.is_empty());
    assert_eq!(both.close().await.unwrap(), None);
    assert!(agreed(&both.hub).is_some());
}

#[tokio::test]
async fn a_state_that_comes_late_changes_nothing_of_what_was_agreed() {
    let two = Two::new();
    let state = two.signed_at(5, 1, HERS);
    let mut both = Box::pin(Both::with(policy(), two, (&state, &state))).await;
    // An update that pays the same as before is half signed at the hub, and final at alice.
    let given = both.alice.driver.give_wallet(CHANNEL, wallet::Event::Rebase).await.unwrap();
    assert_eq!(given.refusal(), None);
    both.alice.settle().await;
    let (alice, hub) = (both.two.alice.identity.peer(), both.two.hub.identity.peer());
    assert_eq!(carry(&mut both.alice, &mut both.hub, alice).await.len(), 1);
    assert_eq!(carry(&mut both.hub, &mut both.alice, hub).await.len(), 1);
    let late: Vec<_> = both.alice.said().await.into_iter().map(|(_, frame)| frame).collect();
    assert_eq!((both.alice.held(), both.hub.held()), (Some(6), Some(5)));
    both.see(vec![both.dispute(1, Role::Participant, HERS)]).await;
    assert_eq!(both.close().await.unwrap(), None);
    let (announced, settled) = both.announced();
    for events in [vec![], vec![announced], vec![settled]] {
        both.see(events).await;
        for frame in late.clone() {
            both.hub.driver.on_frame(alice, frame).await.unwrap();
            both.hub.settle().await;
        }
        assert_eq!(both.hub.held(), Some(5), "the channel ends with what was agreed on");
    }
}

#[tokio::test]
async fn what_a_correction_paid_is_collected_by_the_other_party() {
    let mut both = Box::pin(Both::new(policy())).await;
    both.see(vec![both.dispute(1, Role::Counterparty, 2 * SIDE)]).await;
    let by = chain::events::Overridden {
        channel: CHANNEL,
        beneficiary: Address::repeat_byte(8),
        kind: chain::events::OverrideKind::Lower,
        nonce: nonce(5),
        version: EscrowVersion::ZERO,
        balance: amount(HERS),
        claim: amount(2 * SIDE - HERS),
        deadline: DEADLINE,
        reward: U256::ZERO,
    };
    let (_, settled) = both.announced();
    both.see(vec![Event::Overridden(by), settled]).await;
    assert_eq!(orders(&both.alice, "collect ether of channel 1").len(), 1);
}
