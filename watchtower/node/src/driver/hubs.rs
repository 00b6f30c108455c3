//! The hub's side of an opening: what it offers, and what it accepts.
//!
//! **Invariant:** nothing is consented to before the participant has shown possession of its channel key, and before everything
//! that it fixed on the chain was checked, final.

use alloy_primitives::B256;
use chain::calls::Vip;
use chain::consent::accept_digest;
use gossip::Peer;
use protocol::backup::DisputeKey;
use protocol::hash::Digest;
use protocol::schnorr::keys_digest;
use protocol::vnode::link::{Ask, Frame, Offer, Refusal};
use protocol::zksc::possession;
use protocol::{Amount, ChannelId, Role};
use serde::{Deserialize, Serialize};
use store::NodeTable;

use super::{Driver, fresh};
use crate::error::NodeError;
use crate::rows;
use crate::sender::{Errand, Step};

/// What a hub keeps of a participant that asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Asked {
    deposit: Amount,
    allocation: Amount,
}

fn asked_key(digest: &B256) -> Vec<u8> {
    [b"asked/".as_slice(), digest.as_slice()].concat()
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
        let (digest, asked) = match self.judge(&ask) {
            Ok(judged) => judged,
            Err(refusal) => {
                tracing::info!(%peer, account = %ask.account, %refusal, "a channel is not offered");
                self.tell_peer(peer, &Frame::Refused(None, refusal));
                return Ok(());
            }
        };
        let keys_digest = B256::new(digest.to_bytes());
        let row = rows::put(NodeTable::Notes, asked_key(&keys_digest), &asked)?;
        self.store(vec![row]).await?;
        let key = self.parts.keys.signer.channel_key();
        let offer = Offer {
            keys_digest,
            possession: possession::prove(Role::Counterparty, key, &digest, &fresh()),
            allocation: asked.allocation,
            max_update: self.parts.policy.max_update,
        };
        self.tell_peer(peer, &Frame::Offer(Box::new(offer)));
        Ok(())
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
        if self.book.channels().len() >= policy.channels_max {
            return Err(Refusal::Full);
        }
        let ours = self.parts.keys.signer.channel_key().public_key();
        let digest = keys_digest(&ask.key, ours).map_err(|_same| Refusal::Possession)?;
        possession::verify(Role::Participant, &ask.key, &digest, &ask.possession)
            .map_err(|_forged| Refusal::Possession)?;
        let allocation = self.parts.policy.allocation(ask.deposit);
        Ok((digest, Asked { deposit: ask.deposit, allocation }))
    }

    pub(super) async fn consider(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        match self.acceptance(channel) {
            Ok(errand) => self.begin_errand(errand, Vec::new()).await,
            Err(reason) => {
                tracing::warn!(%channel, reason, "not accepted; its participant can cancel whole");
                Ok(())
            }
        }
    }

    /// Checks everything that the participant fixed, and signs the consent.
    fn acceptance(&self, channel: ChannelId) -> Result<Errand, String> {
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
        let asked = rows::get::<Asked>(&self.parts.store, NodeTable::Notes, &asked_key(&key))
            .map_err(|error| error.to_string())?
            .ok_or("its participant never showed possession of its channel key")?;
        if opened.deposit != asked.deposit {
            return Err(format!("its deposit is {}, not {}", opened.deposit, asked.deposit));
        }
        if opened.accept_by <= self.chain_s {
            return Err("its time to be accepted is over".to_owned());
        }
        DisputeKey::of(known, Role::Counterparty, keys.signer.channel_key())
            .map_err(|error| error.to_string())?;
        let digest =
            accept_digest(&known.session_domain(), opened, asked.allocation, opened.accept_by);
        let consent = keys.account.sign_digest(&digest).map_err(|error| error.to_string())?;
        let call = Vip::new(vip).accept(channel, asked.allocation, opened.accept_by, consent);
        let deadline = Some(opened.accept_by);
        let steps = vec![Step { call, repeat_safe: true, deadline }];
        Ok(Errand::new(accept_name(channel), steps))
    }
}

fn keys_note(digest: &Digest) -> B256 {
    B256::new(digest.to_bytes())
}
