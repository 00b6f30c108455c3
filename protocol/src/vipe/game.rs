//! One dispute, move by move.
//!
//! ```text
//! open (W = C = claim) --lower--> W falls, the beneficiary is paid at once --+
//!       |              --equal--> the nonce moves                            |--> settle, once now >= deadline
//!       |              --raise--> W grows, once, by the disputer alone ------+
//!       |              --close--> both agree on the asset; lower and equal go on until a nearer deadline
//! ```
//!
//! `W` is the claim that stands: what the disputer would be paid. `C` is its peak: the largest claim that the disputer
//! itself put forward. The escrow is frozen while a dispute is open, so a state's claim never changes under way.
//!
//! **Invariant:** the dispute holds exactly `fee + bond(W)`: every move pays out or takes in the difference.
//!
//! **Invariant:** a lowering is paid by its size alone and at once; nothing before or after it changes that.
//!
//! **Invariant:** the nonce that stands strictly increases.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::bond::{Rate, Rules, bond, opening_fee, share};
use super::ledger::Payout;
pub use super::refusal::Refusal;
use crate::ids::{Amount, Nonce, Role};

/// The opening of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Which party disputes.
    pub disputer: Role,
    /// The nonce of the channel's checkpoint.
    pub checkpoint: Nonce,
    /// The nonce of the state put forward.
    pub nonce: Nonce,
    /// What that state pays the disputer.
    pub pays: Amount,
    /// What the disputer claims, at most `pays`.
    pub claim: Amount,
    /// The channel's escrow now.
    pub escrow: Amount,
    /// Wei sent along.
    pub value: U256,
    /// The block's base fee, in wei.
    pub base_fee: u128,
    /// The block's time, in seconds.
    pub now: u64,
}

/// An override of the claim that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The nonce of the newer state.
    pub nonce: Nonce,
    /// W': what the newer state pays the disputer.
    pub pays: Amount,
    /// Whether the sender is the disputer's account.
    pub by_disputer: bool,
    /// Whom the proof names.
    pub beneficiary: Address,
    /// Wei sent along.
    pub value: U256,
    /// The block's time, in seconds.
    pub now: u64,
}

/// What an override did to the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveKind {
    /// The claim fell.
    Lower,
    /// Only the nonce moved.
    Equal,
    /// The disputer raised its claim.
    Raise,
}

/// What an override credited, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paid {
    /// Which kind of override it was.
    pub kind: MoveKind,
    /// To the beneficiary.
    pub to_beneficiary: U256,
    /// To the party that did not open the dispute.
    pub to_other: U256,
}

/// How a dispute ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// The asset to the disputer's side.
    pub to_disputer: Amount,
    /// The asset to the other side, the slash included.
    pub to_other: Amount,
    /// What of the disputer's claim the other side got.
    pub slash: Amount,
    /// The bond, in wei, back to who paid it: above what a raise found to the disputer, the rest to who opened.
    pub bond_returned: U256,
    /// The fee, in wei.
    pub fee: U256,
    /// Who gets the fee: the last corrector, or nobody corrected and it returns with the bond.
    pub corrector: Option<Address>,
}

/// Where a dispute stands; the facts that the chain shows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which party disputes.
    pub disputer: Role,
    /// The nonce that stands.
    pub nonce: Nonce,
    /// W: what the disputer would be paid.
    pub claim: Amount,
    /// C: the largest claim that the disputer itself put forward.
    pub peak: Amount,
    /// F, in wei.
    pub fee: U256,
    /// Whether the disputer used its one raise.
    pub raised: bool,
    /// The beneficiary of the last lowering.
    pub corrector: Option<Address>,
    /// When the window began, in the chain's seconds.
    pub opened_at: u64,
    /// The deadline without extensions.
    pub window_end: u64,
    /// The deadline: overrides before it, settlement from it on.
    pub deadline: u64,
    /// What the sides are paid by a close that both announced, instead of what stands.
    #[serde(default)]
    pub agreed: Option<Payout>,
}

/// One dispute and its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeGame {
    rules: Rules,
    rate: Rate,
    escrow: Amount,
    standing: Standing,
    settled: bool,
}

