//! Leaving a channel against the other party's will, and striking down a stale dispute: `protocol` decides, this carries out.
//!
//! **Invariant:** signing has stopped, durably, before a dispute of ours is proven or sent.

use alloy_primitives::{B256, Bytes, U256};
use chain::calls::{SessionSignatures, StateClaim, Vipe};
use protocol::payment::{hub, wallet};
use protocol::vipe::Standing;
use protocol::vnode::exit::{Effect, Event, Exit, ExitPolicy, Notice, Step as ExitStep};
use protocol::zksc::handshake::ExitAdvice;
use protocol::zksc::{Channel, FinalState};
use protocol::{Amount, ChannelId, Role};
use serde::{Deserialize, Serialize};
use store::NodeTable;

use super::Driver;
use super::open::step;
use crate::error::{ApiError, NodeError};
use crate::rows;
use crate::sender::{Errand, State, Step};

/// A channel's exit.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) machine: Exit,
    /// Asked for without waiting for consent.
    now: bool,
    /// What a person must know.
    pub(crate) notice: Option<Notice>,
    /// A proof is being made.
    proving: bool,
}

/// An exit's durable step.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Stored {
    channel: ChannelId,
    step: ExitStep,
    now: bool,
}

/// Something to be proven and priced.
#[derive(Debug, Clone)]
pub(crate) struct ProveJob {
    pub(crate) purpose: Purpose,
    pub(crate) channel: Box<Channel>,
    /// None for the first checkpoint, which needs no proof.
    pub(crate) state: Option<FinalState>,
    pub(crate) claim: Amount,
}

/// What the proof is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Dispute,
    Override,
}

/// A proof, and what opening a dispute costs now.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) job: ProveJob,
    pub(crate) outcome: Result<Priced, String>,
}

/// The proof's bytes, and the wei to send along.
#[derive(Debug)]
pub(crate) struct Priced {
    pub(crate) proof: Bytes,
    pub(crate) value: U256,
}

impl Leaving {
    /// Whether the channel is being left.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.machine.step(), ExitStep::Live | ExitStep::Over)
    }
}

fn exit_key(channel: ChannelId) -> Vec<u8> {
    [b"exit/".as_slice(), &channel.get().to_be_bytes()].concat()
}

impl Driver {
    pub(super) fn load_exits(&mut self, stored: Vec<(Vec<u8>, Stored)>) {
        for (_, one) in stored {
            let leaving = self.leaving(one.step, one.now);
            self.exits.insert(one.channel, leaving);
        }
    }

    fn leaving(&self, step: ExitStep, now: bool) -> Leaving {
        let mut policy = self.parts.policy.exit;
        if now {
            policy = ExitPolicy { close_for: 0, ..policy };
        }
        let machine = Exit::resume(self.parts.role, policy, step, self.now());
        Leaving { machine, now, notice: None, proving: false }
    }

    fn advice(&self, channel: ChannelId) -> Option<ExitAdvice> {
        match &self.hub {
            Some(hub) => hub.handshake(channel).map(|one| one.advice()),
            None => self.wallets.get(&channel).map(|wallet| wallet.handshake().advice()),
        }
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
            let step = self.exits.get(&channel).map_or(ExitStep::Live, |one| one.machine.step());
            let leaving = self.leaving(step, now);
            self.exits.insert(channel, leaving);
        }
        self.give_exit(channel, Event::Order(Box::new(advice))).await?;
        self.give_exit(channel, Event::Advice(Box::new(advice))).await?;
        self.give_exit(channel, Event::Tick).await?;
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
                let row = rows::put(
                    NodeTable::Orders,
                    exit_key(channel),
                    &Stored { channel, step, now },
                )?;
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

    fn prove(
        &mut self,
        channel: ChannelId,
        purpose: Purpose,
        state: Option<FinalState>,
        claim: Amount,
    ) {
        let Some(own) = self.book.get(channel) else { return };
        // A state at or below the checkpoint is dead; the checkpoint itself needs no proof.
        let (known, checkpoint) = (own.channel, own.checkpoint);
        let state = state.filter(|state| state.state().nonce > checkpoint);
        let Some(leaving) = self.exits.get_mut(&channel) else { return };
        if leaving.proving {
            return;
        }
        let job = ProveJob { purpose, channel: Box::new(known), state, claim };
        // A prover with too much to do is asked again with the machine's next repetition.
        leaving.proving = self.parts.prove.try_send(job).is_ok();
    }

