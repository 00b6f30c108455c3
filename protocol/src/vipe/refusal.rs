//! Why the vault refuses a move of a dispute.

use alloy_primitives::U256;

use crate::ids::{Amount, Nonce};

/// Why a move is refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Neither the checkpoint itself nor newer than it.
    #[error("nonce {got} is below the checkpoint's {checkpoint}")]
    BelowCheckpoint {
        /// The checkpoint's nonce.
        checkpoint: Nonce,
        /// The state's nonce.
        got: Nonce,
    },
    /// The disputer claims more than its state pays.
    #[error("claim {claim} exceeds the {pays} that the state pays")]
    ClaimTooLarge {
        /// What was claimed.
        claim: Amount,
        /// What the state pays the disputer.
        pays: Amount,
    },
    /// The state pays more than the escrow; no checked payout does.
    #[error("claim {0} exceeds the escrow")]
    ExceedsEscrow(Amount),
    /// The opening brings less than the fee and the bond.
    #[error("{needed} wei are needed")]
    ValueTooSmall {
        /// The fee and the bond.
        needed: U256,
    },
    /// An override brings another value than it must.
    #[error("exactly {needed} wei are due")]
    ValueMismatch {
        /// Zero unless the override is a raise.
        needed: U256,
    },
    /// Overrides end strictly before the deadline.
    #[error("the window closed at {deadline}")]
    WindowClosed {
        /// The deadline, in the chain's seconds.
        deadline: u64,
    },
    /// Settlement begins at the deadline.
    #[error("the window is open until {deadline}")]
    WindowOpen {
        /// The deadline, in the chain's seconds.
        deadline: u64,
    },
    /// The state is not newer than the one that stands.
    #[error("nonce {got} is not above {standing}")]
    NotNewer {
        /// The nonce that stands.
        standing: Nonce,
        /// The state's nonce.
        got: Nonce,
    },
    /// Nobody would be paid.
    #[error("the beneficiary is the zero address")]
    ZeroBeneficiary,
    /// Only the disputer may raise its claim.
    #[error("only the disputer may raise its claim")]
    RaiseByOther,
    /// The disputer raised before.
    #[error("the claim was raised before")]
    RaisedBefore,
    /// Both parties announced how it ends: that is final, and nothing is raised after it.
    #[error("a close is announced")]
    Closing,
    /// A close pays the whole escrow.
    #[error("{paid} is not the escrow {escrow}")]
    NotTheWholeEscrow {
        /// The sum of both payments.
        paid: u128,
        /// The escrow.
        escrow: Amount,
    },
    /// The dispute is over.
    #[error("the dispute is settled")]
    AlreadySettled,
}
