//! The rules that a deployment is asked for, and the least that a chain allows.

use super::DeployError;

/// What kind of chain the contracts go to; decides how long a dispute must last at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Ethereum itself.
    L1,
    /// A chain with a sequencer that may halt or censor.
    L2 {
        /// Seconds after which a transaction gets in without the sequencer.
        forced_inclusion_s: u64,
    },
    /// A development chain, where windows may be seconds.
    Development,
}

/// Seconds in an hour.
const HOUR_S: u64 = 3_600;
/// The shortest dispute window on an L1.
const L1_WINDOW_MIN_S: u64 = 24 * HOUR_S;
/// What is added to twice the forced inclusion on an L2.
const L2_WINDOW_MARGIN_S: u64 = 12 * HOUR_S;

/// The rules of a vault but its verifier, which is known only once it is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// See `Rules::dispute_window_s`.
    pub dispute_window_s: u64,
    /// See `Rules::response_extension_s`.
    pub response_extension_s: u64,
    /// See `Rules::max_extension_s`.
    pub max_extension_s: u64,
    /// See `Rules::fee_floor`.
    pub fee_floor: u128,
    /// See `Rules::fee_gas`.
    pub fee_gas: u64,
    /// See `Rules::tower_bps`.
    pub tower_bps: u16,
    /// See `Rules::slash_bps`.
    pub slash_bps: u16,
}

/// Chains whose assets are worth something for certain: mainnet and the largest rollups. Development terms are refused there.
pub(super) const CHAINS_OF_VALUE: [u64; 8] = [1, 10, 56, 100, 137, 8_453, 42_161, 59_144];

impl Terms {
    /// The defaults for an L1: a day, an hour, a day; 0.02 ether or 10,000,000 gas; half to the tower, all slashed.
    pub const L1: Self = Self {
        dispute_window_s: 24 * HOUR_S,
        response_extension_s: HOUR_S,
        max_extension_s: 24 * HOUR_S,
        fee_floor: 20_000_000_000_000_000,
        fee_gas: 10_000_000,
        tower_bps: 5_000,
        slash_bps: 10_000,
    };

    /// The defaults for an L2: three days, six hours, a day.
    pub const L2: Self =
        Self { dispute_window_s: 72 * HOUR_S, response_extension_s: 6 * HOUR_S, ..Self::L1 };

    /// Refuses windows in which honest parties could not answer.
    ///
    /// # Errors
    /// [`DeployError::WindowTooShort`].
    pub const fn check(&self, chain: ChainKind) -> Result<(), DeployError> {
        let least = match chain {
            ChainKind::L1 => L1_WINDOW_MIN_S,
            ChainKind::L2 { forced_inclusion_s } => {
                forced_inclusion_s.saturating_mul(2).saturating_add(L2_WINDOW_MARGIN_S)
            }
            ChainKind::Development => 1,
        };
        if self.dispute_window_s < least {
            return Err(DeployError::WindowTooShort {
                given_s: self.dispute_window_s,
                least_s: least,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_is_too_short_for_the_chain_is_refused() {
        assert!(Terms::L1.check(ChainKind::L1).is_ok());
        let short = Terms { dispute_window_s: 24 * HOUR_S - 1, ..Terms::L1 };
        assert!(matches!(short.check(ChainKind::L1), Err(DeployError::WindowTooShort { .. })));
        let l2 = ChainKind::L2 { forced_inclusion_s: 24 * HOUR_S };
        assert!(Terms::L2.check(l2).is_ok());
        assert!(
            matches!(Terms::L1.check(l2), Err(DeployError::WindowTooShort { least_s, .. }) if least_s == 60 * HOUR_S)
        );
        let none = Terms { dispute_window_s: 0, ..Terms::L1 };
        assert!(none.check(ChainKind::Development).is_err());
    }
}
