//! The debt note: a payer's proof that the hub took its money for a payee, and the answers by which the hub is quit.
//!
//! ```text
//!   FinalState of the payer --app_root--> (payment, salt, content) --content--> history root --proof--> debit entry
//!   Terms --id--> the entry's payment            both parties signed the state, so the hub itself says so
//! ```
//!
//! Nobody can prove that something did *not* happen, so a note says what is owed unless the hub answers. The hub can
//! answer in three ways: the payee's receipt, the payee's final state with the credit in its history, or the payer's own
//! final state with the payment paid back.
//!
//! **Invariant:** a note verifies only if both parties of the payer's channel signed a state whose history has the debit.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{
    history::{Entry, EntryKind, HistoryProof},
    receipt::SignedReceipt,
    terms::Terms,
    wire,
};
use crate::{
    ids::{Amount, Nonce, Role},
    schnorr::SignatureError,
    zksc::{
        Channel, FinalState, PaymentId, Salt, UnverifiedFinal, VerifyError, transition::commit,
    },
};

/// Why a note or an answer proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The channels are not those of the terms.
    #[error("the channels are not those of the terms")]
    OtherChannel,
    /// The two channels have different hubs, or different assets.
    #[error("the two channels have no common hub and asset")]
    OtherHub,
    /// The state is not signed by both.
    #[error("the state: {0}")]
    State(#[from] VerifyError),
    /// The commitment does not open to what is shown.
    #[error("the app root does not open to this history")]
    Opening,
    /// The entry is not the debit or the credit of the terms.
    #[error("the entry is not this payment's")]
    OtherEntry,
    /// The receipt is not the payee's.
    #[error("the receipt: {0}")]
    Receipt(#[from] SignatureError),
}

/// A final state whose app root is opened, and one entry of its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// What claims to be a final state.
    #[serde(with = "wire::unverified_final")]
    pub state: UnverifiedFinal,
    /// The payment of the state's own update.
    pub payment: PaymentId,
    /// The blinding.
    #[serde(with = "wire::salt")]
    pub salt: Salt,
    /// The entry that is shown.
    pub entry: Entry,
    /// That the entry is in the history.
    pub proof: HistoryProof,
}

impl Commitment {
    /// Checks all signatures, the opening and the entry's place.
    ///
    /// # Errors
    /// [`NoteError::State`] and [`NoteError::Opening`].
    pub fn verify(&self, channel: &Channel) -> Result<FinalState, NoteError> {
        let content = self.proof.root(&self.entry).ok_or(NoteError::Opening)?;
        if commit(&self.payment, &self.salt, &content) != self.state.state.app_root {
            return Err(NoteError::Opening);
        }
        Ok(self.state.verify(channel)?)
    }

    /// The entry is this payment's, of this kind and size.
    fn shows(&self, kind: EntryKind, amount: Amount, terms: &Terms) -> Result<(), NoteError> {
        let Entry { kind: found, amount: moved, payment, .. } = self.entry;
        if found == kind && moved == amount && payment == terms.id() {
            Ok(())
        } else {
            Err(NoteError::OtherEntry)
        }
    }
}

/// What a payer shows to whoever must decide: the terms, and the debit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebtNote {
    /// What was to be paid to whom.
    pub terms: Terms,
    /// The debit in the payer's final state.
    pub debit: Commitment,
}

/// What a verified note says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// Who owes: the account of both channels' counterparty.
    pub hub: Address,
    /// To whom: the payee's account.
    pub payee: Address,
    /// What the payee is owed, in base units.
    pub amount: Amount,
    /// What the payer was debited and gets back if the payee is not paid, in base units.
    pub debited: Amount,
    /// The nonce of the debit.
    pub nonce: Nonce,
}

/// How a hub is quit of a debt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The payee says that it was paid.
    Receipt(SignedReceipt),
    /// The payee's final state has the credit.
    Credit(Box<Commitment>),
    /// The payer's own final state has the payment paid back.
    PaidBack(Box<Commitment>),
}

/// What follows from a note and the hub's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ruling", rename_all = "snake_case")]
pub enum Ruling {
    /// The hub owes.
    Owed(Debt),
    /// The payee confirmed that it was paid.
    Received(Debt),
    /// The payee signed a state in which it is paid.
    Credited {
        /// The debt that was paid.
        debt: Debt,
        /// The nonce of the credit.
        nonce: Nonce,
    },
    /// The payer signed a state in which it is paid back.
    PaidBack {
        /// The debt that was paid back.
        debt: Debt,
        /// The nonce of the credit.
        nonce: Nonce,
    },
}

impl DebtNote {
    /// Checks the note against the two channels, which the reader looks up on the chain itself.
    ///
    /// # Errors
    /// [`NoteError`], but never [`NoteError::Receipt`].
    pub fn verify(&self, payer: &Channel, payee: &Channel) -> Result<Debt, NoteError> {
        let fields = self.terms.fields();
        let placed = |channel: &Channel| channel.domain() == fields.domain;
        if !placed(payer) || !placed(payee) {
            return Err(NoteError::OtherChannel);
        }
        if payer.id() != fields.payer || payee.id() != fields.payee {
            return Err(NoteError::OtherChannel);
        }
        let hub = payer.party(Role::Counterparty).account;
        let same_hub = payee.party(Role::Counterparty).account == hub;
        if !same_hub || payer.terms().asset != payee.terms().asset {
            return Err(NoteError::OtherHub);
        }
        self.debit.shows(EntryKind::Debit, self.terms.debit(), &self.terms)?;
        self.debit.verify(payer)?;
        Ok(Debt {
            hub,
            payee: payee.party(Role::Participant).account,
            amount: fields.amount,
            debited: self.terms.debit(),
            nonce: self.debit.entry.nonce,
        })
    }

    /// Decides between the payer and the hub. An answer that proves nothing is an error and decides nothing: without a
    /// better one the ruling is that of no answer.
    ///
    /// # Errors
    /// [`NoteError`] of the note or of the answer.
    pub fn judge(
        &self,
        answer: Option<&Answer>,
        payer: &Channel,
        payee: &Channel,
    ) -> Result<Ruling, NoteError> {
        let debt = self.verify(payer, payee)?;
        match answer {
            None => Ok(Ruling::Owed(debt)),
            Some(Answer::Receipt(receipt)) => {
                if receipt.payment != self.terms.id() {
                    return Err(NoteError::OtherEntry);
                }
                receipt.verify(payee)?;
                Ok(Ruling::Received(debt))
            }
            Some(Answer::Credit(credit)) => {
                credit.shows(EntryKind::Credit, debt.amount, &self.terms)?;
                credit.verify(payee)?;
                Ok(Ruling::Credited { debt, nonce: credit.entry.nonce })
            }
            Some(Answer::PaidBack(credit)) => {
                credit.shows(EntryKind::Credit, debt.debited, &self.terms)?;
                credit.verify(payer)?;
                Ok(Ruling::PaidBack { debt, nonce: credit.entry.nonce })
            }
        }
    }
}
