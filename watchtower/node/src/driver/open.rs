//! Opening a channel, from both ends, each checking everything itself.
//!
//! ```text
//!   participant: Asking --Offer--> Sending (approve, open) --event, final--> Waiting --Accepted, final--> Live
//!   hub:         Ask: possession on record, Offer    ...    Opened, final: checked, consent, accept
//! ```
//!
//! **Invariant:** nothing is paid in before the hub has shown possession of its channel key, and nothing consented to before the
//! participant has.

use alloy_primitives::{B256, U256};
use chain::calls::{Call, Erc20, OpenRequest, Vipe};
use gossip::Peer;
use protocol::backup::DisputeKey;
use protocol::hash::Digest;
use protocol::schnorr::keys_digest;
use protocol::vnode::link::{Ask, Frame, Offer, Refusal};
use protocol::zksc::possession;
use protocol::{Amount, ChannelId, Role};
use serde::{Deserialize, Serialize};
use store::{NodeChange, NodeTable};

use super::hubs::accept_name;
use super::start::HUB;
use super::{Driver, fresh};
use crate::book::Standing;
use crate::error::{ApiError, NodeError};
use crate::invite::Invitation;
use crate::rows;
use crate::sender::{Errand, State, Step};

/// How long the participant leaves the hub to accept, in seconds of the chain: past it the deposit is taken back whole.
const ACCEPT_WITHIN_S: u64 = 3_600;
/// Between two askings of a hub, in milliseconds.
const ASK_EVERY: u64 = 2_000;
/// Hubs known and openings under way, at most.
const OPENINGS_MAX: usize = 256;

/// How far an opening has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// The hub is asked.
    Asking,
    /// The transactions are on their way.
    Sending,
    /// Open, final; the hub must accept.
    Waiting,
    /// In use.
    Live,
    /// It does not take place; nothing is lost but gas.
    Failed(String),
}

/// One opening, durable before anything is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// The hub.
    pub(crate) invitation: String,
    /// What the participant puts in.
    pub(crate) deposit: Amount,
    /// What the hub's pool will put in, once it said so.
    pub(crate) allocation: Option<Amount>,
    /// With it the dispute key is derived.
    pub(crate) salt: B256,
    /// Names the opening: the vault takes it once.
    pub(crate) dispute_hash: B256,
    /// The digest of both channel keys.
    pub(crate) keys_digest: B256,
    /// How far it has come.
    pub(crate) stage: Stage,
    /// The channel, once the chain has named it.
    pub(crate) channel: Option<ChannelId>,
    #[serde(skip)]
    asked_ms: u64,
}

impl Opening {
    /// Whether anything of it is still to come.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.stage, Stage::Live | Stage::Failed(_))
    }
}

fn opening_row(opening: &Opening) -> Result<NodeChange, NodeError> {
    let key = [b"open/".as_slice(), opening.dispute_hash.as_slice()].concat();
    Ok(rows::put(NodeTable::Orders, key, opening)?)
}

impl Driver {
    /// Participant: a person wants a channel. Asking again for the same hub continues what is under way.
    pub(super) async fn open(
        &mut self,
        text: &str,
        deposit: Amount,
        another: bool,
    ) -> Result<Result<Opening, ApiError>, NodeError> {
        let invitation = match self.check_invitation(text) {
            Ok(invitation) => invitation,
            Err(error) => return Ok(Err(error)),
        };
        let under_way = self.openings.values().find(|one| {
            let theirs = one.invitation.parse::<Invitation>();
            let is_hub = theirs.is_ok_and(|theirs| theirs.account == invitation.account);
            let is_past = matches!(one.stage, Stage::Failed(_)) || self.has_ended(one);
            let is_enough = !another || one.stage != Stage::Live;
            is_hub && !is_past && is_enough
        });
        if let Some(opening) = under_way {
            return Ok(Ok(opening.clone()));
        }
        if self.openings.len() >= OPENINGS_MAX {
            return Ok(Err(ApiError::refused("too many openings on record")));
        }
        let opening = match self.new_opening(&invitation, deposit) {
            Ok(opening) => opening,
            Err(error) => return Ok(Err(ApiError::bad(error))),
        };
        if let Err(error) = self.meet(invitation, Some(opening.clone())).await? {
            return Ok(Err(error));
        }
        Ok(Ok(opening))
    }