impl DisputeGame {
    /// Opens a dispute. Returns it and the wei that are credited back because they were too many.
    ///
    /// # Errors
    /// [`Refusal::BelowCheckpoint`], [`Refusal::ClaimTooLarge`], [`Refusal::ExceedsEscrow`] and
    /// [`Refusal::ValueTooSmall`].
    pub fn open(rules: Rules, rate: Rate, opening: &Opening) -> Result<(Self, U256), Refusal> {
        let Opening { checkpoint, nonce, pays, claim, escrow, value, now, .. } = *opening;
        if nonce < checkpoint {
            return Err(Refusal::BelowCheckpoint { checkpoint, got: nonce });
        }
        if pays > escrow {
            return Err(Refusal::ExceedsEscrow(pays));
        }
        if claim > pays {
            return Err(Refusal::ClaimTooLarge { claim, pays });
        }
        let fee = opening_fee(&rules, opening.base_fee);
        let needed = fee.saturating_add(bond(claim, rate));
        let back = value.checked_sub(needed).ok_or(Refusal::ValueTooSmall { needed })?;
        let deadline = now.saturating_add(rules.dispute_window);
        let standing = Standing {
            disputer: opening.disputer,
            nonce,
            claim,
            peak: claim,
            fee,
            raised: false,
            corrector: None,
            opened_at: now,
            window_end: deadline,
            deadline,
            agreed: None,
        };
        Ok((Self { rules, rate, escrow, standing, settled: false }, back))
    }

    /// The dispute that stands so on the chain.
    #[must_use]
    pub const fn resume(rules: Rules, rate: Rate, escrow: Amount, standing: Standing) -> Self {
        Self { rules, rate, escrow, standing, settled: false }
    }

    /// Where the dispute stands.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What the dispute holds, in wei: the fee and the bond of the claim that stands; nothing once it is settled.
    #[must_use]
    pub fn held(&self) -> U256 {
        if self.settled { U256::ZERO } else { self.standing.fee.saturating_add(self.bond()) }
    }

    fn bond(&self) -> U256 {
        bond(self.standing.claim, self.rate)
    }

    /// Puts a newer state in the place of the one that stands.
    ///
    /// # Errors
    /// Every [`Refusal`] that is not one of an opening or of a settlement.
    pub fn override_with(&mut self, step: &Move) -> Result<Paid, Refusal> {
        let Standing { nonce, claim, deadline, .. } = self.standing;
        if self.settled {
            return Err(Refusal::AlreadySettled);
        }
        if step.now >= deadline {
            return Err(Refusal::WindowClosed { deadline });
        }
        if step.nonce <= nonce {
            return Err(Refusal::NotNewer { standing: nonce, got: step.nonce });
        }
        if step.beneficiary.is_zero() {
            return Err(Refusal::ZeroBeneficiary);
        }
        if step.pays > self.escrow {
            return Err(Refusal::ExceedsEscrow(step.pays));
        }
        let (before, after) = (self.bond(), bond(step.pays, self.rate));
        let paid = if step.pays > claim {
            self.raise(step, after.saturating_sub(before))?
        } else {
            self.lower_or_equal(step, before.saturating_sub(after))?
        };
        self.standing.nonce = step.nonce;
        self.standing.claim = step.pays;
        Ok(paid)
    }

    fn raise(&mut self, step: &Move, needed: U256) -> Result<Paid, Refusal> {
        if !step.by_disputer {
            return Err(Refusal::RaiseByOther);
        }
        if self.standing.raised {
            return Err(Refusal::RaisedBefore);
        }
        if self.standing.agreed.is_some() {
            return Err(Refusal::Closing);
        }
        if step.value != needed {
            return Err(Refusal::ValueMismatch { needed });
        }
        let standing = &mut self.standing;
        standing.raised = true;
        standing.peak = standing.peak.max(step.pays);
        // A whole new window, so that a raise in the last minute leaves everybody the time of an opening.
        standing.opened_at = step.now;
        standing.window_end = step.now.saturating_add(self.rules.dispute_window);
        standing.deadline = standing.window_end;
        Ok(Paid { kind: MoveKind::Raise, to_beneficiary: U256::ZERO, to_other: U256::ZERO })
    }

