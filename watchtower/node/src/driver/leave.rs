//! Leaving a channel against the other party's will, and striking down a stale dispute: `protocol` decides, this carries out.
//!
//! **Invariant:** signing has stopped, durably, before a dispute of ours is proven or sent.

use alloy_primitives::U256;
use protocol::payment::{hub, wallet};
use protocol::vipe::Standing;
use protocol::vnode::exit::{Effect, Event, Exit, ExitPolicy, Notice, Step as ExitStep};
use protocol::zksc::handshake::ExitAdvice;
use protocol::{Amount, ChannelId, Role};
use serde::{Deserialize, Serialize};
use store::NodeTable;

use super::Driver;
use super::proofs::Purpose;
use crate::book::Own;
use crate::error::{ApiError, NodeError};
use crate::rows;

/// A channel's exit.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) machine: Exit,
    /// Asked for without waiting for consent.
    now: bool,
    /// What a person must know.
    pub(crate) notice: Option<Notice>,
    /// A proof is being made.
    pub(super) proving: bool,
    /// When an override that did not come about is wanted again.
    pub(super) again_ms: Option<u64>,
}

/// Before an override that did not come about is wanted again, in milliseconds: a prover that failed may fail again, and there
/// are hours.
pub(super) const AGAIN_MS: u64 = 5_000;

/// An exit's durable step.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Stored {
    channel: ChannelId,
    step: ExitStep,
    now: bool,
    /// The person or the policy decided to leave.
    #[serde(default)]
    wanted: bool,
}

impl Leaving {
    /// Whether the channel is being left.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.machine.step(), ExitStep::Live | ExitStep::Over)
    }

    /// Whether a dispute is still to be opened.
    pub(super) fn leads_out(&self) -> bool {
        matches!(self.machine.step(), ExitStep::Closing | ExitStep::Opening)
    }
}

/// The dispute that is open on the channel, as far as an answer to it needs to know.
pub(super) fn standing_of(own: &Own) -> Option<Standing> {
    let dispute = own.dispute?;
    Some(Standing {
        disputer: own.channel.role_of(dispute.disputer)?,
        nonce: dispute.nonce,
        claim: dispute.claim,
        peak: dispute.peak.max(dispute.claim),
        fee: U256::ZERO,
        raised: false,
        corrector: None,
        opened_at: 0,
        window_end: dispute.deadline,
        deadline: dispute.deadline,
        agreed: dispute.agreed,
    })
}

fn exit_key(channel: ChannelId) -> Vec<u8> {
    [b"exit/".as_slice(), &channel.get().to_be_bytes()].concat()
}

impl Driver {
    pub(super) fn load_exits(&mut self, stored: Vec<(Vec<u8>, Stored)>) {
        for (_, one) in stored {
            let mut leaving = self.leaving(one.step, one.now);
            leaving.machine = leaving.machine.wanting(one.wanted);
            self.exits.insert(one.channel, leaving);
        }
    }

    fn leaving(&self, step: ExitStep, now: bool) -> Leaving {
        let mut policy = self.parts.policy.exit;
        if now {
            policy = ExitPolicy { close_for: 0, ..policy };
        }
        let machine = Exit::resume(self.parts.role, policy, step, self.now());
        Leaving { machine, now, notice: None, proving: false, again_ms: None }
    }

    /// What a dispute would put forward now: over every version of the escrow that was seen, because what is not claimed of it is
    /// the other party's. A claim that a reorganisation makes too high is refused, and made anew.
    pub(super) fn advice(&self, channel: ChannelId) -> Option<ExitAdvice> {
        let ledger = self.book.ledger_ahead(channel)?;
        match &self.hub {
            Some(hub) => hub.handshake(channel).map(|one| one.advice_over(&ledger)),
            None => {
                self.wallets.get(&channel).map(|wallet| wallet.handshake().advice_over(&ledger))
            }
        }
    }