    /// Whether the channel of an opening is over.
    fn has_ended(&self, opening: &Opening) -> bool {
        let own = opening.channel.and_then(|channel| self.book.get(channel));
        own.is_some_and(|own| matches!(own.standing, Standing::Over | Standing::Cancelled))
    }

    /// Participant: dials a hub from now on, also after the next start. What is wanted of it is on record in the same turn: an
    /// opening whose hub is not known would be asked for never.
    async fn meet(
        &mut self,
        hub: Invitation,
        wanted: Option<Opening>,
    ) -> Result<Result<(), ApiError>, NodeError> {
        let Some(peer) = hub.place.peer() else {
            return Ok(Err(ApiError::bad("the hub's address does not name its peer")));
        };
        let key = [HUB, hub.account.as_slice()].concat();
        let mut turn = vec![rows::put(NodeTable::Notes, key, &hub.to_string())?];
        turn.extend(wanted.as_ref().map(opening_row).transpose()?);
        self.store(turn).await?;
        self.openings.extend(wanted.map(|opening| (opening.dispute_hash, opening)));
        self.hubs.retain(|_, known| known.account != hub.account);
        self.hubs.insert(peer, hub.clone());
        if let Err(error) = self.parts.link.keep(hub.place) {
            return Ok(Err(ApiError::busy(error)));
        }
        let channels: Vec<ChannelId> = self.book.channels().keys().copied().collect();
        channels.into_iter().for_each(|channel| self.find_hub(channel));
        self.ask_for_openings(peer);
        Ok(Ok(()))
    }

    /// Participant: a person names the hub of channels that were restored.
    pub(super) async fn introduce(
        &mut self,
        text: &str,
    ) -> Result<Result<serde_json::Value, ApiError>, NodeError> {
        let hub = match self.check_invitation(text) {
            Ok(hub) => hub,
            Err(error) => return Ok(Err(error)),
        };
        Ok(self.meet(hub, None).await?.map(|()| self.show_restores()))
    }

    fn check_invitation(&self, text: &str) -> Result<Invitation, ApiError> {
        if self.parts.role != Role::Participant {
            return Err(ApiError::role(
                "a hub opens no channels: it accepts those of participants",
            ));
        }
        let invitation: Invitation = text
            .parse()
            .map_err(|error| ApiError::bad(format!("the invitation cannot be used: {error}")))?;
        let site = self.parts.site;
        if (invitation.chain_id, invitation.vipe) != (site.chain_id, site.vipe) {
            return Err(ApiError::bad(format!(
                "the invitation is for vault {} on chain {}, this node is of {} on {}",
                invitation.vipe, invitation.chain_id, site.vipe, site.chain_id
            )));
        }
        if invitation.asset != site.asset {
            return Err(ApiError::bad(format!(
                "the invitation is for asset {}, this node deals in {}",
                invitation.asset, site.asset
            )));
        }
        if invitation.account == self.parts.keys.account.address() {
            return Err(ApiError::bad("the invitation is this node's own account's"));
        }
        Ok(invitation)
    }

    fn new_opening(&self, hub: &Invitation, deposit: Amount) -> Result<Opening, String> {
        let key = self.parts.keys.signer.channel_key();
        let salt = B256::new(fresh());
        let secret = DisputeKey::derive(key, &hub.key, &salt).map_err(|error| error.to_string())?;
        let digest = keys_digest(key.public_key(), &hub.key).map_err(|error| error.to_string())?;
        Ok(Opening {
            invitation: hub.to_string(),
            deposit,
            allocation: None,
            salt,
            dispute_hash: secret.hash(),
            keys_digest: B256::new(digest.to_bytes()),
            stage: Stage::Asking,
            channel: None,
            asked_ms: 0,
        })
    }