    fn lower_or_equal(&mut self, step: &Move, freed: U256) -> Result<Paid, Refusal> {
        if !step.value.is_zero() {
            return Err(Refusal::ValueMismatch { needed: U256::ZERO });
        }
        if step.pays == self.standing.claim {
            let (to_beneficiary, to_other) = (U256::ZERO, U256::ZERO);
            return Ok(Paid { kind: MoveKind::Equal, to_beneficiary, to_other });
        }
        let to_beneficiary = share(freed, self.rules.tower_bps);
        let to_other = freed.saturating_sub(to_beneficiary);
        self.standing.corrector = Some(step.beneficiary);
        self.extend(step.now);
        Ok(Paid { kind: MoveKind::Lower, to_beneficiary, to_other })
    }

    /// Leaves at least `response_extension`, as far as `max_extension` after the window's end allows.
    fn extend(&mut self, now: u64) {
        let Rules { response_extension, max_extension, .. } = self.rules;
        let standing = &mut self.standing;
        let extends = standing.agreed.is_none();
        if extends && standing.deadline.saturating_sub(now) < response_extension {
            let latest = standing.window_end.saturating_add(max_extension);
            let wanted = now.saturating_add(response_extension).min(latest);
            standing.deadline = standing.deadline.max(wanted);
        }
    }

    /// Announces how both parties end the dispute: `agreed`, the whole escrow, is what settlement pays of the asset; the
    /// ether is paid as without it. Overrides stay valid and paid until the deadline that is returned.
    ///
    /// # Errors
    /// [`Refusal::AlreadySettled`], [`Refusal::NotTheWholeEscrow`], [`Refusal::WindowClosed`], and [`Refusal::Closing`] a
    /// second time.
    pub fn announce(&mut self, agreed: Payout, now: u64) -> Result<u64, Refusal> {
        if self.settled {
            return Err(Refusal::AlreadySettled);
        }
        let paid = agreed.participant.get().saturating_add(agreed.vip.get());
        if paid != self.escrow.get() {
            return Err(Refusal::NotTheWholeEscrow { paid, escrow: self.escrow });
        }
        let standing = &mut self.standing;
        if now >= standing.deadline {
            return Err(Refusal::WindowClosed { deadline: standing.deadline });
        }
        if standing.agreed.is_some() {
            return Err(Refusal::Closing);
        }
        standing.agreed = Some(agreed);
        standing.deadline =
            standing.deadline.min(now.saturating_add(self.rules.response_extension));
        Ok(standing.deadline)
    }

    /// What settlement would pay if the claim that stands stayed.
    #[must_use]
    pub fn outcome(&self) -> Settlement {
        let Standing { claim, peak, fee, corrector, disputer, agreed, .. } = self.standing;
        let bond_returned = self.bond();
        if let Some(agreed) = agreed {
            let (to_disputer, to_other) = (agreed.of(disputer), agreed.of(disputer.other()));
            let slash = Amount::ZERO;
            return Settlement { to_disputer, to_other, slash, bond_returned, fee, corrector };
        }
        let struck = peak.checked_sub(claim).unwrap_or(Amount::ZERO);
        let due = share(struck.to_word(), self.rules.slash_bps);
        let slash = Amount::try_from(due).unwrap_or(Amount::MAX).min(claim);
        let to_disputer = claim.checked_sub(slash).unwrap_or(Amount::ZERO);
        let to_other = self.escrow.checked_sub(to_disputer).unwrap_or(Amount::ZERO);
        Settlement { to_disputer, to_other, slash, bond_returned, fee, corrector }
    }

    /// Pays what stands. By anybody, from the deadline on.
    ///
    /// # Errors
    /// [`Refusal::WindowOpen`] before the deadline, [`Refusal::AlreadySettled`] a second time.
    pub fn settle(&mut self, now: u64) -> Result<Settlement, Refusal> {
        if self.settled {
            return Err(Refusal::AlreadySettled);
        }
        if now < self.standing.deadline {
            return Err(Refusal::WindowOpen { deadline: self.standing.deadline });
        }
        let outcome = self.outcome();
        self.settled = true;
        Ok(outcome)
    }
}
