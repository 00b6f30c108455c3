//! The participant's side of a consent: a person wants money out, or an end.

use chain::calls::Vipe;
use protocol::vnode::link::Refusal;
use protocol::{Amount, ChannelId};
use store::NodeChange;

use super::Driver;
use super::consent::{Pending, Terms, frame};
use super::open::step;
use crate::error::{ApiError, NodeError};
use crate::sender::{Errand, Step};

/// How long a consent is good, in seconds of the chain.
pub(super) const GOOD_FOR_S: u64 = 1_800;

impl Driver {
    /// Participant: a person wants to take money out.
    pub(super) async fn withdraw(
        &mut self,
        channel: ChannelId,
        amount: Amount,
    ) -> Result<Result<(), ApiError>, NodeError> {
        if let Some(pending) = self.consents.get(&channel) {
            let same = matches!(&pending.terms, Terms::Withdraw(terms) if terms.paid.participant == amount);
            return Ok(if same { Ok(()) } else { Err(already()) });
        }
        let deadline = self.chain_s.saturating_add(GOOD_FOR_S);
        match self.withdrawal(channel, amount, deadline) {
            Ok(terms) => {
                self.consent(channel, Terms::Withdraw(terms), None).await?;
                self.ask_consent(channel);
                Ok(Ok(()))
            }
            Err(refusal) => Ok(Err(here(refusal))),
        }
    }

    /// Participant: a person, or the exit, wants the channel closed by consent.
    pub(super) async fn close(
        &mut self,
        channel: ChannelId,
    ) -> Result<Result<(), ApiError>, NodeError> {
        if let Some(pending) = self.consents.get(&channel) {
            return Ok(match pending.terms {
                Terms::Close(_) => Ok(()),
                Terms::Withdraw(_) => Err(already()),
            });
        }
        let deadline = self.chain_s.saturating_add(GOOD_FOR_S);
        match self.closing(channel, deadline) {
            Ok(terms) => {
                self.consent(channel, Terms::Close(terms), None).await?;
                self.ask_consent(channel);
                Ok(Ok(()))
            }
            Err(refusal) => Ok(Err(here(refusal))),
        }
    }

    pub(super) fn ask_consent(&self, channel: ChannelId) {
        let Some(pending) = self.consents.get(&channel) else { return };
        self.tell(channel, &frame(channel, pending));
    }

    /// Participant: both have signed; to the chain with it, and what is credited comes home.
    pub(super) async fn execute(
        &mut self,
        channel: ChannelId,
        pending: &Pending,
        row: NodeChange,
    ) -> Result<(), NodeError> {
        let Some(theirs) = pending.theirs.clone() else { return Ok(()) };
        let site = self.parts.site;
        let (vipe, account) = (Vipe::new(site.vipe), self.parts.keys.account.address());
        let signatures = (pending.mine.clone(), theirs);
        let (word, call) = match &pending.terms {
            Terms::Withdraw(terms) => ("withdraw", vipe.withdraw(channel, terms, signatures)),
            Terms::Close(terms) => ("close", vipe.close(channel, terms, signatures)),
        };
        let deadline = Some(pending.terms.deadline());
        let mut steps = vec![Step { call, repeat_safe: true, deadline }];
        steps.push(step(vipe.claim_asset(site.asset, account), true));
        let name = format!("{word} channel {channel} consent {}", pending.seq);
        self.begin_errand(Errand::new(name, steps), vec![row]).await?;
        if matches!(pending.terms, Terms::Close(_)) {
            self.consented(channel);
        }
        Ok(())
    }
}

fn already() -> ApiError {
    ApiError::refused(
        "another consent of this channel may still be executed: wait for it, or for its deadline",
    )
}

fn here(refusal: Refusal) -> ApiError {
    ApiError::refused(match refusal {
        Refusal::NotLive => "the channel is not live",
        Refusal::Busy => {
            "an update or a payment of this channel is under way: try again when it has ended"
        }
        Refusal::Stale => "this node's view of the chain is stale: nothing is signed",
        _ => "the balance does not cover it",
    })
}