    /// Participant: asks this hub for everything that is wanted of it.
    pub(super) fn ask_for_openings(&self, peer: Peer) {
        let Some(hub) = self.hubs.get(&peer) else { return };
        let keys = &self.parts.keys;
        for opening in self.openings.values() {
            let theirs = opening.invitation.parse::<Invitation>();
            let ours = theirs.is_ok_and(|theirs| theirs.account == hub.account);
            if !ours || opening.stage != Stage::Asking {
                continue;
            }
            let Ok(digest) = Digest::from_bytes(&opening.keys_digest.0) else { continue };
            let ask = Ask {
                domain: hub.domain(),
                account: keys.account.address(),
                key: *keys.signer.channel_key().public_key(),
                session: keys.signer.session_address(),
                deposit: opening.deposit,
                possession: Ask::possession(keys.signer.channel_key(), &digest, &fresh()),
            };
            self.tell_peer(peer, &Frame::Ask(Box::new(ask)));
        }
    }

    /// Participant: the hub will accept. Its possession is checked before anything is paid in.
    pub(super) async fn on_offer(&mut self, peer: Peer, offer: Offer) -> Result<(), NodeError> {
        let Some(hub) = self.hubs.get(&peer).cloned() else { return Ok(()) };
        let wanted = self
            .openings
            .values()
            .find(|one| one.keys_digest == offer.keys_digest && one.stage == Stage::Asking);
        let Some(mut opening) = wanted.cloned() else { return Ok(()) };
        let Ok(digest) = Digest::from_bytes(&opening.keys_digest.0) else { return Ok(()) };
        let shown = possession::verify(Role::Counterparty, &hub.key, &digest, &offer.possession);
        if let Err(error) = shown {
            tracing::error!(%peer, %error, "the hub does not show possession of its channel key: nothing is paid in");
            return Ok(());
        }
        if let Err(stale) = self.view_words() {
            tracing::warn!(%peer, stale, "the hub offers a channel: it is asked again once the chain is seen");
            return Ok(());
        }
        opening.allocation = Some(offer.allocation);
        opening.stage = Stage::Sending;
        let calls = match self.opening_calls(&hub, &opening) {
            Ok(calls) => calls,
            Err(reason) => return self.fail(opening, reason).await,
        };
        let name = format!("open {}", opening.dispute_hash);
        let row = opening_row(&opening)?;
        self.openings.insert(opening.dispute_hash, opening);
        self.begin_errand(Errand::new(name, calls).approving(), vec![row]).await
    }

    fn opening_calls(&self, hub: &Invitation, opening: &Opening) -> Result<Vec<Step>, String> {
        let keys = &self.parts.keys;
        let request = OpenRequest {
            counterparty: hub.account,
            vip: hub.vip,
            asset: hub.asset,
            participant_key: keys.signer.channel_key().public_key().to_integers(),
            counterparty_key: hub.key.to_integers(),
            keys_digest: opening.keys_digest,
            participant_session: keys.signer.session_address(),
            counterparty_session: hub.session,
            dispute_hash: opening.dispute_hash,
            salt: opening.salt,
            rate: hub.rate.get(),
            deposit: opening.deposit,
            accept_by: self.chain_s.saturating_add(ACCEPT_WITHIN_S),
        };
        let open = Vipe::new(hub.vipe).open(&request).map_err(|error| error.to_string())?;
        // The deposit is not paid in late: the hub refuses what it can hardly accept in time.
        let deadline = Some(self.chain_s.saturating_add(ACCEPT_WITHIN_S / 2));
        let steps = [self.approval(opening.deposit), step(open, true)];
        Ok(steps.into_iter().map(|one| Step { deadline, ..one }).collect())
    }

