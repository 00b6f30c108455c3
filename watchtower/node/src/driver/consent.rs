//! What both parties do by consent: take money out, and close, also in a dispute. Each computes the terms itself (`terms`) and
//! signs nothing else.
//!
//! ```text
//!   participant: held, durable, signed --Withdraw / Close--> hub: the same terms? held, durable, signed
//!                errand to the chain   <--the same, its signature--
//! ```
//!
//! From the signature until the consent is executed or past its deadline, both final, the channel is *held*: no new state is
//! made on it. So no state can contradict what was agreed, and the nonce of a withdrawal that never happened is free again.
//! A close in a dispute is announced, and the channel held until that has taken effect; whatever answers the dispute goes on.
//!
//! **Invariant:** a consent is durable before its signature leaves, and the same request gets the same bytes again.

use alloy_primitives::Bytes;
use chain::account::Typed;
use chain::consent::{Parties, close_consent, withdraw_consent};
use chain::wallet::Question;
use protocol::payment::{hub, wallet};
use protocol::vipe::{Closing, Withdrawal};
use protocol::vnode::link::{Consent, Frame, Refusal};
use protocol::{ChannelId, Role};
use serde::{Deserialize, Serialize};
use store::{NodeChange, NodeTable};

use super::Driver;
use super::agree::GOOD_FOR_S;
use crate::book::{Own, Standing};
use crate::error::NodeError;
use crate::rows;

/// The longest that the other party may bind us for.
pub(crate) const GOOD_FOR_MAX_S: u64 = 2 * GOOD_FOR_S;
/// And the shortest: what runs out at once would be signed, stored and let go again and again.
const GOOD_FOR_MIN_S: u64 = 300;
/// The shortest in a dispute, which may have little more than a minute left.
const GOOD_FOR_MIN_IN_DISPUTE_S: u64 = 30;
/// Between two sendings of an unanswered consent, in milliseconds.
const ASK_EVERY: u64 = 2_000;

/// What is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Terms {
    /// Money is taken out.
    Withdraw(Withdrawal),
    /// The channel ends.
    Close(Closing),
}

impl Terms {
    pub(super) const fn deadline(&self) -> u64 {
        match self {
            Self::Withdraw(terms) => terms.deadline,
            Self::Close(terms) => terms.deadline,
        }
    }

    /// The dispute that it ends; zero for what needs a live channel.
    pub(super) const fn epoch(&self) -> u64 {
        match self {
            Self::Withdraw(_) => 0,
            Self::Close(terms) => terms.epoch,
        }
    }
}

/// A consent of ours that may still be executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Its number on the chain.
    pub(crate) seq: u64,
    /// What is agreed.
    pub(crate) terms: Terms,
    /// Our signature; empty while a signer elsewhere has not given it.
    pub(crate) mine: Bytes,
    /// The other one, once it is here.
    pub(crate) theirs: Option<Bytes>,
    #[serde(skip)]
    asked_ms: u64,
}

pub(super) fn consent_key(channel: ChannelId) -> Vec<u8> {
    [b"consent/".as_slice(), &channel.get().to_be_bytes()].concat()
}

impl Driver {
    pub(super) fn load_consents(&mut self) -> Result<(), NodeError> {
        for channel in self.book.channels().keys().copied().collect::<Vec<_>>() {
            let row = rows::get(&self.parts.store, NodeTable::Orders, &consent_key(channel))?;
            if let Some(pending) = row {
                self.consents.insert(channel, pending);
            }
        }
        Ok(())
    }

    pub(super) fn words(&self, channel: ChannelId, seq: u64, terms: &Terms) -> Option<Typed> {
        let known = &self.book.get(channel)?.channel;
        let parties = Parties {
            channel,
            participant: known.party(Role::Participant).account,
            counterparty: known.party(Role::Counterparty).account,
        };
        let domain = known.session_domain();
        Some(match terms {
            Terms::Withdraw(terms) => withdraw_consent(&domain, &parties, seq, terms),
            Terms::Close(terms) => close_consent(&domain, &parties, seq, terms),
        })
    }

    /// Signs, durably, and holds the channel. A signature that another process gives comes later: the channel is held for it.
    pub(super) async fn consent(
        &mut self,
        channel: ChannelId,
        terms: Terms,
        theirs: Option<Bytes>,
    ) -> Result<Option<Pending>, NodeError> {
        let Some(seq) = self.book.get(channel).map(|own| own.seq) else { return Ok(None) };
        let Some(words) = self.words(channel, seq, &terms) else { return Ok(None) };
        let mine = match self.signature(&words) {
            Some(signature) => signature,
            None if self.parts.keys.account.is_elsewhere() => Bytes::new(),
            None => return Ok(None),
        };
        let pending = Pending { seq, terms, mine, theirs, asked_ms: 0 };
        self.refusals.remove(&channel);
        // Held from here on: nothing comes between the check above and the signature.
        self.consents.insert(channel, pending.clone());
        self.store(vec![rows::put(NodeTable::Orders, consent_key(channel), &pending)?]).await?;
        Ok(Some(pending))
    }

