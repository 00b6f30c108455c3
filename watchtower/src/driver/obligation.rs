//! What must reach the chain for a dispute, by name, and how it is kept in the outbox.

use alloy_primitives::{B256, U256, keccak256};
use chain::calls::Call;
use chain::submitter::{Obligation, ObligationId, Record};
use serde::{Deserialize, Serialize};
use store::{Change, DisputeId, Store, StoreError};

/// Why a transaction is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// Override with the state of this nonce.
    Override {
        /// The nonce.
        nonce: u64,
    },
    /// Settle after the deadline.
    Settle,
    /// Collect the ether credit.
    Collect,
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Override { nonce } => write!(f, "override with nonce {nonce}"),
            Self::Settle => f.write_str("settlement"),
            Self::Collect => f.write_str("collection"),
        }
    }
}

/// For which dispute, and why. None of both: the submitter's own, to fill a gap between nonces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// The dispute.
    pub(crate) dispute: DisputeId,
    /// Why.
    pub(crate) purpose: Purpose,
}

/// A row of the outbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OutboxRow {
    /// Whose it is.
    pub(crate) owner: Option<Owner>,
    /// The submitter's record.
    pub(crate) record: Record,
}

/// The bounds of an obligation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Chain seconds; not sent before.
    pub(crate) not_before: Option<u64>,
    /// Chain seconds; of no use from then on.
    pub(crate) deadline: Option<u64>,
    /// Gas expected.
    pub(crate) gas: u64,
    /// The most that its gas may cost, wei.
    pub(crate) max_cost: U256,
}

/// The name of an obligation: the same dispute and purpose give the same name, so it is never begun twice.
pub(crate) fn name(owner: &Owner) -> ObligationId {
    let (kind, nonce) = match owner.purpose {
        Purpose::Override { nonce } => (0_u8, nonce),
        Purpose::Settle => (1, 0),
        Purpose::Collect => (2, 0),
    };
    let DisputeId { channel_id, epoch } = owner.dispute;
    let numbers = [channel_id.get(), epoch, nonce].map(u64::to_be_bytes).concat();
    ObligationId(keccak256([b"obligation".as_slice(), &[kind], &numbers].concat()))
}

/// A new obligation. All calls of ours are refused by the vault itself when repeated.
pub(crate) fn new(owner: Owner, call: Call, bounds: &Bounds) -> OutboxRow {
    let obligation = Obligation {
        id: name(&owner),
        call,
        not_before: bounds.not_before,
        deadline: bounds.deadline,
        gas_hint: Some(bounds.gas),
        max_cost: bounds.max_cost,
        repeat_safe: true,
    };
    OutboxRow { owner: Some(owner), record: Record::new(obligation) }
}

impl OutboxRow {
    /// The row's key.
    pub(crate) fn key(id: ObligationId) -> String {
        id.to_string()
    }

    /// The write of this row.
    pub(crate) fn change(&self) -> Result<Change, StoreError> {
        let body = serde_json::to_vec(self).map_err(|error| row_error(&error))?;
        Ok(Change::Outbox { name: Self::key(self.record.obligation.id), body })
    }

    /// The row with this key.
    pub(crate) fn named(store: &Store, key: &str) -> Result<Option<Self>, StoreError> {
        let body = store.outbox_row(key)?;
        body.map(|body| serde_json::from_slice(&body).map_err(|error| row_error(&error)))
            .transpose()
    }

    /// All rows of the outbox.
    pub(crate) fn all(store: &Store) -> Result<Vec<Self>, StoreError> {
        let rows = store.outbox()?;
        rows.iter()
            .map(|(_, body)| serde_json::from_slice(body).map_err(|error| row_error(&error)))
            .collect()
    }

    /// Whether one of its transactions has this hash.
    pub(crate) fn sent(&self, hash: B256) -> bool {
        self.record.attempts.iter().any(|attempt| attempt.hash == hash)
    }
}

fn row_error(error: &serde_json::Error) -> StoreError {
    StoreError::Row { table: "outbox-1", detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use protocol::ChannelId;

    use super::*;

    #[test]
    fn names_tell_disputes_purposes_and_nonces_apart() {
        let dispute = |channel: u64, epoch| DisputeId {
            channel_id: ChannelId::try_from(channel).unwrap(),
            epoch,
        };
        let mut names = Vec::new();
        for dispute in [dispute(1, 1), dispute(1, 2), dispute(2, 1)] {
            for purpose in [
                Purpose::Override { nonce: 1 },
                Purpose::Override { nonce: 2 },
                Purpose::Settle,
                Purpose::Collect,
            ] {
                names.push(name(&Owner { dispute, purpose }));
            }
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 12);
    }
}
