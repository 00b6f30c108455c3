//! The rules that a deployment is asked for, and the least that a chain allows.

use super::DeployError;
use crate::calls::Rules;

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
/// The shortest response extension where money is at stake: fifty blocks of an L1, in which a correction is seen, proven (seconds)
/// and bid for.
const EXTENSION_MIN_S: u64 = 600;

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

    /// What a vault that stands was deployed with; none if its fee floor is no amount of ether that exists.
    #[must_use]
    pub fn of(rules: &Rules) -> Option<Self> {
        Some(Self {
            dispute_window_s: rules.dispute_window_s,
            response_extension_s: rules.response_extension_s,
            max_extension_s: rules.max_extension_s,
            fee_floor: u128::try_from(rules.fee_floor).ok()?,
            fee_gas: rules.fee_gas,
            tower_bps: rules.tower_bps,
            slash_bps: rules.slash_bps,
        })
    }

    /// The least that is asked of a vault that stands on this chain, whoever deployed it: what [`Terms::check`] asks on Ethereum
    /// itself; on the other chains whose assets are worth something what it asks of an L2 whose forced inclusion is not known;
    /// elsewhere that there is some time at all.
    ///
    /// # Errors
    /// As [`Terms::check`].
    pub fn check_standing(&self, chain_id: u64) -> Result<(), DeployError> {
        self.check(match chain_id {
            1 => ChainKind::L1,
            other if CHAINS_OF_VALUE.contains(&other) => ChainKind::L2 { forced_inclusion_s: 0 },
            _ => ChainKind::Development,
        })
    }

    /// Refuses windows in which honest parties could not answer, and response extensions that are no time at all. On an L2 the
    /// window alone is measured against forced inclusion: whoever censors there can let an extension that is shorter pass.
    ///
    /// The vault itself takes a response extension of zero, and must then be left alone: a lowering in the last second would leave
    /// nobody time for a newer state, and a close that is announced in a dispute would take effect in its own block, before
    /// any of the overrides that it leaves valid. One above the maximum extension would never be left whole.
    ///
    /// # Errors
    /// [`DeployError::WindowTooShort`], [`DeployError::ExtensionOutOfRange`].
    pub const fn check(&self, chain: ChainKind) -> Result<(), DeployError> {
        let (least, least_extension) = match chain {
            ChainKind::L1 => (L1_WINDOW_MIN_S, EXTENSION_MIN_S),
            ChainKind::L2 { forced_inclusion_s } => {
                let forced_twice = forced_inclusion_s.saturating_mul(2);
                (forced_twice.saturating_add(L2_WINDOW_MARGIN_S), EXTENSION_MIN_S)
            }
            ChainKind::Development => (1, 1),
        };
        if self.dispute_window_s < least {
            return Err(DeployError::WindowTooShort {
                given_s: self.dispute_window_s,
                least_s: least,
            });
        }
        let (given_s, most_s) = (self.response_extension_s, self.max_extension_s);
        if given_s < least_extension || given_s > most_s {
            return Err(DeployError::ExtensionOutOfRange {
                given_s,
                least_s: least_extension,
                most_s,
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

    #[test]
    fn a_vault_that_stands_is_held_to_what_its_chain_is_worth() {
        let hour = Terms { dispute_window_s: HOUR_S, ..Terms::L1 };
        let nothing = Terms { response_extension_s: 0, ..Terms::L1 };
        for (terms, holds_on) in [
            (Terms::L1, [true; 3]),
            (Terms { dispute_window_s: 12 * HOUR_S, ..Terms::L1 }, [false, true, true]),
            (hour, [false, false, true]),
            (nothing, [false; 3]),
        ] {
            let held = [1, 42_161, 31_337].map(|chain| terms.check_standing(chain).is_ok());
            assert_eq!(held, holds_on, "{terms:?}");
        }
    }

    #[test]
    fn an_extension_that_leaves_no_time_or_is_never_left_whole_is_refused() {
        let refused = |terms: Terms, chain| {
            matches!(terms.check(chain), Err(DeployError::ExtensionOutOfRange { .. }))
        };
        let l2 = ChainKind::L2 { forced_inclusion_s: HOUR_S };
        for (terms, chain, least) in [
            (Terms::L1, ChainKind::L1, EXTENSION_MIN_S),
            (Terms::L2, l2, EXTENSION_MIN_S),
            (Terms::L1, ChainKind::Development, 1),
        ] {
            assert!(terms.check(chain).is_ok());
            assert!(Terms { response_extension_s: least, ..terms }.check(chain).is_ok());
            assert!(refused(Terms { response_extension_s: least - 1, ..terms }, chain));
            let most = terms.response_extension_s;
            assert!(Terms { max_extension_s: most, ..terms }.check(chain).is_ok());
            assert!(refused(Terms { max_extension_s: most - 1, ..terms }, chain));
        }
    }
}