    pub(super) async fn on_withdraw(
        &mut self,
        channel: ChannelId,
        consent: Consent<Withdrawal>,
    ) -> Result<(), NodeError> {
        let amount = consent.terms.paid.participant;
        let ours = self.withdrawal(channel, amount, consent.terms.deadline).map(Terms::Withdraw);
        let theirs = Terms::Withdraw(consent.terms);
        self.on_consent(channel, (consent.seq, theirs, consent.signature), ours).await
    }

    pub(super) async fn on_close(
        &mut self,
        channel: ChannelId,
        consent: Consent<Closing>,
    ) -> Result<(), NodeError> {
        let ours = match self.closing(channel, consent.terms.deadline) {
            // This node's view of the chain is behind, or the other one's was reorganised away.
            Ok(ours) if ours.epoch == 0 && consent.terms.epoch != 0 => Err(Refusal::Stale),
            Ok(ours) if ours.epoch != consent.terms.epoch => Err(Refusal::OtherDispute),
            ours => ours.map(Terms::Close),
        };
        let theirs = Terms::Close(consent.terms);
        self.on_consent(channel, (consent.seq, theirs, consent.signature), ours).await
    }

    async fn on_consent(
        &mut self,
        channel: ChannelId,
        (seq, theirs, signature): (u64, Terms, Bytes),
        ours: Result<Terms, Refusal>,
    ) -> Result<(), NodeError> {
        match self.is_theirs(channel, seq, &theirs, &signature) {
            Some(true) => {}
            Some(false) => {
                tracing::warn!(%channel, "a consent that the other party does not stand behind");
                return Ok(());
            }
            // The chain is asked; the other node says it again.
            None => return Ok(()),
        }
        let held =
            self.consents.get(&channel).filter(|held| (held.seq, held.terms) == (seq, theirs));
        match (held.cloned(), self.parts.role) {
            (Some(mut held), Role::Participant) => {
                held.theirs = Some(signature);
                let key = consent_key(channel);
                let row = rows::put(NodeTable::Orders, key, &held)?;
                self.consents.insert(channel, held.clone());
                self.execute(channel, &held, row).await
            }
            (Some(held), Role::Counterparty) => {
                self.tell_consent(channel, &held);
                Ok(())
            }
            (None, Role::Participant) => Ok(()),
            (None, Role::Counterparty) => {
                self.answer_consent(channel, (seq, theirs, signature), ours).await
            }
        }
    }

    /// Hub: the terms are those that it computes itself, or they are refused.
    async fn answer_consent(
        &mut self,
        channel: ChannelId,
        (seq, theirs, signature): (u64, Terms, Bytes),
        ours: Result<Terms, Refusal>,
    ) -> Result<(), NodeError> {
        let after = |seconds| self.chain_s.saturating_add(seconds);
        let in_dispute = matches!(theirs, Terms::Close(terms) if terms.epoch != 0);
        let least = if in_dispute { GOOD_FOR_MIN_IN_DISPUTE_S } else { GOOD_FOR_MIN_S };
        let bounds = after(least)..=after(GOOD_FOR_MAX_S);
        let next = self.book.get(channel).map(|own| own.seq);
        let refusal = match ours {
            _ if self.consents.contains_key(&channel) => Some(Refusal::Busy),
            Err(refusal) => Some(refusal),
            Ok(ours) if ours != theirs || next != Some(seq) => Some(Refusal::Terms),
            Ok(_) if !bounds.contains(&theirs.deadline()) => Some(Refusal::Terms),
            Ok(_) => None,
        };
        if let Some(refusal) = refusal {
            self.tell(channel, &Frame::Refused(Some(channel), refusal));
            return Ok(());
        }
        if let Some(pending) = self.consent(channel, theirs, Some(signature)).await? {
            self.tell_consent(channel, &pending);
        }
        Ok(())
    }

    /// Whether the other party stands behind it; none until the chain has said so.
    fn is_theirs(
        &mut self,
        channel: ChannelId,
        seq: u64,
        terms: &Terms,
        signature: &Bytes,
    ) -> Option<bool> {
        let (Some(own), Some(words)) = (self.book.get(channel), self.words(channel, seq, terms))
        else {
            return Some(false);
        };
        let account = own.channel.party(self.parts.role.other()).account;
        let question = Question { account, digest: words.digest(), signature: signature.clone() };
        let now = self.now();
        self.checks.stands(channel, &question, now)
    }

