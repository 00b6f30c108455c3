//! The escrow of one channel, version by version, and what a state pays from it.
//!
//! Version v keeps two signed sums: `p`, what the participant put in less what it took out, and `h`, the same for the
//! counterparty's pool. `escrow(v) = p(v) + h(v)`. Version 0 is (0, 0); a deposit, an allocation and a withdrawal each
//! append a version.
//!
//! **Invariant:** `0 <= escrow(v) < 2^112` and `-2^112 < p, h < 2^112` for every version.

use serde::{Deserialize, Serialize};

use crate::ids::{Amount, EscrowVersion, Role};

/// Both sums of a version are strictly between -2^112 and 2^112.
const SUM_END: i128 = 1 << 112;

/// Why the ledger refuses an entry or a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Versions are appended one by one.
    #[error("version {got} does not follow version {last}")]
    NotNext {
        /// The last version of the ledger.
        last: EscrowVersion,
        /// The version that was to be appended.
        got: EscrowVersion,
    },
    /// The sums of a version are out of range, or their total is.
    #[error("the sums {p} and {h} make no escrow below 2^112")]
    OutOfRange {
        /// The participant's sum.
        p: i128,
        /// The pool's sum.
        h: i128,
    },
    /// The state names a version that the ledger does not have.
    #[error("version {0} is not in the ledger")]
    UnknownVersion(EscrowVersion),
    /// The state gives the participant more than its version holds.
    #[error("balance {balance} exceeds the escrow {escrow} of version {version}")]
    BalanceExceedsEscrow {
        /// The state's version.
        version: EscrowVersion,
        /// The state's balance.
        balance: Amount,
        /// What that version holds.
        escrow: Amount,
    },
    /// A withdrawal takes more than the side is due.
    #[error("a withdrawal takes more than the state leaves that side")]
    WithdrawalNotCovered,
    /// All 2^56 versions are used.
    #[error("no version is left")]
    Full,
}

/// One version of the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    p: i128,
    h: i128,
}

impl Entry {
    /// The entry with the participant's sum `p` and the pool's sum `h`.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`] when a sum or the escrow is out of range.
    pub fn new(p: i128, h: i128) -> Result<Self, LedgerError> {
        let in_range = |sum: i128| -SUM_END < sum && sum < SUM_END;
        let total = p.checked_add(h).filter(|total| (0..SUM_END).contains(total));
        if in_range(p) && in_range(h) && total.is_some() {
            Ok(Self { p, h })
        } else {
            Err(LedgerError::OutOfRange { p, h })
        }
    }

    /// What the participant put in less what it took out, in base units.
    #[must_use]
    pub const fn p(&self) -> i128 {
        self.p
    }

    /// What the pool put in less what it took out, in base units.
    #[must_use]
    pub const fn h(&self) -> i128 {
        self.h
    }

    /// What this version holds.
    #[must_use]
    pub fn escrow(&self) -> Amount {
        clamp(self.p.saturating_add(self.h), Amount::MAX)
    }
}

/// `value` moved into `0 ..= most`.
fn clamp(value: i128, most: Amount) -> Amount {
    let positive = u128::try_from(value).unwrap_or(0);
    Amount::try_from(positive).map_or(most, |amount| amount.min(most))
}

/// An amount as a signed integer; amounts are below 2^112, so none is lost.
fn signed(amount: Amount) -> i128 {
    i128::try_from(amount.get()).unwrap_or(i128::MAX)
}

/// What a state pays the two sides, in base units. The sum is the escrow of the newest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// To the participant's account.
    pub participant: Amount,
    /// To the counterparty's pool.
    pub vip: Amount,
}

impl Payout {
    /// Both parts together.
    #[must_use]
    pub const fn total(&self) -> u128 {
        // Two values below 2^112.
        self.participant.get().saturating_add(self.vip.get())
    }

    /// The part of one side; the counterparty's is its pool's.
    #[must_use]
    pub const fn of(&self, role: Role) -> Amount {
        match role {
            Role::Participant => self.participant,
            Role::Counterparty => self.vip,
        }
    }
}

/// All versions of one channel's escrow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Versions 1 and on; version 0 is the empty entry.
    appended: Vec<Entry>,
}

impl Ledger {
    /// The ledger of a new channel: version 0 alone.
    #[must_use]
    pub const fn new() -> Self {
        Self { appended: Vec::new() }
    }

    /// The newest version.
    #[must_use]
    pub fn last(&self) -> EscrowVersion {
        u64::try_from(self.appended.len())
            .ok()
            .and_then(|count| EscrowVersion::try_from(count).ok())
            .unwrap_or(EscrowVersion::MAX)
    }

    /// The newest entry.
    #[must_use]
    pub fn newest(&self) -> Entry {
        self.appended.last().copied().unwrap_or_default()
    }

