//! What a person decides beforehand: limits, fees, towers, and when the node may leave a channel by itself.
//!
//! Read from a file; a word that is not known is an error. Everything has a default.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use protocol::payment::{FeePolicy, hub, wallet};
use protocol::vipe::Rate;
use protocol::vnode::coverage::CoverageConfig;
use protocol::vnode::exit::ExitPolicy;
use protocol::zksc::handshake;
use protocol::{Amount, Role};
use serde::{Deserialize, Serialize};

/// 1,000 tokens of 18 decimals and far more of those with fewer: small enough to notice, large enough to use.
const LARGE: u128 = 1_000_000_000_000_000_000_000;

/// The policy file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The most that one update may move, in base units.
    pub max_update: Amount,
    /// Participant: the most that a hub may hold of payments under way, unsecured, in base units.
    pub max_in_flight: Amount,
    /// After so long without an answer nothing new is signed on a channel, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// After so long a node may leave the channel, if `exit.automatic` says so, in milliseconds; none for the role's own:
    /// 30 minutes for a participant, 24 hours for a hub.
    pub exit_timeout_ms: Option<u64>,
    /// After so long a debited payment shows as owed, in milliseconds.
    pub owed_after_ms: u64,
    /// Participant: how long a hub is asked again that does not know the payee of a payment yet, because its view of the chain is
    /// behind this node's, in milliseconds.
    pub payee_wait_ms: u64,
    /// The chain must have moved within so long, or nothing is signed, in milliseconds.
    pub view_age_max_ms: u64,
    /// The newest block's time and this machine's clock may be so far apart, either way, or nothing is signed and no exit opened, in
    /// seconds; 0 for a chain whose clock is made up.
    pub head_off_max_s: u64,
    /// When the node leaves a channel by itself.
    pub exit: ExitPolicy,
    /// How final states are backed up.
    pub backup: BackupPolicy,
    /// For a hub; a participant needs the fee alone.
    pub hub: HubPolicy,
    /// For a hub: limits of single payers, by their account.
    pub payers: BTreeMap<Address, hub::PayerLimits>,
}

/// How final states are backed up.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupPolicy {
    /// How many towers must hold a state before it counts as protected. Zero protects nothing and is for trials alone.
    pub target: usize,
    /// How long final states are coalesced, in milliseconds.
    pub lag_max_ms: u64,
    /// How long a state may stay unprotected before a person is warned, in milliseconds.
    pub warn_after_ms: u64,
    /// Between two checks that a tower still holds what it promised, in milliseconds.
    pub check_every_ms: u64,
    /// Restore: how many towers that the counterparty did not name must answer.
    pub restore_quorum: usize,
    /// Restore: how long the counterparty is waited for, in milliseconds; and how long the towers in the check at a start.
    pub restore_wait_ms: u64,
    /// Whether each start compares this disk with what towers hold, before anything is signed: a disk that was copied back is
    /// older than what was signed.
    pub check_at_start: bool,
    /// Restore: how long a restored channel, or one whose disk was set back, pauses, in seconds of the chain: as long as a consent
    /// may be good that this node signed and has forgotten. Less is for trials alone.
    pub hold_after_restore_s: u64,
}

/// What a hub takes and what it asks for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubPolicy {
    /// What a payment costs; a participant puts its hub's here, and pays no more.
    pub fee: FeePolicy,
    /// The least amount of a payment, in base units.
    pub amount_min: Amount,
    /// The most that one payer may have under way, in base units.
    pub payer_max: Amount,
    /// The most payments that one payer may have under way.
    pub payments_max: usize,
    /// How long room is reserved for a debit that does not come, in milliseconds.
    pub reserve_for_ms: u64,
    /// How long a debit is held for a payee that does not come, before it is paid back, in milliseconds.
    pub hold_for_ms: u64,
    /// The most channels.
    pub channels_max: usize,
    /// The least and the most deposit of a new channel, in base units.
    pub deposit_min: Amount,
    /// The most deposit of a new channel, in base units.
    pub deposit_max: Amount,
    /// What the pool puts into a new channel, in percent of its deposit.
    pub allocation_percent: u32,
    /// The bond's rate of new channels: wei per base unit of claim, times 2^64.
    pub rate: Rate,
}

impl Default for BackupPolicy {
    fn default() -> Self {
        Self {
            target: 3,
            lag_max_ms: 500,
            warn_after_ms: 30_000,
            check_every_ms: 600_000,
            restore_quorum: 2,
            restore_wait_ms: 30_000,
            check_at_start: true,
            hold_after_restore_s: crate::driver::HOLD_AFTER_RESTORE_S,
        }
    }
}

fn amount(value: u128) -> Amount {
    Amount::try_from(value).unwrap_or(Amount::MAX)
}