    /// Lets the vault take an amount; a repetition changes nothing.
    pub(super) fn approval(&self, amount: Amount) -> Step {
        let token = Erc20::new(self.parts.site.asset);
        step(token.approve(self.parts.site.vipe, U256::from(amount.get())), true)
    }

    pub(super) async fn on_not_opened(
        &mut self,
        peer: Peer,
        refusal: Refusal,
    ) -> Result<(), NodeError> {
        let Some(hub) = self.hubs.get(&peer) else { return Ok(()) };
        if refusal == Refusal::Stale {
            // It is asked again.
            return Ok(());
        }
        let account = hub.account;
        let asked = self.openings.values().find(|one| {
            let theirs = one.invitation.parse::<Invitation>();
            one.stage == Stage::Asking && theirs.is_ok_and(|hub| hub.account == account)
        });
        match asked.cloned() {
            Some(opening) => self.fail(opening, format!("the hub refuses: {refusal}")).await,
            None => Ok(()),
        }
    }

    async fn fail(&mut self, mut opening: Opening, reason: String) -> Result<(), NodeError> {
        tracing::warn!(reason, "a channel is not opened");
        opening.stage = Stage::Failed(reason);
        self.store(vec![opening_row(&opening)?]).await?;
        self.openings.insert(opening.dispute_hash, opening);
        Ok(())
    }

    pub(super) async fn tick_openings(&mut self) -> Result<(), NodeError> {
        let now = self.now();
        let mut peers = Vec::new();
        for opening in self.openings.values_mut() {
            if opening.stage == Stage::Asking && now.saturating_sub(opening.asked_ms) >= ASK_EVERY {
                opening.asked_ms = now;
                let hub = opening.invitation.parse::<Invitation>();
                peers.extend(hub.ok().and_then(|hub| hub.place.peer()));
            }
        }
        peers.into_iter().for_each(|peer| self.ask_for_openings(peer));
        let failed: Vec<(Opening, String)> = self
            .openings
            .values()
            .filter(|one| one.stage == Stage::Sending)
            .filter_map(|one| {
                let errand = self.errands.get(&format!("open {}", one.dispute_hash))?;
                match &errand.state {
                    State::Failed(reason) => Some((one.clone(), reason.clone())),
                    _ => None,
                }
            })
            .collect();
        for (opening, reason) in failed {
            self.fail(opening, reason).await?;
        }
        Ok(())
    }

    /// Participant: the chain has named the channel.
    pub(super) async fn opened(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        self.moved(channel, Stage::Waiting).await
    }

    /// The channel lives.
    pub(super) async fn lived(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        self.moved(channel, Stage::Live).await
    }

    async fn moved(&mut self, channel: ChannelId, stage: Stage) -> Result<(), NodeError> {
        let hash = self.book.get(channel).map(|own| own.opened.dispute_hash);
        let Some(opening) = hash.and_then(|hash| self.openings.get_mut(&hash)) else {
            return Ok(());
        };
        if opening.stage == stage && opening.channel == Some(channel) {
            return Ok(());
        }
        opening.stage = stage;
        opening.channel = Some(channel);
        let row = opening_row(opening)?;
        self.store(vec![row]).await
    }

    /// Whether this disk witnessed the opening. Only while this process saw the chain's head before the channel lived does a
    /// missing record mean that nothing was ever signed: a disk can be copied back.
    pub(super) fn was_opened_here(&self, channel: ChannelId) -> bool {
        let hash = self.book.get(channel).map(|own| own.opened.dispute_hash);
        hash.is_some_and(|hash| self.openings.contains_key(&hash))
            || self.errands.contains_key(&accept_name(channel))
    }
}

pub(super) fn step(call: Call, repeat_safe: bool) -> Step {
    Step { call, repeat_safe, deadline: None }
}
