//! What may follow what: the one change that an update makes, and the state that comes of it.
//!
//! ```text
//!   balance(next) = balance + p(v) - p(u)   the move from escrow version u to v
//!                   - amount                 a debit: the participant pays
//!                   + amount                 a credit: the participant is paid
//! ```
//!
//! **Invariant:** whoever applies one transition to one state gets one next state; both sides compute it themselves.
//!
//! **Invariant:** a next state has the nonce after, a version that does not decrease and a balance its escrow holds.

use core::fmt;

use alloy_primitives::{B256, hex};
use serde::{Deserialize, Serialize};

use crate::{
    encoding::{DecodeError, Reader, bytes32_elements},
    hash::{Digest, element_to_bytes, poseidon},
    ids::{Amount, EscrowVersion, Nonce},
    tags,
    vipe::{Ledger, LedgerError},
    zksc::state::{AppRoot, State},
};

/// Why no state follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransitionError {
    /// All nonces are used.
    #[error("no nonce is left")]
    NoNonce,
    /// The version would decrease.
    #[error("version {to} is below version {from}")]
    VersionDecreases {
        /// The last state's version.
        from: EscrowVersion,
        /// The next state's version.
        to: EscrowVersion,
    },
    /// The ledger that this node knows to be final does not have the version, or the old state is not of it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The participant would have less than nothing, or more than the escrow.
    #[error("the balance would leave the escrow")]
    BalanceOutOfRange,
    /// A payment of nothing, or a change of nothing at all.
    #[error("the transition changes nothing")]
    Nothing,
    /// One update may only move so much.
    #[error("{amount} is more than one update may move ({limit})")]
    AboveMaxUpdate {
        /// What was to be moved.
        amount: Amount,
        /// The channel's `max_update`.
        limit: Amount,
    },
    /// The state that was put forward is not the one that the transition gives.
    #[error("the state is not the one that the transition gives")]
    OtherState,
}

/// One payment through the hub: the same id stands in the debit on one channel and in the credit on another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "B256", into = "B256")]
pub struct PaymentId(pub [u8; 32]);

impl From<B256> for PaymentId {
    fn from(bytes: B256) -> Self {
        Self(bytes.0)
    }
}

impl From<PaymentId> for B256 {
    fn from(id: PaymentId) -> Self {
        Self::new(id.0)
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode_prefixed(self.0))
    }
}

impl fmt::Debug for PaymentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PaymentId({self})")
    }
}

/// The blinding of an app root: 32 random bytes, fresh for every state. A dispute shows the root to every tower, so
/// without them anybody could try out what it commits to. Does not print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// The salt of these 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for whoever opens the commitment.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Salt(..)")
    }
}

/// The hiding commitment: Poseidon(tag, payment (5), salt (5), content (4)).
#[must_use]
pub fn commit(payment: &PaymentId, salt: &Salt, content: &Digest) -> AppRoot {
    let [p0, p1, p2, p3, p4] = bytes32_elements(&payment.0);
    let [s0, s1, s2, s3, s4] = bytes32_elements(&salt.0);
    let [c0, c1, c2, c3] = content.elements();
    let inputs = [p0, p1, p2, p3, p4, s0, s1, s2, s3, s4, c0, c1, c2, c3];
    poseidon(tags::APP_ROOT, inputs).elements()
}

/// What an update does to the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The participant pays the amount to the counterparty.
    Debit(Amount, PaymentId),
    /// The participant is paid the amount by the counterparty.
    Credit(Amount, PaymentId),
    /// Nothing but the move to a newer version of the escrow.
    Rebase,
}

/// The explanation of a next state: the change, the version that it moves to, and what its app root commits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// What happens to the balance.
    pub change: Change,
    /// The version of the escrow that the next state spends from.
    pub version: EscrowVersion,
    /// The blinding of the app root.
    pub salt: Salt,
    /// The application's own data, as a digest; any value.
    pub content: Digest,
}

const DEBIT: u8 = 1;
const CREDIT: u8 = 2;
const REBASE: u8 = 3;

impl Transition {
    /// Bytes of an encoded transition.
    pub const LEN: usize = 1 + 16 + 32 + 8 + 32 + 32;

    /// The change as kind, amount and payment; the last two are zero for a rebase.
    fn parts(&self) -> (u8, Amount, PaymentId) {
        match self.change {
            Change::Debit(amount, payment) => (DEBIT, amount, payment),
            Change::Credit(amount, payment) => (CREDIT, amount, payment),
            Change::Rebase => (REBASE, Amount::ZERO, PaymentId([0; 32])),
        }
    }

    /// The hiding commitment of the next state.
    #[must_use]
    pub fn app_root(&self) -> AppRoot {
        let (_, _, payment) = self.parts();
        commit(&payment, &self.salt, &self.content)
    }

