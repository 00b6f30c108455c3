//! The hub's side of an opening: what it offers, and what it accepts.
//!
//! **Invariant:** nothing is consented to before the participant has shown possession of its channel key, and before everything
//! that it fixed on the chain was checked, final.

use alloy_primitives::{Address, B256, U256};
use chain::calls::Vip;
use chain::consent::accept_consent;
use gossip::Peer;
use protocol::backup::DisputeKey;
use protocol::hash::Digest;
use protocol::schnorr::keys_digest;
use protocol::vnode::link::{Ask, Frame, Offer, Refusal};
use protocol::zksc::possession;
use protocol::{Amount, ChannelId, Role};
use serde::{Deserialize, Serialize};
use store::{NodeChange, NodeTable};

use super::{Driver, Owner, fresh, seconds};
use crate::book::{Own, Standing};
use crate::error::NodeError;
use crate::rows;
use crate::sender::{Errand, State, Step};

/// Under which notes stands what was asked for.
pub(super) const ASKED: &[u8] = b"asked/";
/// Between two looks for openings that were never made, in milliseconds.
const SWEEP_EVERY: u64 = 60_000;

/// After so long an opening that was asked for and not made is forgotten, in seconds: twice what an opening has to be accepted.
const ASKED_FOR_S: u64 = 7_200;
/// Openings that were asked for and are remembered; at the bound none is offered. Above what the budget for strangers lets in
/// within the time above.
const ASKED_MAX: usize = 400_000;

/// What a hub keeps of a participant that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    account: Address,
    session: Address,
    deposit: Amount,
    allocation: Amount,
    /// Seconds since 1970.
    at_s: u64,
}

fn asked_key(digest: &B256) -> Vec<u8> {
    [ASKED, digest.as_slice()].concat()
}

pub(super) fn accept_name(channel: ChannelId) -> String {
    format!("accept channel {channel}")
}

/// The hub's own side: a channel that names it is open, final.
impl Driver {
    /// Hub: a participant wants a channel. Its possession is checked and kept before the hub says yes.
    pub(super) async fn on_ask(&mut self, peer: Peer, ask: Ask) -> Result<(), NodeError> {
        if self.parts.role != Role::Counterparty {
            return Ok(());
        }
        let now = self.now();
        if !self.strangers.may_ask(peer, now) {
            // It asks again.
            return Ok(());
        }
        let (digest, asked) = match self.judge(&ask) {
            Ok(judged) => judged,
            Err(refusal) => {
                tracing::info!(%peer, account = %ask.account, %refusal, "a channel is not offered");
                self.tell_peer(peer, &Frame::Refused(None, refusal));
                return Ok(());
            }
        };
        let keys_digest = B256::new(digest.to_bytes());
        let key = self.parts.keys.signer.channel_key();
        let offer = Offer {
            keys_digest,
            possession: possession::prove(Role::Counterparty, key, &digest, &fresh()),
            allocation: asked.allocation,
            max_update: self.parts.policy.max_update,
        };
        let same = self
            .asked
            .get(&keys_digest)
            .is_some_and(|one| Asked { at_s: 0, ..*one } == Asked { at_s: 0, ..asked });
        if same {
            self.tell_peer(peer, &Frame::Offer(Box::new(offer)));
            return Ok(());
        }
        self.asked.insert(keys_digest, asked);
        let row = rows::put(NodeTable::Notes, asked_key(&keys_digest), &asked)?;
        self.offers.push_back((peer, Box::new(offer)));
        // The offer leaves once its reason is durable; nothing else waits for that.
        self.write((Owner::Offer, 0, Vec::new()), vec![row]).await
    }

    /// The oldest offer that waited for the disk may leave: turns arrive in their order.
    pub(super) fn on_offer_durable(&mut self) {
        if let Some((peer, offer)) = self.offers.pop_front() {
            self.tell_peer(peer, &Frame::Offer(offer));
        }
    }

    /// Forgets openings that were asked for and not made.
    pub(super) async fn tick_asked(&mut self) -> Result<(), NodeError> {
        let now = self.now();
        if self.parts.role != Role::Counterparty
            || now.saturating_sub(self.asked_swept_ms) < SWEEP_EVERY
        {
            return Ok(());
        }
        self.asked_swept_ms = now;
        let floor = seconds().saturating_sub(ASKED_FOR_S);
        let old: Vec<B256> =
            self.asked.iter().filter(|(_, one)| one.at_s < floor).map(|(key, _)| *key).collect();
        if old.is_empty() {
            return Ok(());
        }
        let gone = |key: &B256| NodeChange::Remove(NodeTable::Notes, asked_key(key));
        let turn = old.iter().map(gone).collect();
        for key in &old {
            self.asked.remove(key);
        }
        self.write((Owner::Nobody, 0, Vec::new()), turn).await
    }