    pub(super) async fn on_refused(
        &mut self,
        channel: ChannelId,
        refusal: Refusal,
    ) -> Result<(), NodeError> {
        if self.restores.contains_key(&channel) && refusal == Refusal::NotLive {
            return self.on_restored_by_hub(channel, None).await;
        }
        tracing::warn!(%channel, %refusal, "the hub does not consent");
        self.refusals.insert(channel, refusal);
        Ok(())
    }

    /// Asks again, lets go of what is past, and brings the machine behind an executed withdrawal.
    pub(super) async fn tick_consents(&mut self) -> Result<(), NodeError> {
        let (now, participant) = (self.now(), self.parts.role == Role::Participant);
        let mut ask = Vec::new();
        for (channel, pending) in &mut self.consents {
            let due = now.saturating_sub(pending.asked_ms) >= ASK_EVERY;
            if participant && pending.theirs.is_none() && due {
                pending.asked_ms = now;
                ask.push(*channel);
            }
        }
        ask.into_iter().for_each(|channel| self.ask_consent(channel));
        let of = |wanted: &dyn Fn(&Own, &Pending) -> bool| -> Vec<ChannelId> {
            let all = self.consents.iter();
            let is = |channel: &ChannelId, one: &Pending| {
                self.book.get(*channel).is_some_and(|own| wanted(own, one))
            };
            all.filter(|(channel, one)| is(channel, one)).map(|(channel, _)| *channel).collect()
        };
        // Executed, final: also if this node was killed before it heard so.
        let executed = of(&|own, one| own.seq > one.seq);
        let past = of(&|own, one| own.seq <= one.seq && self.final_s > one.terms.deadline());
        let void = of(&|own, one| own.seq <= one.seq && is_void(own, &one.terms));
        for channel in executed {
            self.on_executed(channel).await?;
        }
        for channel in past {
            tracing::warn!(%channel, "a consent was not executed in time: the channel goes on");
            self.let_go(channel).await?;
        }
        for channel in void {
            tracing::warn!(%channel, "a consent is void: a dispute of the channel is final, and it names another one or none");
            self.let_go(channel).await?;
        }
        let channels: Vec<ChannelId> = self.book.channels().keys().copied().collect();
        for channel in channels {
            self.catch_up(channel).await?;
        }
        self.tick_holds().await
    }

    pub(super) async fn let_go(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        if let Some(gone) = self.consents.remove(&channel) {
            if let Some(words) = self.words(channel, gone.seq, &gone.terms) {
                self.unwanted(&words.digest());
            }
            let gone = NodeChange::Remove(NodeTable::Orders, consent_key(channel));
            self.store(vec![gone]).await?;
        }
        Ok(())
    }

    /// What was agreed on is executed, final. A close that is announced pays when it takes effect.
    pub(super) async fn on_executed(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        self.catch_up(channel).await?;
        let pending = self.consents.get(&channel).map(|pending| (pending.seq, pending.terms));
        self.let_go(channel).await?;
        match pending {
            Some((seq, Terms::Withdraw(_))) => {
                self.collect_after(&format!("withdraw channel {channel} consent {seq}")).await
            }
            Some((_, Terms::Close(_))) | None => Ok(()),
        }
    }

    /// An executed withdrawal used up a nonce: the machine goes on from its state.
    pub(super) async fn catch_up(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let withdrawn = self.book.get(channel).and_then(|own| own.withdrawn);
        let behind = |record: &protocol::zksc::handshake::Record| {
            withdrawn.is_some_and(|one| one.nonce > record.base().nonce)
        };
        if !self.record(channel).is_some_and(behind) {
            return Ok(());
        }
        let Some(one) = withdrawn else { return Ok(()) };
        let state = self.consented_state(channel, one.nonce, one.version, one.balance);
        let Some(state) = state else { return Ok(()) };
        if self.hub.is_some() {
            self.give_hub(hub::Event::Consented(channel, state)).await?;
        } else {
            self.give_wallet(channel, wallet::Event::Consented(state)).await?;
        }
        Ok(())
    }
}

/// Whether a dispute that is final keeps it from ever being executed: a disputed channel never lives again.
fn is_void(own: &Own, terms: &Terms) -> bool {
    let open = own.dispute_final.map(|dispute| dispute.epoch);
    own.standing == Standing::Disputed && open != Some(terms.epoch())
}

pub(super) fn frame(channel: ChannelId, pending: &Pending) -> Frame {
    let (seq, signature) = (pending.seq, pending.mine.clone());
    match pending.terms {
        Terms::Withdraw(terms) => {
            Frame::Withdraw(Box::new(Consent { channel, seq, terms, signature }))
        }
        Terms::Close(terms) => Frame::Close(Box::new(Consent { channel, seq, terms, signature })),
    }
}
