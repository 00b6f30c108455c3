//! Ending a dispute by consent: what both parties sign, and when one of them does not.
//!
//! What is signed is what the newest final state pays, whatever the dispute claims: neither party is ever worse off than with its
//! own newest state. Until the close that was announced takes effect an override stays possible and paid, so agreeing on a
//! close gives nothing up: who holds a newer state brings it all the same.
//!
//! A disputer that claimed more than the newest state pays it would lose a part of that to the other party (the slash). A close
//! waives it: whether a party does that is its policy.

use serde::{Deserialize, Serialize};

use crate::{
    ids::Role,
    vipe::{Closing, Payout, Standing},
};

/// Less than so long before the dispute's deadline a close is not begun, in seconds: its transaction might come too late, and
/// the settlement is near.
pub const LEAST_LEFT_S: u64 = 60;

/// Whether a party ends a dispute by consent. Read from the policy's file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseInDispute {
    /// No: what stands is settled.
    Never,
    /// Yes, unless the other party has claimed more than the newest state pays it.
    #[default]
    Honest,
    /// Yes, and what the other party would lose for a stale claim is waived.
    Always,
}

/// Why a party does not sign a close in a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseRefusal {
    /// One was announced already.
    #[error(
        "a close of this dispute is announced already: it takes effect at {0} (seconds since 1970)"
    )]
    Announced(u64),
    /// Too little time is left.
    #[error(
        "the dispute's deadline, {0} (seconds since 1970), is too near for a close: it is settled then"
    )]
    TooLate(u64),
    /// The policy says so.
    #[error("the policy ends no dispute by consent (exit.close_in_dispute = \"never\")")]
    Never,
    /// The other party claimed too much.
    #[error(
        "the other party disputes with more than the newest state pays it: an override and the settlement cost it a part of that, which a close would waive (exit.close_in_dispute = \"always\" does)"
    )]
    Waives,
}

/// What `role` signs to end dispute number `epoch`, which stands so at `now`; `newest` is what its newest final state pays.
///
/// # Errors
/// [`CloseRefusal`].
pub fn closing(
    policy: CloseInDispute,
    role: Role,
    (epoch, standing): (u64, &Standing),
    newest: Payout,
    (now, deadline): (u64, u64),
) -> Result<Closing, CloseRefusal> {
    if standing.agreed.is_some() {
        return Err(CloseRefusal::Announced(standing.deadline));
    }
    if now.saturating_add(LEAST_LEFT_S) > standing.deadline {
        return Err(CloseRefusal::TooLate(standing.deadline));
    }
    let (disputer, peak) = (standing.disputer, standing.peak.max(standing.claim));
    let is_stale = disputer != role && peak > newest.of(disputer);
    match policy {
        CloseInDispute::Never => Err(CloseRefusal::Never),
        CloseInDispute::Honest if is_stale => Err(CloseRefusal::Waives),
        CloseInDispute::Honest | CloseInDispute::Always => {
            Ok(Closing { epoch, paid: newest, deadline })
        }
    }
}