    fn judge(&self, ask: &Ask) -> Result<(Digest, Asked), Refusal> {
        let policy = &self.parts.policy.hub;
        let site = self.parts.site;
        if ask.domain != protocol::Domain::derive(site.chain_id, site.vipe) {
            return Err(Refusal::OtherVault);
        }
        if !(policy.deposit_min..=policy.deposit_max).contains(&ask.deposit) {
            return Err(Refusal::Deposit);
        }
        if self.count_channels() >= policy.channels_max || self.asked.len() >= ASKED_MAX {
            return Err(Refusal::Full);
        }
        let ours = self.parts.keys.signer.channel_key().public_key();
        let digest = keys_digest(&ask.key, ours).map_err(|_same| Refusal::Possession)?;
        possession::verify(Role::Participant, &ask.key, &digest, &ask.possession)
            .map_err(|_forged| Refusal::Possession)?;
        let allocation = self.parts.policy.allocation(ask.deposit);
        if allocation > Amount::ZERO && self.idle.is_none() {
            // The pool was not seen yet: it is asked again.
            return Err(Refusal::Stale);
        }
        if !self.can_allocate(allocation) {
            return Err(Refusal::Liquidity);
        }
        let asked = Asked {
            account: ask.account,
            session: ask.session,
            deposit: ask.deposit,
            allocation,
            at_s: seconds(),
        };
        Ok((digest, asked))
    }

    /// Channels that are not over.
    fn count_channels(&self) -> usize {
        let ended = |own: &&Own| matches!(own.standing, Standing::Over | Standing::Cancelled);
        self.book.channels().values().filter(|own| !ended(own)).count()
    }

    /// Whether the pool's idle capital, as far as it was seen, holds this beside what was promised to channels that are being
    /// accepted.
    pub(super) fn can_allocate(&self, allocation: Amount) -> bool {
        let promised = self.book.channels().iter().filter_map(|(id, own)| {
            let is_under_way = self
                .errands
                .get(&accept_name(*id))
                .is_some_and(|errand| errand.state == State::Running);
            let key = keys_note(own.channel.keys_digest());
            self.asked.get(&key).filter(|_| is_under_way).map(|asked| asked.allocation)
        });
        let wanted = promised.fold(U256::from(allocation.get()), |sum, one| {
            sum.saturating_add(U256::from(one.get()))
        });
        allocation == Amount::ZERO || self.idle.is_some_and(|idle| wanted <= idle)
    }

    pub(super) async fn consider(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        match self.acceptance(channel) {
            Ok(Some(errand)) => self.begin_errand(errand, Vec::new()).await,
            Ok(None) => {
                // It is looked at again.
                self.signing.accepting.insert(channel);
                Ok(())
            }
            Err(reason) => {
                tracing::warn!(%channel, reason, "not accepted; its participant can cancel whole");
                Ok(())
            }
        }
    }

    /// Checks everything that the participant fixed, and signs the consent.
    fn acceptance(&mut self, channel: ChannelId) -> Result<Option<Errand>, String> {
        let own = self.book.get(channel).ok_or("it is not known")?;
        let (policy, site, keys) = (&self.parts.policy.hub, self.parts.site, &self.parts.keys);
        let (known, opened) = (&own.channel, &own.opened);
        let vip = site.vip.ok_or("this hub has no pool")?;
        if !keys.signer.is_of(known)
            || known.role_of(keys.account.address()) != Some(Role::Counterparty)
        {
            return Err("its keys are not this hub's".to_owned());
        }
        if opened.vip != vip || opened.asset != site.asset {
            return Err("its pool or asset is not this hub's".to_owned());
        }
        if known.rate() != policy.rate {
            return Err(format!("its rate is {}, not {}", known.rate(), policy.rate));
        }
        let key = keys_note(known.keys_digest());
        let asked = self
            .asked
            .get(&key)
            .ok_or("its participant never showed possession of its channel key")?;
        if (opened.participant, opened.participant_session) != (asked.account, asked.session) {
            return Err("its account or session key is not the one that asked".to_owned());
        }
        if self.count_channels() > policy.channels_max {
            return Err("there are as many channels as the policy allows".to_owned());
        }
        if opened.deposit != asked.deposit {
            return Err(format!("its deposit is {}, not {}", opened.deposit, asked.deposit));
        }
        if opened.accept_by <= self.chain_s {
            return Err("its time to be accepted is over".to_owned());
        }
        if !self.can_allocate(asked.allocation) {
            // Others were accepted meanwhile; capital may come back before its time is over.
            tracing::warn!(%channel, "the pool has too little idle capital to accept it now");
            return Ok(None);
        }
        DisputeKey::of(known, Role::Counterparty, keys.signer.channel_key())
            .map_err(|error| error.to_string())?;
        let (allocation, accept_by) = (asked.allocation, opened.accept_by);
        let words = accept_consent(&known.session_domain(), opened, allocation, accept_by);
        let Some(consent) = self.signature(&words) else { return Ok(None) };
        let call = Vip::new(vip).accept(channel, allocation, accept_by, consent);
        let steps = vec![Step { call, repeat_safe: true, deadline: Some(accept_by) }];
        Ok(Some(Errand::new(accept_name(channel), steps)))
    }
}

fn keys_note(digest: &Digest) -> B256 {
    B256::new(digest.to_bytes())
}