    /// What an opening waits for, for people: what the vault will pay by must be known before it is claimed.
    pub(super) fn opening_waits_for(&self, channel: ChannelId) -> Option<&'static str> {
        if !self.caught_up {
            return Some("the chain's newest block, by this machine's clock");
        }
        let comes = |word: &str| {
            let prefix = format!("{word} channel {channel} key ");
            let named = self.errands.range(prefix.clone()..);
            let mut named = named.take_while(|(name, _)| name.starts_with(&prefix));
            named.any(|(_, errand)| !errand.has_ended())
        };
        let is_paid_in = comes("fund") || comes("allocate");
        is_paid_in.then_some("what is being paid into the channel")
    }

    /// Whether the channel is being left, or signs nothing any more: nothing is paid into it.
    pub(super) fn is_being_left(&self, channel: ChannelId) -> bool {
        let stopped = self.record(channel).is_some_and(|record| record.is_stopped());
        stopped || self.exits.get(&channel).is_some_and(Leaving::is_under_way)
    }

    /// A person orders the exit.
    pub(super) async fn order_exit(
        &mut self,
        channel: ChannelId,
        now: bool,
    ) -> Result<Result<(), ApiError>, NodeError> {
        let Some(advice) = self.advice(channel) else {
            return Ok(Err(ApiError::missing("no such channel is live here")));
        };
        if !self.exits.contains_key(&channel) || now {
            let before = self.exits.get(&channel).map(|one| &one.machine);
            let wanted = before.is_some_and(Exit::is_wanted);
            let step = before.map_or(ExitStep::Live, Exit::step);
            let mut leaving = self.leaving(step, now);
            leaving.machine = leaving.machine.wanting(wanted);
            self.exits.insert(channel, leaving);
        }
        self.give_exit(channel, Event::Order(Box::new(advice))).await?;
        self.give_exit(channel, Event::Advice(Box::new(advice))).await?;
        if self.opening_waits_for(channel).is_none() {
            self.give_exit(channel, Event::Tick).await?;
        }
        Ok(Ok(()))
    }

    pub(super) fn may_dispute(&mut self, channel: ChannelId, advice: Box<ExitAdvice>) {
        self.late.push((channel, Event::MayDispute(advice)));
    }

    pub(super) fn recovered(&mut self, channel: ChannelId) {
        self.late.push((channel, Event::Recovered));
    }

    /// Both parties have consented to a close.
    pub(super) fn consented(&mut self, channel: ChannelId) {
        self.late.push((channel, Event::CloseConsented));
    }

    pub(super) async fn give_exit(
        &mut self,
        channel: ChannelId,
        event: Event,
    ) -> Result<(), NodeError> {
        let now = self.now();
        if !self.exits.contains_key(&channel) {
            let leaving = self.leaving(ExitStep::Live, false);
            self.exits.insert(channel, leaving);
        }
        let Some(leaving) = self.exits.get_mut(&channel) else { return Ok(()) };
        let effects = leaving.machine.handle(event, now);
        for effect in effects {
            self.carry_exit(channel, effect).await?;
        }
        Ok(())
    }

    async fn carry_exit(&mut self, channel: ChannelId, effect: Effect) -> Result<(), NodeError> {
        match effect {
            Effect::Persist(step) => {
                let now = self.exits.get(&channel).is_some_and(|one| one.now);
                let wanted = self.exits.get(&channel).is_some_and(|one| one.machine.is_wanted());
                let stored = Stored { channel, step, now, wanted };
                let row = rows::put(NodeTable::Orders, exit_key(channel), &stored)?;
                // Turns are stored in order: what stopped the signing before this is durable with it.
                self.store(vec![row]).await
            }
            Effect::StopSigning if self.hub.is_some() => {
                self.give_hub(hub::Event::Stop(channel)).await.map(|_given| ())
            }
            Effect::StopSigning => {
                self.give_wallet(channel, wallet::Event::Stop).await.map(|_given| ())
            }
            // Ordered without asking.
            Effect::AskClose(_) if self.exits.get(&channel).is_some_and(|one| one.now) => Ok(()),
            Effect::AskClose(_) if self.parts.role == Role::Participant => {
                if let Err(error) = self.close(channel).await? {
                    tracing::info!(%channel, %error, "no consent to a close is asked for");
                }
                Ok(())
            }
            // A hub asks nobody: its participants ask it, or it disputes.
            Effect::AskClose(_) => Ok(()),
            // The errand began when the other signature came.
            Effect::SubmitClose => Ok(()),
            Effect::OpenDispute(advice) => {
                self.prove(channel, Purpose::Dispute, advice.state, advice.claim);
                Ok(())
            }
            Effect::Override(state) => {
                self.prove(channel, Purpose::Override, Some(*state), Amount::ZERO);
                Ok(())
            }
            Effect::Notice(notice) => {
                tracing::warn!(%channel, ?notice, "a person must know");
                if let Some(leaving) = self.exits.get_mut(&channel) {
                    leaving.notice = Some(notice);
                }
                Ok(())
            }
        }
    }

    pub(super) async fn on_disputed(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let (Some(standing), ledger) = (standing_of(own), own.ledger.clone()) else {
            return Ok(());
        };
        let latest = self.record(channel).and_then(|record| record.latest().copied());
        let event = Event::Disputed { standing, ledger, latest: latest.map(Box::new) };
        self.give_exit(channel, event).await
    }

    pub(super) async fn on_dispute_gone(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        self.give_exit(channel, Event::Undisputed).await
    }

    /// Whether the exit still counts with a dispute that the chain no longer shows.
    pub(super) fn is_leaving_a_dispute(&self, channel: ChannelId) -> bool {
        self.exits.get(&channel).is_some_and(|one| one.machine.step() == ExitStep::Disputed)
    }

    pub(super) async fn tick_exits(&mut self) -> Result<(), NodeError> {
        for (channel, event) in std::mem::take(&mut self.late) {
            self.give_exit(channel, event).await?;
        }
        let channels: Vec<ChannelId> = self.exits.keys().copied().collect();
        for channel in channels {
            let leads_out = self.exits.get(&channel).is_some_and(Leaving::leads_out);
            if leads_out && let Some(advice) = self.advice(channel) {
                self.give_exit(channel, Event::Advice(Box::new(advice))).await?;
            }
            if !leads_out || self.opening_waits_for(channel).is_none() {
                self.give_exit(channel, Event::Tick).await?;
            }
            self.retry_override(channel).await?;
            self.settle(channel).await?;
        }
        Ok(())
    }

    async fn retry_override(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let now = self.now();
        let Some(leaving) = self.exits.get_mut(&channel) else { return Ok(()) };
        if leaving.again_ms.is_none_or(|at| now < at) {
            return Ok(());
        }
        leaving.again_ms = None;
        let open = self.book.get(channel).and_then(|own| own.dispute);
        if open.is_none_or(|dispute| self.chain_s >= dispute.deadline) {
            return Ok(());
        }
        self.give_exit(channel, Event::OverrideLost).await?;
        self.on_disputed(channel).await
    }
}
