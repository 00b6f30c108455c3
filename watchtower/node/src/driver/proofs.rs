//! Proofs of own states for the exit and against stale disputes: ordered, and sent on their way once they are made.

use alloy_primitives::{B256, Bytes, U256};
use chain::calls::{SessionSignatures, StateClaim, Vipe};
use protocol::zksc::{Channel, FinalState};
use protocol::{Amount, ChannelId, Role};

use super::Driver;
use super::leave::AGAIN_MS;
use super::open::step;
use crate::error::NodeError;
use crate::sender::{Errand, State, Step};

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

impl Driver {
    pub(super) fn prove(
        &mut self,
        channel: ChannelId,
        purpose: Purpose,
        state: Option<FinalState>,
        claim: Amount,
    ) {
        let Some(known) = self.book.get(channel).map(|own| own.channel) else { return };
        let state = self.not_dead(channel, state);
        // An opening that is on its way to a block is not proven once more with every repetition.
        let name = self.free_name(&self.dispute_name(channel, state.as_ref()));
        if purpose == Purpose::Dispute && self.errands.contains_key(&name) {
            return;
        }
        let again = self.now().saturating_add(AGAIN_MS);
        let Some(leaving) = self.exits.get_mut(&channel) else { return };
        let job = ProveJob { purpose, channel: Box::new(known), state, claim };
        // A prover with too much to do, or busy with this channel, is asked again: an opening with the machine's next
        // repetition, an override by the tick.
        if !leaving.proving && self.parts.prove.try_send(job).is_ok() {
            leaving.proving = true;
        } else if purpose == Purpose::Override {
            leaving.again_ms = Some(again);
        }
    }

    /// A state at or below the checkpoint is dead; the checkpoint itself needs no proof.
    fn not_dead(&self, channel: ChannelId, state: Option<FinalState>) -> Option<FinalState> {
        let checkpoint = self.book.get(channel)?.checkpoint;
        state.filter(|state| state.state().nonce > checkpoint)
    }

    pub(super) async fn on_proven(&mut self, proven: Proven) -> Result<(), NodeError> {
        let Proven { job, outcome } = proven;
        let channel = job.channel.id();
        if let Some(leaving) = self.exits.get_mut(&channel) {
            leaving.proving = false;
        }
        // While it was proven the escrow may have got a version, or a late final state have come.
        if let (Purpose::Dispute, Some(advice)) = (job.purpose, self.advice(channel))
            && (advice.claim != job.claim || self.not_dead(channel, advice.state) != job.state)
        {
            tracing::info!(%channel, claim = %advice.claim, proven = %job.claim, "what a dispute puts forward has changed: proven anew");
            self.prove(channel, Purpose::Dispute, advice.state, advice.claim);
            return Ok(());
        }
        let priced = match outcome {
            Ok(priced) => priced,
            Err(error) => {
                tracing::error!(%channel, error, "not proven; tried again");
                if job.purpose == Purpose::Override {
                    self.override_again(channel);
                }
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

    /// An override did not come about: it is wanted again after a pause.
    pub(super) fn override_again(&mut self, channel: ChannelId) {
        let again = self.now().saturating_add(AGAIN_MS);
        if let Some(leaving) = self.exits.get_mut(&channel) {
            leaving.again_ms = Some(again);
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
        let base = self.dispute_name(channel, job.state.as_ref());
        Some(Errand::new(self.free_name(&base), vec![step(call, true)]))
    }

    /// What the errand that opens a dispute with this state, or with the checkpoint, is called.
    fn dispute_name(&self, channel: ChannelId, state: Option<&FinalState>) -> String {
        let nonce = match state {
            Some(state) => state.state().nonce,
            None => self.checkpoint(channel).nonce,
        };
        format!("dispute channel {channel} nonce {nonce}")
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
        let base = format!("override channel {channel} nonce {}", claim.nonce);
        Some(Errand::new(self.free_name(&base), vec![Step { call, repeat_safe: true, deadline }]))
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