impl Default for HubPolicy {
    fn default() -> Self {
        Self {
            fee: FeePolicy::FREE,
            amount_min: amount(1),
            payer_max: amount(LARGE),
            payments_max: 16,
            reserve_for_ms: 60_000,
            hold_for_ms: 3_600_000,
            channels_max: 10_000,
            deposit_min: amount(1),
            deposit_max: amount(LARGE),
            allocation_percent: 100,
            // 10^13 wei for a token of six decimals: about 2 % of a dollar.
            rate: Rate::try_from(10_000_000 << 64).unwrap_or_default(),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_update: amount(LARGE),
            max_in_flight: amount(LARGE / 10),
            handshake_timeout_ms: 5_000,
            exit_timeout_ms: None,
            owed_after_ms: 60_000,
            payee_wait_ms: 10_000,
            view_age_max_ms: 120_000,
            head_off_max_s: 300,
            exit: ExitPolicy::default(),
            backup: BackupPolicy::default(),
            hub: HubPolicy::default(),
            payers: BTreeMap::new(),
        }
    }
}

/// Why a policy makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy's {key} {reason}")]
pub struct PolicyError {
    key: &'static str,
    reason: &'static str,
}

impl Policy {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn validate(&self) -> Result<(), PolicyError> {
        let rules = [
            (self.max_update > Amount::ZERO, "max_update", "lets nothing move"),
            (self.max_in_flight > Amount::ZERO, "max_in_flight", "lets nothing be paid"),
            (self.view_age_max_ms >= 1_000, "view_age_max_ms", "is below a second"),
            (self.backup.target <= 32, "backup.target", "is above 32"),
            (self.hub.payments_max > 0, "hub.payments_max", "lets nothing be paid"),
            (
                self.hub.deposit_min <= self.hub.deposit_max,
                "hub.deposit_min",
                "is above deposit_max",
            ),
            (
                self.hub.allocation_percent <= 1_000,
                "hub.allocation_percent",
                "is above ten deposits",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, reason)) => Err(PolicyError { key, reason }),
            None => Ok(()),
        }
    }

    /// How far apart the chain's clock and this machine's may be, in seconds; none for any distance.
    pub(crate) fn head_off_max(&self) -> Option<u64> {
        (self.head_off_max_s > 0).then_some(self.head_off_max_s)
    }

    fn handshake(&self, role: Role) -> handshake::Config {
        let config = handshake::Config::new(role, self.max_update);
        let exit_timeout = self.exit_timeout_ms.unwrap_or(config.exit_timeout);
        handshake::Config {
            handshake_timeout: self.handshake_timeout_ms,
            exit_timeout,
            retry_most: 15_000,
            ..config
        }
    }

    /// A participant's machine.
    pub(crate) fn wallet(&self, fee: FeePolicy) -> wallet::Config {
        wallet::Config {
            handshake: self.handshake(Role::Participant),
            max_in_flight: self.max_in_flight,
            credit_max: self.max_update,
            fee,
            owed_after: self.owed_after_ms,
            payee_wait: self.payee_wait_ms,
        }
    }

    /// A hub's machine.
    pub(crate) fn hub_config(&self) -> hub::Config {
        hub::Config {
            handshake: self.handshake(Role::Counterparty),
            fee: self.hub.fee,
            amount_min: self.hub.amount_min,
            payer_max: self.hub.payer_max,
            payments_max: self.hub.payments_max,
            reserve_for: self.hub.reserve_for_ms,
            hold_for: self.hub.hold_for_ms,
        }
    }

    pub(crate) const fn coverage(&self) -> CoverageConfig {
        CoverageConfig {
            lag_max: self.backup.lag_max_ms,
            target: self.backup.target,
            warn_after: self.backup.warn_after_ms,
            check_every: self.backup.check_every_ms,
        }
    }

    /// What the pool puts into a channel with this deposit.
    pub(crate) fn allocation(&self, deposit: Amount) -> Amount {
        let share = deposit.get().saturating_mul(u128::from(self.hub.allocation_percent)) / 100;
        amount(share)
    }
}

#[cfg(test)]
mod tests {
    use protocol::testing::amount;

    use super::*;

    #[test]
    fn a_policy_file_names_what_differs_and_the_rest_has_its_default() {
        let payer = Address::repeat_byte(7);
        let text = format!(
            "[exit]\nautomatic = true\n[hub.fee]\nmillionths = 20\n[payers.\"{payer}\"]\npayer_max = \"5\"\npayments_max = 1\n"
        );
        let policy: Policy = toml::from_str(&text).unwrap();
        policy.validate().unwrap();
        assert!(policy.exit.automatic && policy.exit.override_stale);
        assert_eq!(policy.hub.fee, FeePolicy { millionths: 20, ..FeePolicy::FREE });
        let limits = hub::PayerLimits { payer_max: amount(5), payments_max: 1 };
        assert_eq!(policy.payers.get(&payer), Some(&limits));
        assert!(toml::from_str::<Policy>("[exit]\nautomatik = true\n").is_err());
    }
}
