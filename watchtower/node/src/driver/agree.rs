//! The participant's side of a consent: a person wants money out, or an end.

use alloy_primitives::keccak256;
use chain::calls::Vipe;
use protocol::vipe::Closing;
use protocol::vnode::link::Refusal;
use protocol::{Amount, ChannelId};
use serde::{Deserialize, Serialize};
use store::{NodeChange, NodeTable};

use super::Driver;
use super::consent::{Pending, Terms};
use super::open::step;
use crate::error::{ApiError, NodeError};
use crate::rows;
use crate::sender::{Errand, Step};

/// How long a consent is good, in seconds of the chain.
pub(super) const GOOD_FOR_S: u64 = 1_800;

/// A withdrawal that was ordered under a key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Withdrawn {
    /// Its consent's number.
    seq: u64,
    /// What was to be taken out.
    amount: Amount,
    /// Its deadline, which tells it from others with the same number, in seconds of the chain; none of old.
    #[serde(default)]
    deadline: Option<u64>,
}

/// Where the deadline of the newest consent with this number stands: of those with one number it alone may still be executed.
fn newest_key(channel: ChannelId, seq: u64) -> Vec<u8> {
    [b"consented/".as_slice(), &channel.get().to_be_bytes(), &seq.to_be_bytes()].concat()
}

fn order_key(channel: ChannelId, key: &str) -> Vec<u8> {
    let key = keccak256(key.as_bytes());
    [b"withdraw/".as_slice(), &channel.get().to_be_bytes(), key.as_slice()].concat()
}

impl Driver {
    /// Participant: a person wants to take money out. The number of the consent that does it: of the one that was made under this
    /// key before, if it was not in vain.
    pub(super) async fn withdraw(
        &mut self,
        channel: ChannelId,
        amount: Amount,
        key: Option<&str>,
    ) -> Result<Result<u64, ApiError>, NodeError> {
        let note = key.map(|key| order_key(channel, key));
        let before = match &note {
            Some(note) => rows::get::<Withdrawn>(&self.parts.store, NodeTable::Notes, note)?,
            None => None,
        };
        if let Some(order) = before {
            if order.amount != amount {
                return Ok(Err(ApiError::refused("this key was used for another amount")));
            }
            if !self.was_in_vain(channel, &order)? {
                return Ok(Ok(order.seq));
            }
        }
        if let Some(pending) = self.consents.get(&channel) {
            // An order with a name of its own is another one, whatever its amount.
            let same = note.is_none()
                && matches!(&pending.terms, Terms::Withdraw(terms) if terms.paid.participant == amount);
            return Ok(if same { Ok(pending.seq) } else { Err(already()) });
        }
        if let Some(why) = self.why_held(channel) {
            return Ok(Err(ApiError::refused(why)));
        }
        if amount == Amount::ZERO {
            return Ok(Err(ApiError::bad("a withdrawal takes more than nothing")));
        }
        let deadline = self.chain_s.saturating_add(GOOD_FOR_S);
        let terms = match self.withdrawal(channel, amount, deadline) {
            Ok(terms) => Terms::Withdraw(terms),
            Err(refusal) => return Ok(Err(self.here(channel, refusal))),
        };
        let Some(seq) = self.book.get(channel).map(|own| own.seq) else {
            return Ok(Err(self.here(channel, Refusal::NotLive)));
        };
        // The order is on record before its consent is: a crash between the two leaves an order that was in vain.
        let mut turn = vec![rows::put(NodeTable::Notes, newest_key(channel, seq), &deadline)?];
        if let Some(note) = note {
            let order = Withdrawn { seq, amount, deadline: Some(deadline) };
            turn.push(rows::put(NodeTable::Notes, note, &order)?);
        }
        self.store(turn).await?;
        self.consent(channel, terms, None).await?;
        self.ask_consent(channel);
        Ok(Ok(seq))
    }