    pub(super) async fn on_proven(&mut self, proven: Proven) -> Result<(), NodeError> {
        let Proven { job, outcome } = proven;
        let channel = job.channel.id();
        if let Some(leaving) = self.exits.get_mut(&channel) {
            leaving.proving = false;
        }
        let priced = match outcome {
            Ok(priced) => priced,
            Err(error) => {
                tracing::error!(%channel, error, "not proven; tried again");
                return Ok(());
            }
        };
        let errand = match job.purpose {
            Purpose::Dispute => self.dispute_errand(channel, &job, priced),
            Purpose::Override => self.override_errand(channel, &job, priced),
        };
        match errand {
            Some(errand) => self.begin_errand(errand, Vec::new()).await,
            None => Ok(()),
        }
    }

    fn dispute_errand(&self, channel: ChannelId, job: &ProveJob, priced: Priced) -> Option<Errand> {
        let key = B256::new(*self.dispute_keys.get(&channel)?.reveal());
        let (claim, signatures) = match &job.state {
            Some(state) => on_chain(state),
            None => (self.checkpoint(channel), SessionSignatures::NONE),
        };
        let call = Vipe::new(self.parts.site.vipe).dispute(
            channel,
            claim,
            (job.claim, priced.value),
            key,
            (&signatures, priced.proof),
        );
        let base = format!("dispute channel {channel} nonce {}", claim.nonce);
        Some(Errand::new(self.free_name(&base), vec![step(call, true)]))
    }

    fn override_errand(
        &self,
        channel: ChannelId,
        job: &ProveJob,
        priced: Priced,
    ) -> Option<Errand> {
        let (claim, signatures) = on_chain(job.state.as_ref()?);
        let deadline = self.book.get(channel)?.dispute.map(|dispute| dispute.deadline);
        let call = Vipe::new(self.parts.site.vipe).override_state(
            channel,
            claim,
            self.parts.keys.account.address(),
            (&signatures, priced.proof),
            U256::ZERO,
        );
        let name = format!("override channel {channel} nonce {}", claim.nonce);
        Some(Errand::new(name, vec![Step { call, repeat_safe: true, deadline }]))
    }

    /// The state that needs no proof.
    fn checkpoint(&self, channel: ChannelId) -> StateClaim {
        match self.book.get(channel).and_then(|own| own.withdrawn) {
            Some(one) => {
                StateClaim { nonce: one.nonce, version: one.version, balance: one.balance }
            }
            None => StateClaim {
                nonce: protocol::Nonce::ZERO,
                version: protocol::EscrowVersion::ZERO,
                balance: Amount::ZERO,
            },
        }
    }

    /// The name itself or, if the errand of that name failed, one that says that it is tried again.
    pub(super) fn free_name(&self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut tries = 1_u32;
        while self.errands.get(&name).is_some_and(|one| matches!(one.state, State::Failed(_))) {
            tries = tries.saturating_add(1);
            name = format!("{base} try {tries}");
        }
        name
    }

    pub(super) async fn on_disputed(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        let Some(own) = self.book.get(channel) else { return Ok(()) };
        let (Some(dispute), ledger) = (own.dispute, own.ledger.clone()) else { return Ok(()) };
        let Some(disputer) = own.channel.role_of(dispute.disputer) else { return Ok(()) };
        let latest = self.record(channel).and_then(|record| record.latest().copied());
        let standing = Standing {
            disputer,
            nonce: dispute.nonce,
            claim: dispute.claim,
            peak: dispute.claim,
            fee: U256::ZERO,
            raised: false,
            corrector: None,
            opened_at: 0,
            window_end: dispute.deadline,
            deadline: dispute.deadline,
            agreed: None,
        };
        let event = Event::Disputed { standing, ledger, latest: latest.map(Box::new) };
        self.give_exit(channel, event).await
    }

    pub(super) async fn on_dispute_gone(&mut self, channel: ChannelId) -> Result<(), NodeError> {
        self.give_exit(channel, Event::Undisputed).await
    }

    pub(super) async fn tick_exits(&mut self) -> Result<(), NodeError> {
        for (channel, event) in std::mem::take(&mut self.late) {
            self.give_exit(channel, event).await?;
        }
        let channels: Vec<ChannelId> = self.exits.keys().copied().collect();
        for channel in channels {
            let step = self.exits.get(&channel).map(|one| one.machine.step());
            if matches!(step, Some(ExitStep::Closing | ExitStep::Opening))
                && let Some(advice) = self.advice(channel)
            {
                self.give_exit(channel, Event::Advice(Box::new(advice))).await?;
            }
            self.give_exit(channel, Event::Tick).await?;
            self.settle(channel).await?;
        }
        Ok(())
    }
}

/// A state as the chain reads it.
fn on_chain(state: &FinalState) -> (StateClaim, SessionSignatures) {
    let inner = state.state();
    let claim = StateClaim { nonce: inner.nonce, version: inner.version, balance: inner.balance };
    let bytes = |role| state.signatures(role).session.to_bytes();
    let signatures = SessionSignatures {
        participant: bytes(Role::Participant),
        counterparty: bytes(Role::Counterparty),
    };
    (claim, signatures)
}