    /// Poseidon(tag, kind, amount (2), payment (5), version, salt (5), content (4)): what a proposal signs beside the state.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let (kind, amount, payment) = self.parts();
        let kind = plonky2_field::types::Field::from_canonical_u64(u64::from(kind));
        let [a0, a1] = amount.limbs();
        let [p0, p1, p2, p3, p4] = bytes32_elements(&payment.0);
        let [s0, s1, s2, s3, s4] = bytes32_elements(&self.salt.0);
        let [c0, c1, c2, c3] = self.content.elements();
        let version = self.version.element();
        poseidon(
            tags::TRANSITION,
            [kind, a0, a1, p0, p1, p2, p3, p4, version, s0, s1, s2, s3, s4, c0, c1, c2, c3],
        )
    }

    /// The encoding: kind, amount (16 bytes), payment (32), version (8), salt (32), content (32); big endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let (kind, amount, payment) = self.parts();
        let mut bytes = [0; Self::LEN];
        let fields = core::iter::once(kind)
            .chain(amount.get().to_be_bytes())
            .chain(payment.0)
            .chain(self.version.get().to_be_bytes())
            .chain(self.salt.0)
            .chain(self.content.elements().into_iter().flat_map(element_to_bytes));
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    /// Reads what [`Transition::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but one canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, Self::LEN)?;
        let transition = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(transition)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.byte()?;
        let amount = reader.amount()?;
        let payment = PaymentId(reader.take()?);
        let change = match kind {
            DEBIT => Change::Debit(amount, payment),
            CREDIT => Change::Credit(amount, payment),
            REBASE if amount == Amount::ZERO && payment.0 == [0; 32] => Change::Rebase,
            REBASE => return Err(DecodeError::Shape),
            other => return Err(DecodeError::Kind(other)),
        };
        let version = reader.version()?;
        let salt = Salt(reader.take()?);
        Ok(Self { change, version, salt, content: reader.digest()? })
    }

    /// The state that follows `state`. `ledger` holds the versions that are final on the chain this node follows, and
    /// `max_update` bounds what one update may move.
    ///
    /// # Errors
    /// [`TransitionError`].
    pub fn apply(
        &self,
        state: &State,
        ledger: &Ledger,
        max_update: Amount,
    ) -> Result<State, TransitionError> {
        let moved = self.rebase(state, ledger)?;
        let in_range = |balance: Option<Amount>| balance.ok_or(TransitionError::BalanceOutOfRange);
        let (amount, balance) = match self.change {
            Change::Debit(amount, _) => (amount, in_range(moved.checked_sub(amount))?),
            Change::Credit(amount, _) => (amount, in_range(moved.checked_add(amount))?),
            Change::Rebase if self.version == state.version => {
                return Err(TransitionError::Nothing);
            }
            Change::Rebase => (Amount::ZERO, moved),
        };
        if amount == Amount::ZERO && self.change != Change::Rebase {
            return Err(TransitionError::Nothing);
        }
        if amount > max_update {
            return Err(TransitionError::AboveMaxUpdate { amount, limit: max_update });
        }
        if balance > ledger.escrow(self.version)? {
            return Err(TransitionError::BalanceOutOfRange);
        }
        let nonce: Nonce = state.nonce.next().ok_or(TransitionError::NoNonce)?;
        let (version, app_root) = (self.version, self.app_root());
        Ok(State { nonce, version, balance, app_root, ..*state })
    }

    /// The balance of `state` at this transition's version: `balance + p(v) - p(u)`.
    fn rebase(&self, state: &State, ledger: &Ledger) -> Result<Amount, TransitionError> {
        let (from, to) = (state.version, self.version);
        if to < from {
            return Err(TransitionError::VersionDecreases { from, to });
        }
        let (old, new) = (ledger.entry(from)?, ledger.entry(to)?);
        // Sums are below 2^112 in size, so neither operation overflows 128 bits.
        let moved = new.p().checked_sub(old.p()).and_then(|step| {
            i128::try_from(state.balance.get()).ok().and_then(|balance| balance.checked_add(step))
        });
        moved
            .and_then(|balance| u128::try_from(balance).ok())
            .and_then(|balance| Amount::try_from(balance).ok())
            .filter(|balance| *balance <= new.escrow())
            .ok_or(TransitionError::BalanceOutOfRange)
    }

    /// Checks that `next` is what this transition makes of `state`.
    ///
    /// # Errors
    /// [`TransitionError::OtherState`] when it is another, and the errors of [`Transition::apply`].
    pub fn check(
        &self,
        state: &State,
        next: &State,
        ledger: &Ledger,
        max_update: Amount,
    ) -> Result<(), TransitionError> {
        if self.apply(state, ledger, max_update)? == *next {
            Ok(())
        } else {
            Err(TransitionError::OtherState)
        }
    }
}
