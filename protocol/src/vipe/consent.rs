//! What both parties do by consent: take money out of a live channel, and end a channel.
//!
//! ```text
//! Live --withdraw (m, v, b), (aP, aH)--> Live: a new version, checkpoint (m, v, b), both credited
//! Live --close (aP, aH)--> Settled                 Disputed --close (epoch, aP, aH)--> Disputed, the end announced
//! ```
//!
//! **Invariant:** each executed consent counts `seq` up by one and names its number, so it works once and voids every
//! other consent that was open.
//!
//! **Invariant:** the checkpoint's nonce strictly increases; a state at or below it is dead.

use serde::{Deserialize, Serialize};

use super::{DisputeGame, Ledger, Payout};
use super::{game, ledger::LedgerError};
use crate::ids::{Amount, EscrowVersion, Nonce};

/// A withdrawal that both parties consent to: a state, which uses up its nonce, and a payment that the state covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// The consented state's nonce; above the checkpoint's.
    pub nonce: Nonce,
    /// Its ledger version.
    pub version: EscrowVersion,
    /// The participant's balance in it.
    pub balance: Amount,
    /// What each side takes out.
    pub paid: Payout,
    /// Last second at which the consents may be used.
    pub deadline: u64,
}

impl Withdrawal {
    /// Whether a state (`version`, `balance`) leaves each side what this withdrawal takes. While the consent is neither
    /// executed nor past its deadline, both final, a node signs only states that do.
    ///
    /// # Errors
    /// The errors of [`Ledger::unclamped`].
    pub fn covered_by(
        &self,
        ledger: &Ledger,
        version: EscrowVersion,
        balance: Amount,
    ) -> Result<bool, LedgerError> {
        let due = ledger.unclamped(version, balance)?;
        let escrow = i128::try_from(ledger.newest().escrow().get()).unwrap_or(i128::MAX);
        let at_least =
            |due: i128, taken: Amount| u128::try_from(due).is_ok_and(|due| due >= taken.get());
        let participant = at_least(due, self.paid.participant);
        Ok(participant && at_least(escrow.saturating_sub(due), self.paid.vip))
    }
}

/// An end that both parties consent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// The dispute that it ends; zero outside a dispute.
    pub epoch: u64,
    /// What each side is paid: together the whole escrow.
    pub paid: Payout,
    /// Last second at which the consents may be used.
    pub deadline: u64,
}

/// Why a consent is refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentRefusal {
    /// The channel is settled.
    #[error("the channel is settled")]
    Settled,
    /// Withdrawals wait until a dispute is over.
    #[error("the channel is disputed")]
    Disputed,
    /// The consent has another number than the channel's next.
    #[error("consent {got} is not the channel's next, {next}")]
    Seq {
        /// The number of the next consent.
        next: u64,
        /// The consent's number.
        got: u64,
    },
    /// The deadline has passed.
    #[error("the consent expired at {0}")]
    Expired(u64),
    /// The consented state is not newer than the checkpoint.
    #[error("nonce {got} is not above the checkpoint's {checkpoint}")]
    NotNewer {
        /// The checkpoint's nonce.
        checkpoint: Nonce,
        /// The state's nonce.
        got: Nonce,
    },
    /// The close names another dispute than the one that is open, or one where none is.
    #[error("the close names dispute {got}, not {open}")]
    Epoch {
        /// The open dispute; zero if there is none.
        open: u64,
        /// The named one.
        got: u64,
    },
    /// A close pays the whole escrow.
    #[error("{paid} is not the escrow {escrow}")]
    NotTheWholeEscrow {
        /// The sum of both payments.
        paid: u128,
        /// The escrow.
        escrow: Amount,
    },
    /// The ledger refuses the state or the payment.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The dispute refuses the announcement.
    #[error(transparent)]
    Dispute(#[from] game::Refusal),
}

/// The part of a live channel that consents move: ledger, checkpoint, and the count of executed consents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    ledger: Ledger,
    checkpoint: Checkpoint,
    seq: u64,
    /// How many disputes it has had; the open one's number.
    epoch: u64,
    settled: bool,
}

/// The state that needs no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its nonce; every other state needs a greater one.
    pub nonce: Nonce,
    /// Its ledger version.
    pub version: EscrowVersion,
    /// The participant's balance in it.
    pub balance: Amount,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { nonce: Nonce::ZERO, version: EscrowVersion::ZERO, balance: Amount::ZERO }
    }
}

impl Channel {
    /// A live channel with this ledger, before any consent.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// The ledger.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The ledger, for deposits and allocations.
    pub const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// The state that needs no proof.
    #[must_use]
    pub const fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// The number of the next consent.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether the channel is paid out.
    #[must_use]
    pub const fn settled(&self) -> bool {
        self.settled
    }

    /// A dispute was opened; returns its number.
    pub const fn disputed(&mut self) -> u64 {
        self.epoch = self.epoch.saturating_add(1);
        self.epoch
    }

    /// Executes a withdrawal, consent number `seq`, at `now`. Both sides are credited what it says; returns the new version.
    ///
    /// # Errors
    /// [`ConsentRefusal`], but for those of a close.
    pub fn withdraw(
        &mut self,
        seq: u64,
        withdrawal: &Withdrawal,
        now: u64,
    ) -> Result<EscrowVersion, ConsentRefusal> {
        if self.epoch != 0 && !self.settled {
            return Err(ConsentRefusal::Disputed);
        }
        self.check(seq, withdrawal.deadline, now)?;
        let Withdrawal { nonce, version, balance, paid, .. } = *withdrawal;
        if nonce <= self.checkpoint.nonce {
            return Err(ConsentRefusal::NotNewer { checkpoint: self.checkpoint.nonce, got: nonce });
        }
        let appended = self.ledger.withdraw(version, balance, paid.participant, paid.vip)?;
        self.checkpoint = Checkpoint { nonce, version, balance };
        self.seq = self.seq.saturating_add(1);
        Ok(appended)
    }

    /// Executes a close, consent number `seq`, at `now`: pays out, or announces the end of `dispute`, the open one.
    ///
    /// # Errors
    /// [`ConsentRefusal`], but for those of a withdrawal.
    pub fn close(
        &mut self,
        seq: u64,
        closing: &Closing,
        dispute: Option<&mut DisputeGame>,
        now: u64,
    ) -> Result<(), ConsentRefusal> {
        self.check(seq, closing.deadline, now)?;
        let open = if dispute.is_some() { self.epoch } else { 0 };
        if closing.epoch != open {
            return Err(ConsentRefusal::Epoch { open, got: closing.epoch });
        }
        let (paid, escrow) = (closing.paid.total(), self.ledger.newest().escrow());
        if paid != escrow.get() {
            return Err(ConsentRefusal::NotTheWholeEscrow { paid, escrow });
        }
        match dispute {
            Some(game) => {
                game.announce(closing.paid, now)?;
            }
            None => self.settled = true,
        }
        self.seq = self.seq.saturating_add(1);
        Ok(())
    }

    const fn check(&self, seq: u64, deadline: u64, now: u64) -> Result<(), ConsentRefusal> {
        if self.settled {
            return Err(ConsentRefusal::Settled);
        }
        if now > deadline {
            return Err(ConsentRefusal::Expired(deadline));
        }
        if seq != self.seq {
            return Err(ConsentRefusal::Seq { next: self.seq, got: seq });
        }
        Ok(())
    }
}
