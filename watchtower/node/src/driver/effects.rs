//! Gives the machines their events and carries out their effects, in order.

use gossip::link::LinkError;
use protocol::ChannelId;
use protocol::payment::hub::{self, HubError};
use protocol::payment::wallet::{self, PayError};
use protocol::vnode::link::Frame;
use protocol::zksc::FinalState;
use protocol::zksc::handshake::{Refusal, Report};
use store::NodeChange;

use super::{Driver, OnItsWay, Owner, fresh};
use crate::error::NodeError;
#[cfg(test)]
use crate::kill::Strike;
use crate::rows;

/// What became of an event.
#[derive(Debug)]
pub(super) enum Given<E> {
    /// The machine took it.
    Taken,
    /// The machine refused; nothing changed.
    Refused(E),
}

impl<E> Given<E> {
    pub(super) fn refusal(self) -> Option<E> {
        match self {
            Self::Taken => None,
            Self::Refused(error) => Some(error),
        }
    }
}

impl Given<HubError> {
    pub(super) const fn is_busy(&self) -> bool {
        matches!(self, Self::Refused(HubError::Handshake(Refusal::Busy)))
    }
}

impl Given<PayError> {
    pub(super) const fn is_busy(&self) -> bool {
        matches!(self, Self::Refused(PayError::Handshake(Refusal::Busy)))
    }
}

impl Driver {
    /// Gives the hub's machine an event and carries out what follows.
    pub(super) async fn give_hub(
        &mut self,
        event: hub::Event,
    ) -> Result<Given<HubError>, NodeError> {
        let now = self.now();
        let Some(hub) = &mut self.hub else { return Ok(Given::Taken) };
        match hub.handle(event, now, &fresh()) {
            Ok(effects) => {
                self.carry_hub(effects).await?;
                Ok(Given::Taken)
            }
            Err(error) => Ok(Given::Refused(error)),
        }
    }

    /// Carries out the hub's effects.
    pub(super) async fn carry_hub(&mut self, effects: Vec<hub::Effect>) -> Result<(), NodeError> {
        for effect in effects {
            match effect {
                hub::Effect::Persist { number, batch } => {
                    let hub = self.hub.as_ref();
                    let record = |id| {
                        hub.and_then(|hub| hub.handshake(id)).map(|handshake| handshake.record())
                    };
                    let turn = rows::hub_turn(&batch, record)?;
                    let lanes = batch.lanes.keys().copied().collect();
                    self.write((Owner::Hub, number, lanes), turn).await?;
                }
                hub::Effect::Handshake(channel, message) => {
                    self.tell(channel, &Frame::Handshake(channel, message));
                }
                hub::Effect::Payment(channel, message) => {
                    self.tell(channel, &Frame::Payment(channel, message));
                }
                hub::Effect::Finalized(channel, state) => self.finalized(channel, &state),
                hub::Effect::Report(channel, report) => self.report(channel, report),
            }
        }
        Ok(())
    }

    /// Gives a channel's wallet an event and carries out what follows.
    pub(super) async fn give_wallet(
        &mut self,
        channel: ChannelId,
        event: wallet::Event,
    ) -> Result<Given<PayError>, NodeError> {
        let now = self.now();
        let Some(wallet) = self.wallets.get_mut(&channel) else { return Ok(Given::Taken) };
        match wallet.handle(event, now, &fresh()) {
            Ok(effects) => {
                self.carry_wallet(channel, effects).await?;
                Ok(Given::Taken)
            }
            Err(error) => Ok(Given::Refused(error)),
        }
    }

    /// Carries out a wallet's effects.
    pub(super) async fn carry_wallet(
        &mut self,
        channel: ChannelId,
        effects: Vec<wallet::Effect>,
    ) -> Result<(), NodeError> {
        for effect in effects {
            match effect {
                wallet::Effect::Persist { number, batch } => {
                    let Some(wallet) = self.wallets.get(&channel) else { continue };
                    let turn = rows::wallet_turn(channel, &batch, wallet.handshake().record())?;
                    self.write((Owner::Wallet(channel), number, vec![channel]), turn).await?;
                }
                wallet::Effect::Handshake(message) => {
                    self.tell(channel, &Frame::Handshake(channel, message));
                }
                wallet::Effect::Payment(message) => {
                    self.tell(channel, &Frame::Payment(channel, message));
                }
                wallet::Effect::Finalized(state) => self.finalized(channel, &state),
                wallet::Effect::Report(report) => self.report(channel, report),
                wallet::Effect::Changed(payment, stage) => {
                    tracing::info!(%channel, %payment, ?stage, "payment");
                }
            }
        }
        Ok(())
    }

    /// Hands a turn to the store; its machine hears when it is durable.
    pub(super) async fn write(
        &mut self,
        (owner, number, lanes): (Owner, u64, Vec<ChannelId>),
        changes: Vec<NodeChange>,
    ) -> Result<(), NodeError> {
        #[cfg(test)]
        let changes = self.maybe_die(changes).await?;
        let turn = self.parts.store.begin_node(changes).await?;
        self.turns.push_back(OnItsWay { owner, number, lanes, turn });
        Ok(())
    }

    /// A test's crash: with the turn on disk or without, and nothing of what follows.
    #[cfg(test)]
    async fn maybe_die(&self, changes: Vec<NodeChange>) -> Result<Vec<NodeChange>, NodeError> {
        let Some(kill) = &self.parts.kill else { return Ok(changes) };
        match kill.strike() {
            Strike::Spared => return Ok(changes),
            Strike::Before => {}
            Strike::After => self.parts.store.commit_node(changes).await?,
        }
        Err(NodeError::Gone("a test"))
    }

    /// Stores rows of the driver's own and waits until they are durable.
    pub(super) async fn store(&self, changes: Vec<NodeChange>) -> Result<(), NodeError> {
        #[cfg(test)]
        let changes = self.maybe_die(changes).await?;
        Ok(self.parts.store.commit_node(changes).await?)
    }

    /// Sends a frame to the other end of a channel; what is lost is repeated by the machines.
    pub(super) fn tell(&self, channel: ChannelId, frame: &Frame) {
        if let Some(peer) = self.peers.get(&channel) {
            self.tell_peer(*peer, frame);
        }
    }

    pub(super) fn tell_peer(&self, peer: gossip::Peer, frame: &Frame) {
        match self.parts.link.send(peer, frame.to_bytes()) {
            Ok(()) | Err(LinkError::Busy) => {}
            Err(error) => tracing::debug!(%peer, %error, "a frame was not sent"),
        }
    }

    fn report(&mut self, channel: ChannelId, report: Report) {
        match report {
            Report::Stalled(nonce) => {
                tracing::warn!(%channel, %nonce, "the other node does not answer: nothing new is signed on this channel until it does");
            }
            Report::Recovered(nonce) => {
                tracing::info!(%channel, %nonce, "the other node answers again");
                self.recovered(channel);
            }
            Report::MayDispute(advice) => self.may_dispute(channel, advice),
            Report::LateFinal(nonce) => {
                tracing::info!(%channel, %nonce, "a final state came after the decision to leave: kept");
            }
        }
    }

    /// A channel has a new final state: to be backed up.
    fn finalized(&mut self, channel: ChannelId, state: &FinalState) {
        tracing::debug!(%channel, nonce = %state.state().nonce, "final");
        #[cfg(test)]
        if let Some(kill) = &self.parts.kill {
            kill.note_final();
        }
        self.cover(channel, state);
    }
}
