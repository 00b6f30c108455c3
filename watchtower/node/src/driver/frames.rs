//! What comes over the link: who speaks for which channel, and what is for which machine.
//!
//! **Invariant:** a frame about a channel counts only from the peer that speaks for it: shown by its [`Hello`] at a hub, named by
//! the invitation at a participant.

use gossip::Peer;
use gossip::link::LinkEvent;
use protocol::payment::{hub, wallet};
use protocol::vnode::link::{Frame, Hello, Refusal, Welcome};
use protocol::zksc::UnverifiedFinal;
use protocol::{ChannelId, Role};

use super::Driver;
use crate::book::Standing;
use crate::error::NodeError;

/// Between two hellos, in milliseconds.
const HELLO_EVERY: u64 = 5_000;

impl Driver {
    pub(super) async fn on_link(&mut self, event: LinkEvent) -> Result<(), NodeError> {
        match event {
            LinkEvent::Up(peer) => {
                tracing::info!(%peer, "connected");
                if self.parts.role == Role::Participant {
                    self.say_hello(peer);
                    self.ask_for_openings(peer);
                }
                Ok(())
            }
            LinkEvent::Home(peer, ip) => {
                self.strangers.comes_from(peer, ip);
                Ok(())
            }
            LinkEvent::Down(peer) => {
                tracing::info!(%peer, "disconnected");
                self.strangers.forget(peer);
                if self.parts.role == Role::Counterparty {
                    self.peers.retain(|_, speaker| *speaker != peer);
                }
                Ok(())
            }
            LinkEvent::Frame(peer, bytes) => match Frame::from_bytes(&bytes) {
                Ok(frame) => self.on_frame(peer, frame).await,
                Err(error) => {
                    tracing::debug!(%peer, %error, "bytes that are no frame");
                    self.strike(peer);
                    Ok(())
                }
            },
        }
    }

    /// Says hello again now and then: a hub whose view of the chain was behind did not know the channel the first time.
    pub(super) fn tick_hellos(&mut self) {
        let now = self.now();
        if self.parts.role == Role::Participant && now.saturating_sub(self.hello_ms) >= HELLO_EVERY
        {
            self.hello_ms = now;
            let hubs: std::collections::BTreeSet<Peer> = self.peers.values().copied().collect();
            hubs.into_iter().for_each(|hub| self.say_hello(hub));
        }
    }

    /// Speaks for every channel with this hub.
    fn say_hello(&self, hub: Peer) {
        for (channel, peer) in &self.peers {
            if *peer == hub {
                self.hello(*channel, hub);
            }
        }
    }

    pub(super) fn hello(&self, channel: ChannelId, hub: Peer) {
        let Some(own) = self.book.get(channel) else { return };
        let names = (self.parts.link.me().to_bytes(), hub.to_bytes());
        let domain = own.channel.domain();
        match Hello::sign(&domain, channel, &self.parts.keys.signer, (&names.0, &names.1)) {
            Ok(hello) => self.tell_peer(hub, &Frame::Hello(hello)),
            Err(error) => tracing::error!(%channel, %error, "no hello"),
        }
    }

    pub(super) async fn on_frame(&mut self, peer: Peer, frame: Frame) -> Result<(), NodeError> {
        match frame {
            Frame::Ask(ask) => return self.on_ask(peer, *ask).await,
            Frame::Offer(offer) => return self.on_offer(peer, *offer).await,
            Frame::Refused(None, refusal) => return self.on_not_opened(peer, refusal).await,
            Frame::Hello(hello) => {
                self.on_hello(peer, hello);
                return Ok(());
            }
            _ => {}
        }
        let Some(channel) = frame.channel() else { return Ok(()) };
        if self.peers.get(&channel) != Some(&peer) {
            if self.parts.role == Role::Counterparty {
                self.tell_peer(peer, &Frame::Who(channel));
            }
            return Ok(());
        }
        self.on_channel_frame(peer, channel, frame).await
    }

    fn on_hello(&mut self, peer: Peer, hello: Hello) {
        if self.peers.get(&hello.channel) == Some(&peer) {
            return;
        }
        let (from, to) = (peer.to_bytes(), self.parts.link.me().to_bytes());
        // A hub whose view of the chain is behind says nothing: "not live" would be believed by a participant that restores.
        let Some(own) = self.book.get(hello.channel) else { return };
        match hello.verify(&own.channel, &from, &to) {
            Ok(()) => {
                self.peers.insert(hello.channel, peer);
                let policy = &self.parts.policy;
                let welcome = Welcome { fee: policy.hub.fee, max_update: policy.max_update };
                self.tell_peer(peer, &Frame::Welcome(hello.channel, welcome));
            }
            Err(error) => {
                tracing::debug!(%peer, channel = %hello.channel, %error, "a hello that is not the participant's");
                self.strike(peer);
            }
        }
    }

