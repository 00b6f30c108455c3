//! The hub's side of an opening: what it offers, and what it accepts.
//!
//! **Invariant:** nothing is consented to before the participant has shown possession of its channel key, and before everything
//! that it fixed on the chain was checked, final.

use alloy_primitives::{Address, B256, U256};
use chain::calls::Vip;
use chain::consent::accept_consent;
use chain::events::ChannelOpened;
use gossip::Peer;
use protocol::backup::DisputeKey;
use protocol::hash::Digest;
use protocol::schnorr::keys_digest;
use protocol::vnode::link::{Ask, Frame, Offer, Refusal};
use protocol::zksc::{Channel, possession};
use protocol::{Amount, ChannelId, Role};
use serde::{Deserialize, Serialize};
use store::{NodeChange, NodeTable};

use super::{Driver, Owner, fresh, seconds};
use crate::book::{Own, Standing, is_accepted, is_cancelled};
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
        let mut turn = self.forget_unaccepted();
        if old.is_empty() && turn.is_empty() {
            return Ok(());
        }
        turn.extend(old.iter().map(|key| NodeChange::Remove(NodeTable::Notes, asked_key(key))));
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
        // Whoever has opened already has paid in for real, and goes first.
        if !self.can_allocate(allocation, &self.seen()) {
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

    /// Channels that live, and those that are being accepted: anybody can open others that name this hub.
    pub(super) fn count_channels(&self) -> usize {
        let counts = |(id, own): &(&ChannelId, &Own)| match own.standing {
            Standing::Live | Standing::Disputed => true,
            Standing::Open => self.is_accepting(**id),
            Standing::Over | Standing::Cancelled => false,
        };
        self.book.channels().iter().filter(counts).count()
    }

    fn is_accepting(&self, channel: ChannelId) -> bool {
        let errand = self.errands.get(&accept_name(channel));
        errand.is_some_and(|errand| errand.state == State::Running)
    }

    /// Channels that can never be accepted are forgotten: those of other keys than this hub's, and those whose time was over
    /// before a block that is final.
    pub(super) fn forget_unaccepted(&mut self) -> Vec<NodeChange> {
        let signer = &self.parts.keys.signer;
        let late = |own: &Own| self.final_s > own.opened.accept_by;
        let gone = |(id, own): &(&ChannelId, &Own)| {
            let open = own.standing == Standing::Open && !self.is_accepting(**id);
            open && self.caught_up && (late(own) || !signer.is_of(&own.channel))
        };
        let gone: Vec<ChannelId> =
            self.book.channels().iter().filter(gone).map(|(id, _)| *id).collect();
        gone.iter().for_each(|id| self.book.forget(*id));
        gone.into_iter().map(|id| NodeChange::Remove(NodeTable::Chain, rows::key(id))).collect()
    }

    /// Whether the pool's idle capital, as far as it was seen, holds this beside what is promised to these channels.
    pub(super) fn can_allocate(&self, allocation: Amount, promised: &[Amount]) -> bool {
        let wanted = promised.iter().fold(U256::from(allocation.get()), |sum, one| {
            sum.saturating_add(U256::from(one.get()))
        });
        allocation == Amount::ZERO || self.idle.is_some_and(|idle| wanted <= idle)
    }

    /// What the pool is to put into channels whose acceptance is on its way: once it is on the chain, the capital is no longer idle.
    pub(super) fn accepting(&self) -> Vec<Amount> {
        let is_under_way =
            |id: ChannelId| self.is_accepting(id) && !self.book.is_seen(id, is_accepted);
        let open = self.book.channels().iter().filter(|(id, _)| is_under_way(**id));
        open.filter_map(|(_, own)| self.asked.get(&keys_note(own.channel.keys_digest())))
            .map(|asked| asked.allocation)
            .collect()
    }

    /// The same, and what it is to put into channels that are open on the chain as this hub would accept them, final or not. Their
    /// participants have paid in: nobody holds the pool's capital with words alone.
    fn seen(&self) -> Vec<Amount> {
        let would = |known: &Channel, opened: &ChannelOpened| {
            self.fitting(known, opened).ok().map(|asked| asked.allocation)
        };
        let waits = |id: &ChannelId, own: &Own| {
            own.standing == Standing::Open
                && !self.errands.contains_key(&accept_name(*id))
                && !self.book.is_seen(*id, is_cancelled)
        };
        let open = self.book.channels().iter().filter(|(id, own)| waits(id, own));
        let open = open.filter_map(|(_, own)| would(&own.channel, &own.opened));
        let new = self.book.opening().filter_map(|(known, opened)| would(&known, opened));
        self.accepting().into_iter().chain(open).chain(new).collect()
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
        if own.standing != Standing::Open {
            return Err("it is not open any more".to_owned());
        }
        let (known, opened) = (&own.channel, &own.opened);
        let asked = self.fitting(known, opened)?;
        if self.count_channels() >= self.parts.policy.hub.channels_max {
            return Err("there are as many channels as the policy allows".to_owned());
        }
        if !self.can_allocate(asked.allocation, &self.accepting()) {
            // Others were accepted meanwhile; capital may come back before its time is over.
            tracing::warn!(%channel, "the pool has too little idle capital to accept it now");
            return Ok(None);
        }
        let key = self.parts.keys.signer.channel_key();
        DisputeKey::of(known, Role::Counterparty, key).map_err(|error| error.to_string())?;
        let (allocation, accept_by, vip) = (asked.allocation, opened.accept_by, opened.vip);
        let words = accept_consent(&known.session_domain(), opened, allocation, accept_by);
        let Some(consent) = self.signature(&words) else { return Ok(None) };
        let call = Vip::new(vip).accept(channel, allocation, accept_by, consent);
        let steps = vec![Step { call, repeat_safe: true, deadline: Some(accept_by) }];
        Ok(Some(Errand::new(accept_name(channel), steps)))
    }

    /// What was asked for, if the channel is exactly that and this hub's own.
    fn fitting(&self, known: &Channel, opened: &ChannelOpened) -> Result<Asked, String> {
        let (policy, site, keys) = (&self.parts.policy.hub, self.parts.site, &self.parts.keys);
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
        let asked = self
            .asked
            .get(&keys_note(known.keys_digest()))
            .ok_or("its participant never showed possession of its channel key")?;
        if (opened.participant, opened.participant_session) != (asked.account, asked.session) {
            return Err("its account or session key is not the one that asked".to_owned());
        }
        if opened.deposit != asked.deposit {
            return Err(format!("its deposit is {}, not {}", opened.deposit, asked.deposit));
        }
        if opened.accept_by <= self.chain_s {
            return Err("its time to be accepted is over".to_owned());
        }
        Ok(*asked)
    }
}

fn keys_note(digest: &Digest) -> B256 {
    B256::new(digest.to_bytes())
}
