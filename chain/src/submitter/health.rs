//! How the submitter fares: figures for metrics, and what a person must be told.

use alloy_primitives::U256;

use super::{
    Submitter,
    message::{ForeignSpend, Report, View},
};
use crate::error::RpcError;

/// The account's ether against what it may come to need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Treasury {
    /// What there is, in wei.
    pub balance: U256,
    /// The most that the transactions in the pool can cost, in wei.
    pub in_pool: U256,
    /// The most that all open obligations can still cost, in wei, those that wait with the caller included.
    pub possible: U256,
}

impl Treasury {
    /// What is missing if everything costs the most that it may, in wei.
    pub const fn shortfall(&self) -> U256 {
        self.possible.saturating_sub(self.balance)
    }
}

/// What waits with the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// How many obligations.
    pub count: usize,
    /// The most that they can cost together, in wei.
    pub possible: U256,
}

/// How a submitter fares, as of its last round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubmitHealth {
    /// The account's money; none before the first look.
    pub treasury: Option<Treasury>,
    /// The balance is below the configured least.
    pub low_balance: bool,
    /// How many obligations wait for ether.
    pub unfunded: usize,
    /// How many obligations are open.
    pub open: usize,
    /// How many of them have a transaction that is in no block.
    pub unmined: usize,
    /// What waits with the caller.
    pub backlog: Backlog,
    /// The last transaction of our account that was none of ours: the key is used elsewhere. Stays until a restart of the
    /// process, because whoever has the key still has it.
    pub foreign: Option<ForeignSpend>,
    /// How many of those there were.
    pub foreign_total: u64,
    /// Rounds in a row that could not look at the chain.
    pub failures: u32,
    /// Why the last one could not.
    pub last_error: Option<RpcError>,
}

impl Submitter {
    pub(super) fn note_failure(&self, error: &RpcError) {
        self.health.send_modify(|health| {
            health.failures = health.failures.saturating_add(1);
            health.last_error = Some(error.clone());
        });
    }

    pub(super) fn note_foreign(&self, spend: ForeignSpend) {
        tracing::error!(
            account = %self.account.address(), nonce = spend.nonce, mined = spend.mined,
            "the account's key is used elsewhere: stop the other process, or move to a new key"
        );
        self.health.send_modify(|health| {
            health.foreign = Some(spend);
            health.foreign_total = health.foreign_total.saturating_add(1);
        });
    }

    pub(super) fn note_round(&self, view: &View) {
        let low = view.balance < self.config.balance_min;
        let before = self.health.borrow().low_balance;
        if low && !before {
            tracing::error!(
                account = %self.account.address(), balance = %view.balance,
                needed = %self.config.balance_min, "the account runs dry: send it ether"
            );
        } else if before && !low {
            tracing::info!(balance = %view.balance, "the account has ether again");
        }
        let mut treasury = self.core.treasury(view);
        let (unfunded, open, unmined) =
            (self.core.unfunded(), self.core.len(), self.core.unmined(view));
        self.health.send_modify(|health| {
            treasury.possible = treasury.possible.saturating_add(health.backlog.possible);
            health.treasury = Some(treasury);
            health.low_balance = low;
            health.unfunded = unfunded;
            health.open = open;
            health.unmined = unmined;
            health.failures = 0;
            health.last_error = None;
        });
    }
}

/// Whether a report says that ether is missing.
pub(super) const fn is_unfunded(report: &Report) -> bool {
    matches!(report, Report::Unfunded { .. })
}