    /// A peer said something false; one that goes on so is let go.
    fn strike(&mut self, peer: Peer) {
        if self.strangers.strike(peer) {
            tracing::warn!(%peer, "a peer says nothing but false things: disconnected");
            self.strangers.forget(peer);
            // At the bound of the link's queue it is let go the next time.
            let _ = self.parts.link.leave(peer);
        }
    }

    /// The hub's terms. A fee above what the person wants to pay is shown and not paid.
    fn on_welcome(&mut self, channel: ChannelId, welcome: Welcome) {
        let is_new = self.welcomes.insert(channel, welcome) != Some(welcome);
        match (self.welcome_within_policy(channel), self.wallets.get_mut(&channel)) {
            (Some(welcome), Some(wallet)) => wallet.set_hub(welcome.fee, welcome.max_update),
            (None, _) if is_new => {
                tracing::warn!(%channel, base = %welcome.fee.base, millionths = welcome.fee.millionths, "the hub's fee is above the one in the policy: it will refuse payments");
            }
            _ => {}
        }
    }

    /// What the hub of a channel said of its terms, if its fee is one that the person pays.
    pub(super) fn welcome_within_policy(&self, channel: ChannelId) -> Option<Welcome> {
        let most = self.parts.policy.hub.fee;
        let within =
            |one: &&Welcome| one.fee.base <= most.base && one.fee.millionths <= most.millionths;
        self.welcomes.get(&channel).filter(within).copied()
    }

    async fn on_channel_frame(
        &mut self,
        peer: Peer,
        channel: ChannelId,
        frame: Frame,
    ) -> Result<(), NodeError> {
        match frame {
            Frame::Who(_) => self.hello(channel, peer),
            Frame::Welcome(_, welcome) if self.hub.is_none() => self.on_welcome(channel, welcome),
            Frame::Refused(_, refusal) => self.on_refused(channel, refusal).await?,
            Frame::Latest(_, state) => self.on_latest(channel, state).await?,
            Frame::Withdraw(consent) => self.on_withdraw(channel, *consent).await?,
            Frame::Close(consent) => self.on_close(channel, *consent).await?,
            Frame::Handshake(_, message) => {
                // While what was agreed on is not executed, no new state is made; one that ended by consent gets none any more.
                if self.is_held(channel) || self.announced(channel).is_some() {
                    return Ok(());
                }
                let before = self.record(channel).map(|record| record.base().nonce);
                let again = Frame::Handshake(channel, message.clone());
                let busy = if self.hub.is_some() {
                    let given = self.give_hub(hub::Event::Handshake(channel, message)).await?;
                    let busy = given.is_busy();
                    self.note(channel, given.refusal());
                    busy
                } else {
                    let event = wallet::Event::Handshake(message);
                    let given = self.give_wallet(channel, event).await?;
                    let busy = given.is_busy();
                    self.note(channel, given.refusal());
                    busy
                };
                self.heed_jump(channel, before).await?;
                if busy {
                    self.deferred.push(channel, peer, again);
                }
            }
            Frame::Payment(_, message) => {
                // The wallet would propose an update for it; the hub sends it again.
                if self.hub.is_none() && self.is_held(channel) {
                    return Ok(());
                }
                if self.hub.is_some() {
                    let given = self.give_hub(hub::Event::Payment(channel, message)).await?;
                    self.note(channel, given.refusal());
                } else {
                    let event = wallet::Event::Payment(message);
                    let given = self.give_wallet(channel, event).await?;
                    self.note(channel, given.refusal());
                }
            }
            Frame::Hello(_) | Frame::Ask(_) | Frame::Offer(_) | Frame::Welcome(..) => {}
        }
        Ok(())
    }

    pub(super) fn note(&self, channel: ChannelId, refusal: Option<impl std::fmt::Display>) {
        if let Some(refusal) = refusal {
            tracing::debug!(%channel, %refusal, "a message changed nothing");
        }
    }

    /// The newest final state is asked for, or shown by the other end. Both ends answer; one that is being restored itself knows
    /// nothing that it could answer.
    async fn on_latest(
        &mut self,
        channel: ChannelId,
        shown: Option<Box<UnverifiedFinal>>,
    ) -> Result<(), NodeError> {
        if shown.is_some() {
            return self.on_restored_by_hub(channel, shown).await;
        }
        if !self.restores.contains_key(&channel)
            && let Some(record) = self.record(channel)
        {
            let answer = match record.latest() {
                Some(state) => Frame::Latest(channel, Some(Box::new(state.unverified()))),
                None => Frame::Refused(Some(channel), Refusal::NotLive),
            };
            self.tell(channel, &answer);
        }
        Ok(())
    }

    /// Whether the channel lives, as far as this node knows.
    pub(super) fn is_live(&self, channel: ChannelId) -> bool {
        self.book
            .get(channel)
            .is_some_and(|own| own.standing == Standing::Live && own.dispute.is_none())
    }
}