    /// The entry of `version`.
    ///
    /// # Errors
    /// [`LedgerError::UnknownVersion`] when the ledger does not have it.
    pub fn entry(&self, version: EscrowVersion) -> Result<Entry, LedgerError> {
        let Some(index) = version.get().checked_sub(1) else { return Ok(Entry::default()) };
        usize::try_from(index)
            .ok()
            .and_then(|index| self.appended.get(index))
            .copied()
            .ok_or(LedgerError::UnknownVersion(version))
    }

    /// What `version` holds.
    ///
    /// # Errors
    /// [`LedgerError::UnknownVersion`] when the ledger does not have it.
    pub fn escrow(&self, version: EscrowVersion) -> Result<Amount, LedgerError> {
        self.entry(version).map(|entry| entry.escrow())
    }

    /// Appends what the chain reported as `version`.
    ///
    /// # Errors
    /// [`LedgerError::NotNext`] unless `version` follows the newest, [`LedgerError::OutOfRange`] for impossible sums.
    pub fn append(&mut self, version: EscrowVersion, p: i128, h: i128) -> Result<(), LedgerError> {
        let last = self.last();
        if last.next() != Some(version) {
            return Err(LedgerError::NotNext { last, got: version });
        }
        self.appended.push(Entry::new(p, h)?);
        Ok(())
    }

    /// Forgets every version after `version`: a reorganised chain took them back.
    pub fn rewind(&mut self, version: EscrowVersion) {
        self.appended.truncate(usize::try_from(version.get()).unwrap_or(usize::MAX));
    }

    /// The participant adds `amount`. Returns the new version.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`] when the escrow would reach 2^112, [`LedgerError::Full`] after the last version.
    pub fn deposit(&mut self, amount: Amount) -> Result<EscrowVersion, LedgerError> {
        self.change(signed(amount), 0)
    }

    /// The pool adds `amount`. Returns the new version.
    ///
    /// # Errors
    /// As [`Ledger::deposit`].
    pub fn allocate(&mut self, amount: Amount) -> Result<EscrowVersion, LedgerError> {
        self.change(0, signed(amount))
    }

    /// A cooperative withdrawal under the doubly consented state (`version`, `balance`): the participant takes
    /// `to_participant`, the pool `to_vip`. Returns the new version.
    ///
    /// # Errors
    /// [`LedgerError::WithdrawalNotCovered`] when the state leaves a side less than it takes, and the errors of
    /// [`Ledger::payout`].
    pub fn withdraw(
        &mut self,
        version: EscrowVersion,
        balance: Amount,
        to_participant: Amount,
        to_vip: Amount,
    ) -> Result<EscrowVersion, LedgerError> {
        let raw = self.unclamped(version, balance)?;
        let escrow = signed(self.newest().escrow());
        let participant_covered = (signed(to_participant)..=escrow).contains(&raw);
        if !participant_covered || signed(to_vip) > escrow.saturating_sub(raw) {
            return Err(LedgerError::WithdrawalNotCovered);
        }
        self.change(signed(to_participant).saturating_neg(), signed(to_vip).saturating_neg())
    }

    fn change(&mut self, p: i128, h: i128) -> Result<EscrowVersion, LedgerError> {
        let version = self.last().next().ok_or(LedgerError::Full)?;
        let newest = self.newest();
        self.append(version, newest.p.saturating_add(p), newest.h.saturating_add(h))?;
        Ok(version)
    }

    /// What the participant is due under (`version`, `balance`), before it is moved into the escrow:
    /// `balance + p(now) - p(version)`. Between honest nodes it is always within.
    ///
    /// # Errors
    /// [`LedgerError::UnknownVersion`] and [`LedgerError::BalanceExceedsEscrow`].
    pub fn unclamped(&self, version: EscrowVersion, balance: Amount) -> Result<i128, LedgerError> {
        let entry = self.entry(version)?;
        let escrow = entry.escrow();
        if balance > escrow {
            return Err(LedgerError::BalanceExceedsEscrow { version, balance, escrow });
        }
        // Three values below 2^112 in size: no sum of them comes near the end of the type.
        Ok(signed(balance).saturating_add(self.newest().p).saturating_sub(entry.p))
    }

    /// What a state (`version`, `balance`) pays each side now. Additions after `version` return to who added them,
    /// withdrawals after it are charged to who received them.
    ///
    /// # Errors
    /// [`LedgerError::UnknownVersion`] and [`LedgerError::BalanceExceedsEscrow`].
    pub fn payout(&self, version: EscrowVersion, balance: Amount) -> Result<Payout, LedgerError> {
        let escrow = self.newest().escrow();
        let participant = clamp(self.unclamped(version, balance)?, escrow);
        let vip = escrow.checked_sub(participant).unwrap_or(Amount::ZERO);
        Ok(Payout { participant, vip })
    }
}
