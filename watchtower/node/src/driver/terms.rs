//! The terms that both parties compute, each by itself, before either signs: of a withdrawal, of a close, of a close in a dispute.
//!
//! In a dispute nothing that is under way can go on, and a settlement would wait for none of it: what the newest final state pays
//! is what is signed, whatever was proposed or half signed after it.
//!
//! **Invariant:** a party is never paid less by what it signs than its own newest final state pays it.

use protocol::payment::wallet::Wallet;
use protocol::vipe::{Closing, Payout, Withdrawal};
use protocol::vnode::close::{self, CloseRefusal};
use protocol::vnode::link::Refusal;
use protocol::zksc::handshake::Pending as Handshake;
use protocol::{Amount, ChannelId};

use super::Driver;
use super::leave::standing_of;
use crate::book::Standing;

impl Driver {
    /// What the newest state pays both sides now, live or in a dispute that is final.
    fn newest_payout(&self, channel: ChannelId) -> Result<Payout, Refusal> {
        let own = self.book.get(channel).ok_or(Refusal::NotLive)?;
        if own.broken {
            // The chain's events do not add up: what both sides are due is not known.
            return Err(Refusal::Terms);
        }
        if self.view_words().is_err() {
            return Err(Refusal::Stale);
        }
        if self.holds.contains_key(&channel) {
            return Err(Refusal::Busy);
        }
        let base = self.record(channel).ok_or(Refusal::NotLive)?.base();
        let payout = own.ledger.payout(base.version, base.balance);
        let payout = payout.map_err(|_unknown| Refusal::Terms)?;
        if base.nonce < own.checkpoint { Err(Refusal::Terms) } else { Ok(payout) }
    }

    /// The same of a channel that lives; refused while something is under way.
    fn settled_payout(&self, channel: ChannelId) -> Result<Payout, Refusal> {
        if !self.is_live(channel) {
            return Err(Refusal::NotLive);
        }
        let payout = self.newest_payout(channel)?;
        let record = self.record(channel).ok_or(Refusal::NotLive)?;
        if *record.pending() != Handshake::None || self.has_open_payments(channel) {
            return Err(Refusal::Busy);
        }
        Ok(payout)
    }

    fn has_open_payments(&self, channel: ChannelId) -> bool {
        match &self.hub {
            Some(hub) => hub.payments().values().any(|one| {
                // The payee's channel is not touched before its credit is signed, which is then outstanding there.
                one.terms.fields().payer == channel && !one.stage.is_over()
            }),
            None => self.wallets.get(&channel).is_some_and(Wallet::is_busy),
        }
    }

    /// The one withdrawal of `amount` that both sides compute.
    pub(super) fn withdrawal(
        &self,
        channel: ChannelId,
        amount: Amount,
        deadline: u64,
    ) -> Result<Withdrawal, Refusal> {
        let due = self.settled_payout(channel)?;
        let own = self.book.get(channel).ok_or(Refusal::NotLive)?;
        let record = self.record(channel).ok_or(Refusal::NotLive)?;
        if record.is_stopped() {
            // It is being left, with its newest state: a withdrawal would make another one.
            return Err(Refusal::NotLive);
        }
        let base = record.base();
        if amount > due.participant || amount == Amount::ZERO {
            return Err(Refusal::Terms);
        }
        Ok(Withdrawal {
            nonce: base.nonce.max(own.checkpoint).next().ok_or(Refusal::Terms)?,
            version: own.ledger.last(),
            balance: due.participant,
            paid: Payout { participant: amount, vip: Amount::ZERO },
            deadline,
        })
    }

    /// The one close that both sides compute: of a channel that lives, or of the dispute that stands.
    pub(super) fn closing(&self, channel: ChannelId, deadline: u64) -> Result<Closing, Refusal> {
        if self.book.get(channel).is_some_and(|own| own.dispute.is_some()) {
            return self.closing_in_dispute(channel, deadline)?.map_err(|refusal| match refusal {
                CloseRefusal::TooLate(_) => Refusal::TooLate,
                CloseRefusal::Never | CloseRefusal::Waives => Refusal::Unwilling,
                _ => Refusal::NotLive,
            });
        }
        Ok(Closing { epoch: 0, paid: self.settled_payout(channel)?, deadline })
    }

    /// Inside: why this node does not want it, for people.
    pub(super) fn closing_in_dispute(
        &self,
        channel: ChannelId,
        deadline: u64,
    ) -> Result<Result<Closing, CloseRefusal>, Refusal> {
        let own = self.book.get(channel).ok_or(Refusal::NotLive)?;
        if own.standing == Standing::Over {
            return Err(Refusal::NotLive);
        }
        // Until the dispute is final the ledger may still change, and what was agreed on a live channel may still be executed.
        let dispute = own.open_dispute().ok_or(Refusal::Stale)?;
        let standing = standing_of(own).ok_or(Refusal::NotLive)?;
        let newest = self.newest_payout(channel)?;
        let (policy, role) = (self.parts.policy.exit.close_in_dispute, self.parts.role);
        let (of, when) = ((dispute.epoch, &standing), (self.chain_s, deadline));
        Ok(close::closing(policy, role, of, newest, when))
    }
}
