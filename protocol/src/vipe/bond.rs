//! What a claim costs to put forward: the bond of its size and the fee of the opening. Wei, rounded up.

use core::{fmt, str::FromStr};

use alloy_primitives::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::Amount;

/// One whole in the unit of shares: 1/10,000.
pub const BPS: u16 = 10_000;

/// Why a rule of a deployment or a rate is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Rates are below 2^96.
    #[error("rate {0} is not below 2^96")]
    Rate(u128),
    /// The text is no decimal number.
    #[error("not a decimal number")]
    NotANumber,
    /// A share is above one whole.
    #[error("a share of {0} / 10,000 is more than one whole")]
    Share(u16),
    /// A window of no time can be answered by nobody.
    #[error("the dispute window is empty")]
    NoWindow,
    /// A lowering in the last second would leave nobody time for a newer state, and a close that is announced in a dispute would
    /// take effect before any of the overrides that it leaves valid.
    #[error("the response extension is empty: nobody could answer a correction in time")]
    NoExtension,
    /// No lowering would ever leave the whole response extension.
    #[error("the response extension of {given} s is longer than the maximum extension of {most} s")]
    ExtensionNeverWhole {
        /// The response extension, in seconds.
        given: u64,
        /// The maximum extension, in seconds.
        most: u64,
    },
}

/// The price of a claim: wei per base unit, times 2^64; below 2^96. Fixed per channel by both consents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u128);

impl Rate {
    /// No bond.
    pub const ZERO: Self = Self(0);

    /// The rate times 2^64.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl TryFrom<u128> for Rate {
    type Error = RulesError;

    fn try_from(value: u128) -> Result<Self, RulesError> {
        if value >> 96 == 0 { Ok(Self(value)) } else { Err(RulesError::Rate(value)) }
    }
}

impl FromStr for Rate {
    type Err = RulesError;

    fn from_str(text: &str) -> Result<Self, RulesError> {
        let value: u128 = text.parse().map_err(|_not_decimal| RulesError::NotANumber)?;
        Self::try_from(value)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Decimal digits, because JSON readers round large numbers.
impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The rules of a deployment that a dispute follows. Seconds, wei, gas and 1/10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Seconds from the opening, or from a raise, to the deadline.
    pub dispute_window: u64,
    /// Seconds that a lowering override leaves at least, up to `max_extension` in all.
    pub response_extension: u64,
    /// Seconds by which all lowerings together may move one deadline.
    pub max_extension: u64,
    /// The smallest fee of an opening, in wei.
    pub fee_floor: u128,
    /// The fee is at least this much gas at the opening block's base fee.
    pub fee_gas: u64,
    /// The beneficiary's share of a struck-down bond.
    pub tower_bps: u16,
    /// The share of the struck-down claim that is slashed.
    pub slash_bps: u16,
}

impl Rules {
    /// Refuses rules that no deployment may have.
    ///
    /// # Errors
    /// [`RulesError::Share`], [`RulesError::NoWindow`], [`RulesError::NoExtension`], [`RulesError::ExtensionNeverWhole`].
    pub const fn validate(&self) -> Result<(), RulesError> {
        if self.tower_bps > BPS {
            return Err(RulesError::Share(self.tower_bps));
        }
        if self.slash_bps > BPS {
            return Err(RulesError::Share(self.slash_bps));
        }
        if self.dispute_window == 0 {
            return Err(RulesError::NoWindow);
        }
        if self.response_extension == 0 {
            return Err(RulesError::NoExtension);
        }
        if self.response_extension > self.max_extension {
            let (given, most) = (self.response_extension, self.max_extension);
            return Err(RulesError::ExtensionNeverWhole { given, most });
        }
        Ok(())
    }
}

/// u(W) in wei: `(claim * rate + 2^64 - 1) >> 64`.
#[must_use]
pub fn bond(claim: Amount, rate: Rate) -> U256 {
    // Below 2^112 * 2^96 + 2^64 < 2^209: nothing saturates.
    let scaled = claim.to_word().saturating_mul(U256::from(rate.0));
    scaled.saturating_add(U256::from(u64::MAX)).wrapping_shr(64)
}

/// F in wei: the larger of the floor and the fee's gas at `base_fee` wei.
#[must_use]
pub fn opening_fee(rules: &Rules, base_fee: u128) -> U256 {
    // Below 2^64 * 2^128 = 2^192: nothing saturates.
    let gas = U256::from(rules.fee_gas).saturating_mul(U256::from(base_fee));
    gas.max(U256::from(rules.fee_floor))
}

/// `floor(value * bps / 10^4)`, for a value below 2^240 and a share of at most one whole.
#[must_use]
pub(crate) fn share(value: U256, bps: u16) -> U256 {
    value.saturating_mul(U256::from(bps)).checked_div(U256::from(BPS)).unwrap_or(U256::ZERO)
}