    /// Why this node itself does not consent.
    fn here(&self, channel: ChannelId, refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::NotLive => ApiError::refused("the channel is not live"),
            Refusal::Busy => ApiError::not_now(
                "an update or a payment of this channel is under way: try again when it has ended",
            ),
            Refusal::Stale => {
                ApiError::refused("this node's view of the chain is stale: nothing is signed")
            }
            _ => ApiError::refused(format!(
                "the balance of {} does not cover it",
                self.worth(channel)
            )),
        }
    }

    /// Whether the consent of this order can no longer be executed and was not.
    fn was_in_vain(&self, channel: ChannelId, order: &Withdrawn) -> Result<bool, NodeError> {
        let key = newest_key(channel, order.seq);
        let newest = rows::get::<u64>(&self.parts.store, NodeTable::Notes, &key)?;
        // A later one has its number: that one was made because this one had run out.
        if newest.is_some() && newest != order.deadline {
            return Ok(true);
        }
        let executed = self.book.get(channel).is_some_and(|own| own.seq > order.seq);
        let pending = self.consents.get(&channel).is_some_and(|one| one.seq == order.seq);
        Ok(!executed && !pending)
    }

    /// Participant: a person, or the exit, wants the channel closed by consent; a person also a channel in a dispute.
    pub(super) async fn close(
        &mut self,
        channel: ChannelId,
    ) -> Result<Result<(), ApiError>, NodeError> {
        let open = self.book.get(channel).and_then(|own| own.dispute);
        if let Some(pending) = self.consents.get(&channel) {
            let same = matches!(pending.terms, Terms::Close(terms) if terms.epoch == open.map_or(0, |one| one.epoch));
            return Ok(if same { Ok(()) } else { Err(already()) });
        }
        if self.announced(channel).is_some() {
            return Ok(Ok(()));
        }
        if let Some(why) = self.why_held(channel) {
            return Ok(Err(ApiError::refused(why)));
        }
        let terms = match self.closing_terms(channel) {
            Ok(terms) => terms,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(seq) = self.book.get(channel).map(|own| own.seq) {
            let key = newest_key(channel, seq);
            self.store(vec![rows::put(NodeTable::Notes, key, &terms.deadline)?]).await?;
        }
        self.consent(channel, Terms::Close(terms), None).await?;
        self.ask_consent(channel);
        Ok(Ok(()))
    }

    /// What a close would say now, or why there is none, for people.
    fn closing_terms(&self, channel: ChannelId) -> Result<Closing, ApiError> {
        let deadline = self.chain_s.saturating_add(GOOD_FOR_S);
        let Some(own) = self.book.get(channel).filter(|own| own.dispute.is_some()) else {
            return self.closing(channel, deadline).map_err(|why| self.here(channel, why));
        };
        let Some(dispute) = own.open_dispute() else {
            return Err(ApiError::not_now("the dispute is not final yet: try again when it is"));
        };
        // Of no use after the dispute.
        let deadline = deadline.min(dispute.deadline.saturating_sub(1));
        let terms = self.closing_in_dispute(channel, deadline);
        let terms = terms.map_err(|why| self.here(channel, why))?;
        terms.map_err(|refusal| ApiError::refused(refusal.to_string()))
    }

    pub(super) fn ask_consent(&self, channel: ChannelId) {
        let Some(pending) = self.consents.get(&channel) else { return };
        self.tell_consent(channel, pending);
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
        let deadline = pending.terms.deadline();
        let mut steps = vec![Step { call, repeat_safe: true, deadline: Some(deadline) }];
        // A close in a dispute is announced: nothing is credited before it takes effect.
        if pending.terms.epoch() == 0 {
            steps.push(step(vipe.claim_asset(site.asset, account), true));
        }
        // With its deadline: the number of one that ran out is the next one's.
        let name = format!("{word} channel {channel} consent {} until {deadline}", pending.seq);
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
